"""Speed and memory of training from files to steps: events/s, waiting for data, growth.

    python benchmarks/training.py -o DIR                     # simulates first, then half an hour
    python benchmarks/training.py -o DIR --device cuda       # the same on a GPU
    python benchmarks/training.py -o DIR --figures workers --file my.dl1.h5

Each figure is of a training in a process of its own, with Lightning, the loader and everything as
in a run but validation, from the sixth batch on for some seconds; epochs follow each other where
the events do not last. "waiting" is the share of the time that is not between the beginning and the
end of a step: waiting for the next batch, the change of epochs included, and what Lightning does in
between. With 0 workers all of the loading is waiting. "peak" is of the training process, on a GPU
what torch has had of its memory. Unless told otherwise: stereo, batches of 64, two workers, all
telescopes, the network of experiment_settings/lst_stereo.py. Prints each figure and writes them to
DIR/training.json, on a GPU DIR/training_cuda.json.
"""

import argparse
import json
import multiprocessing
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import lightning
import torch
from engine import machine

from gammalearn.data import EventIndex, columns_of
from gammalearn.io.finding import find_files
from gammalearn.settings import Experiment, SimulationSettings
from gammalearn.tasks import build_tasks
from gammalearn.training.fit import EventDataModule
from gammalearn.training.preparation import prepare
from gammalearn.training.trainer import make_trainer

#: Gammas in view of all telescopes.
SIMULATION = {
    "particle": "gamma",
    "energy": (0.1, 5.0),
    "viewcone": 2.5,
    "scatter": 250.0,
    "seed": 1,
}

#: Batches before the clock starts: workers start, and memory is asked for.
WARM_UP = 5

SHIPPED = {"widths": [8, 16, 32], "blocks": 1, "keypoints": 16}

NETWORKS = {
    "conv4": {"encoder": "conv4"},
    "conv5": {"encoder": "conv5"},
    "gammaphysnet, as shipped": SHIPPED,
    "gammaphysnet, as published": {},
}

BATCH_SIZES = (8, 32, 64, 128, 256)


class Clock(lightning.Callback):
    """Counts events and the time of steps from the end of the warm-up on, and ends the training
    after some seconds."""

    def __init__(self, seconds: float):
        self.seconds, self.n_batches = seconds, 0
        self.n_events, self.n_images, self.busy = 0, 0, 0.0

    def on_train_start(self, trainer, pl_module):
        self.n_events_of_epoch = len(trainer.datamodule.training)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.step_begun = time.perf_counter()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        now = time.perf_counter()
        self.n_batches += 1
        if self.n_batches == WARM_UP:
            self.begun, self.cpu_begun = now, time.process_time()
        if self.n_batches <= WARM_UP:
            return
        self.busy += now - self.step_begun
        self.n_events += batch.n_events
        self.n_images += sum(len(images.event) for images in batch.images.values())
        self.passed, self.cpu = now - self.begun, time.process_time() - self.cpu_begun
        trainer.should_stop = self.passed > self.seconds


def measure(
    file, device, threads, seconds, grouping, workers, batch_size, telescopes, network, training
):
    """Figures of one training."""
    torch.set_num_threads(threads)
    experiment = Experiment.model_validate(
        {
            "data": {
                "train": [str(file)],
                "telescopes": telescopes,
                "grouping": grouping,
                "validation_fraction": 0.0,
            },
            "network": network,
            "training": {
                "batch_size": batch_size,
                "workers": workers,
                "accelerator": "gpu" if device == "cuda" else "cpu",
                **training,
            },
        }
    )
    clock = clocked(experiment, seconds)
    return {
        "events_per_s": round(clock.n_events / clock.passed, 1),
        "images_per_s": round(clock.n_images / clock.passed, 1),
        "images_per_event": round(clock.n_images / clock.n_events, 2),
        "waiting": round(1 - clock.busy / clock.passed, 4),
        "peak_MB": round(peak(device) / 1e6),
        "batches": clock.n_batches - WARM_UP,
    }


