"""Figures of reconstruction: events/s from DL1 to DL2 files, where the time goes, and memory.

    python benchmarks/inference.py -o DIR                    # simulates first (minutes)
    python benchmarks/inference.py -o DIR --file my.dl1.h5   # of four LSTs, at least 3000 events

The networks are those of the experiments lst_stereo.py and lst_mono.py, and those with the default
layers, which are larger; with random weights, on the CPU, and the process that computes also reads
(no workers), in a thread beside. Shares of the time are those of the main thread: "index" finds the
images of a file, "network" computes, "wait" is for batches, "write" is what is left to do for the
DL2 file after the last event. "read" (HDF5 to numbers) and "transform" (numbers to channels) are
what the other thread is busy with, in the same measure. Memory is measured with a network of four
small layers, for the number of images counts, not the time; the images are those of one file under
several names. Each figure is measured in a process of its own. Prints the figures and writes
DIR/inference.json.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from functools import wraps
from pathlib import Path

import torch
from engine import machine
from loading import simulated

from gammalearn.checkpoint.trained import KEY, TrainedOn, build_network, describe
from gammalearn.data import EventIndex, columns_of
from gammalearn.data.images import reading
from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.dl2 import prediction, writer
from gammalearn.run import experiment as experiments
from gammalearn.settings.reading import load_experiment, override
from gammalearn.tasks import build_tasks

SETTINGS = Path(__file__).parents[1] / "experiment_settings"

#: Changes of the shipped networks: to one that takes next to no time, and to the default layers.
NETWORKS = {
    "shipped": [],
    "light": ["network.encoder=conv4", "network.widths=[2, 2, 2, 2]", "network.keypoints=0"],
    "default": ["network.widths=[16, 32, 64]", "network.blocks=3"],
}

#: Times that a file of some 25 000 images is reconstructed for 200 000.
COPIES = 8


#: What is measured of each grouping, and with which network.
CASES = {
    "speed": {"shipped network": "shipped", "default layers": "default"},
    "memory": {"few": "light", "many": "light"},
}


class Stopwatch:
    """Seconds in functions, without those in others that it follows too."""

    def __init__(self):
        self.seconds = defaultdict(float)
        self._of_thread = threading.local()

    def follow(self, owner, name, label):
        """Count the time in ``owner.name`` under a label."""
        function = getattr(owner, name)

        @wraps(function)
        def timed(*arguments, **options):
            running = self._switch()
            running.append(label)
            try:
                return function(*arguments, **options)
            finally:
                self._switch()
                running.pop()

        setattr(owner, name, timed)

    def _switch(self):
        """Count the time since the last call for what this thread is in; returns its labels."""
        of_thread, now = self._of_thread, time.perf_counter()
        running = of_thread.__dict__.setdefault("running", [])
        if running:
            self.seconds[running[-1]] += now - of_thread.since
        of_thread.since = now
        return running


def checkpoint(grouping: str, path: Path, folder: Path, changes) -> Path:
    """An untrained network of the shipped settings, as a training leaves it."""
    torch.manual_seed(1)
    experiment = override(load_experiment(SETTINGS / f"lst_{grouping}.py"), changes)
    parameters = columns_of(experiment.network.parameters)
    index = EventIndex.build([path], experiment.data, parameters=parameters)
    network = build_network(experiment, index.cameras, build_tasks(experiment.tasks))
    state = {
        KEY: describe(experiment, index.cameras, TrainedOn()),
        "state_dict": {f"network.{name}": value for name, value in network.state_dict().items()},
        "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 0}}}},
    }
    torch.save(state, folder / f"{grouping}.ckpt")
    return folder / f"{grouping}.ckpt"


def measure(grouping: str, paths: list[Path], folder: Path, network: str) -> dict:
    """Events/s, shares of the time and peak memory of one call of ``predict``."""
    watch = Stopwatch()
    watch.follow(experiments, "index_inputs", "index")
    watch.follow(writer, "read_isolated", "write")
    watch.follow(experiments, "predict_outputs", "wait")
    watch.follow(CtapipeDL1Reader, "pixels", "read")
    watch.follow(reading, "image_channels", "transform")
    for_inference = prediction.for_inference

    def followed(network):
        network = for_inference(network)
        watch.follow(network, "forward", "network")
        return network

    prediction.for_inference = followed
    path = checkpoint(grouping, paths[0], folder, NETWORKS[network])
    options = experiments.RunOptions(overwrite=True, progress=False)
    n_events = []
    predict_outputs = experiments.predict_outputs

    def counted(network, tasks, index, *arguments, **options):
        n_events.append((len(index), len(index.images)))
        return predict_outputs(network, tasks, index, *arguments, **options)

    experiments.predict_outputs = counted
    start = time.perf_counter()
    experiments.predict(path, list(map(str, paths)), folder / "dl2", options)
    total = time.perf_counter() - start
    shutil.rmtree(folder / "dl2")
    events, images = map(sum, zip(*n_events, strict=True))
    labels = ("index", "network", "wait", "write", "read", "transform")
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "events": events,
        "images": images,
        "events_per_s": round(events / total, 1),
        "images_per_s": round(images / total, 1),
        "seconds": round(total, 2),
        **{f"{name}_share": round(watch.seconds[name] / total, 4) for name in labels},
        "peak_MB": round(int(status["VmHWM"].split()[0]) / 1024),
    }


def measured(grouping: str, paths: list[Path], output: Path, network: str, threads: int) -> dict:
    """What :func:`measure` says in a process of its own."""
    command = [sys.executable, __file__, "--measure", grouping, "-o", str(output)]
    command += ["--files", *map(str, paths), "--threads", str(threads), "--network", network]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Read the command line, make the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--file", type=Path, help="ctapipe DL1 file to reconstruct")
    parser.add_argument("--figures", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--network", choices=NETWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.measure:
        print(json.dumps(measure(options.measure, options.files, options.output, options.network)))
        return
    whole = options.file or simulated(options.output)
    small = simulated(options.output, "small.dl1.h5", n_showers=80)
    copies = [options.output / f"copy{number}.dl1.h5" for number in range(COPIES)]
    for copy in copies:
        if not copy.exists():
            os.link(whole, copy)
    path = options.output / "inference.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for figure in options.figures:
        results[figure] = {
            "figures": {},
            "command": f"benchmarks/inference.py --figures {figure} --threads {options.threads}",
            "machine": machine("cpu"),
            "torch": str(torch.__version__),
        }
        cases = CASES[figure]
        for grouping, (name, network) in itertools.product(("mono", "stereo"), cases.items()):
            paths = {"few": [small], "many": copies}.get(name, [whole])
            values = measured(grouping, paths, options.output, network, options.threads)
            results[figure]["figures"][f"{grouping}, {name}"] = values
            print(f"{figure}: {grouping}, {name}: ", end="")
            print(", ".join(f"{k} {v}" for k, v in values.items()), flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