def clocked(experiment: Experiment, seconds: float) -> Clock:
    """Train for some seconds after the warm-up, without validation."""
    settings, tasks = experiment.training, build_tasks(experiment.tasks)
    index = EventIndex.build(
        find_files(experiment.data.train, "data.train"),
        experiment.data,
        parameters=columns_of(experiment.network.parameters),
    )
    prepared = prepare(experiment, index, tasks, progress=False)
    clock = Clock(seconds)
    trainer = make_trainer(
        settings,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        callbacks=[clock],
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    with warnings.catch_warnings():
        # Lightning's advice on worker numbers.
        warnings.filterwarnings("ignore", module=r"lightning\.pytorch")
        trainer.fit(
            prepared.module,
            datamodule=EventDataModule(prepared.training, prepared.validation, settings),
        )
    return clock


def peak(device) -> int:
    """Most memory that this process has had, in bytes."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    # getrusage would tell the peak of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024


class Benchmark:
    """What all figures share."""

    def __init__(self, file: Path, device: str, threads: int, seconds: float):
        self.file, self.common = file, (file, device, threads, seconds)

    def __call__(self, name: str, **changes) -> dict:
        options = {
            "grouping": "stereo",
            "workers": 2,
            "batch_size": 64,
            "telescopes": None,
            "network": SHIPPED,
            "training": {},
            **changes,
        }
        # Its processes may start the loader's, which those of a Pool may not.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            values = pool.submit(measure, *self.common, **options).result()
        print(
            f"{name:32s}{values['events_per_s']:9.1f} events/s {values['images_per_s']:9.1f} "
            f"images/s, waiting {100 * values['waiting']:5.1f} %, peak {values['peak_MB']:6d} MB",
            flush=True,
        )
        return values


def workers(benchmark):
    """Mono and stereo with 0, 1 and 2 workers."""
    return {
        f"{grouping}, {n} workers": benchmark(
            f"{grouping}, {n} workers", grouping=grouping, workers=n
        )
        for grouping in ("mono", "stereo")
        for n in (0, 1, 2)
    }


def telescopes(benchmark):
    """Growth with the number of telescopes."""
    index = EventIndex.build([benchmark.file], Experiment().data)
    ids = sorted({int(tel_id) for tel_id in index.images["tel_id"]})
    numbers = sorted({1, 2, 4, len(ids)} & set(range(1, len(ids) + 1)))
    return {f"{n} telescopes": benchmark(f"{n} telescopes", telescopes=ids[:n]) for n in numbers}


def batch(benchmark):
    """Growth with the size of the batch."""
    return {
        f"batches of {size}": benchmark(f"batches of {size}", batch_size=size)
        for size in BATCH_SIZES
    }


def network(benchmark):
    """Growth with the network."""
    return {name: benchmark(name, network=settings) for name, settings in NETWORKS.items()}


def precision(benchmark):
    """Single and half precision and torch.compile, as published, with eight workers: for a GPU."""
    modes = {
        "single": {},
        "bfloat16": {"precision": "bf16-mixed"},
        "bfloat16, compiled": {"precision": "bf16-mixed", "compile": True},
    }
    return {
        f"batches of {size}, {mode}": benchmark(
            f"batches of {size}, {mode}",
            batch_size=size,
            network=NETWORKS["gammaphysnet, as published"],
            training=training,
            workers=8,
        )
        for size in (64, 512)
        for mode, training in modes.items()
    }


FIGURES = {f.__name__: f for f in (workers, telescopes, batch, network, precision)}


def simulated(folder: Path, array: str, n_showers: int) -> Path:
    """The file to learn from, simulated where it is missing."""
    path = folder / f"training_{array}_{n_showers}.dl1.h5"
    if not path.exists():
        from gammalearn.simulation import simulate

        settings = SimulationSettings(output=path, array=array, n_showers=n_showers, **SIMULATION)
        simulate(settings, processes=os.cpu_count())
    return path


def main():
    """Read the command line, make the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--figures", nargs="+", choices=FIGURES, help="by default all of a device")
    parser.add_argument("--file", type=Path, help="DL1 file to learn from, instead of simulating")
    parser.add_argument("--array", default="lst4", help="to simulate (default: %(default)s)")
    parser.add_argument("--n-showers", type=int, default=1000, help="to simulate")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="of the training process")
    parser.add_argument("--seconds", type=float, default=30.0, help="that a figure is measured for")
    options = parser.parse_args()

    options.output.mkdir(parents=True, exist_ok=True)
    file = options.file or simulated(options.output, options.array, options.n_showers)
    benchmark = Benchmark(file, options.device, options.threads, options.seconds)
    on_cpu = options.device == "cpu"
    path = options.output / ("training.json" if on_cpu else "training_cuda.json")
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in options.figures or [name for name in FIGURES if name != "precision" or not on_cpu]:
        print(f"--- {FIGURES[name].__doc__}")
        results[name] = {
            "figures": FIGURES[name](benchmark),
            "command": f"benchmarks/training.py --device {options.device} --figures {name} "
            f"--threads {options.threads} --seconds {options.seconds:g}",
            "file": f"{file.name}, {file.stat().st_size / 1e6:.0f} MB",
            "machine": machine(options.device),
            "torch": str(torch.__version__),
        }
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
