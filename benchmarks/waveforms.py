"""Waveforms against charges and times, on the same showers.

    python benchmarks/waveforms.py -o docs/results --seeds 1 2 3
    python benchmarks/waveforms.py -o DIR --seeds 1 --showers 60

A small network learns from simulated events of one LST: from the charge and the time of each pixel,
and from these and the samples of the readout. Files are made in the folder of --data. Each training
is a process of its own, so that its memory can be measured, on one thread. Results are added to
DIR/waveforms.json as they come, and what is there is not trained again. DIR/waveforms.md has the
figures by energy, the speed and the memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ablations import reconstructed
from adaptation import SHOWERS, cell, showers_of, training
from engine import machine
from sklearn.metrics import roc_auc_score
from telescopes import write_page

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.data import EventDataset, EventIndex
from gammalearn.nn import for_inference
from gammalearn.run.experiment import index_training
from gammalearn.settings import Experiment
from gammalearn.simulation import simulate
from gammalearn.tasks import build_tasks
from gammalearn.training import fit

#: What the networks see.
INPUTS = {"images": "charges and times", "waveforms": "charges, times and waveforms"}

#: Ends of the bins of the true energy (TeV).
ENERGIES = (0.05, 0.15, 0.5, 5.0)

#: Figures of all events, and of the gammas of each bin.
OF_ALL = {"auc": "AUC", "energy_bias": "energy bias"}
OF_BINS = {
    "energy_resolution": "energy resolution",
    "angular_resolution": "direction, 68 % within (deg)",
}
COSTS = {
    "events_per_s": "events/s, training",
    "predicted_per_s": "events/s, prediction",
    "peak_MB": "memory at the peak (MB)",
}

HEAD = """\
# Waveforms in numbers

`{command}`, {machine}, one thread

A network learns from {n_train} simulated events of one LST, and is tested on {n_test} others. It is
small: four convolutional layers of eight features, {epochs} epochs. The numbers therefore compare
inputs. They are not the performance of an analysis.
[Learn from waveforms](../howto/waveforms.md) explains the input. The waveforms have 40 samples, of
which `network.temporal_channels` makes 4 channels.

Bias and resolution of the energy are the median and the half-width of E_reco / E_true - 1.
{errors}
"""


def files(folder: Path, part: str, n_showers: int) -> list[str]:
    """Gammas and protons of one part, with waveforms, made where they are missing."""
    paths = []
    for particle in SHOWERS:
        path = folder / f"{particle}_{part}.dl1.h5"
        if not path.exists():
            made = showers_of(path, part, particle, n_showers, waveforms=True)
            simulate(made, processes=1, progress=False)
        paths.append(str(path))
    return paths


def experiment(kind: str, seed: int, options: argparse.Namespace) -> Experiment:
    """The settings of a training."""
    return Experiment.model_validate(
        {
            "data": {
                "grouping": "mono",
                "telescopes": ["LST"],
                "input": kind,
                "samples": 40,
                "train": files(options.data, "train", options.showers),
            },
            "network": {
                "encoder": "conv4",
                "widths": [8] * 4,
                "embedding": 32,
                "head": 32,
                "temporal_channels": 4,
            },
            "tasks": {"particle_type": {}, "energy": {"weight": 3}, "direction": {}},
            "training": training(seed, options.epochs),
        }
    )


def measure(kind: str, seed: int, options: argparse.Namespace) -> dict:
    """Train and test in this process: figures, speed and memory."""
    torch.set_num_threads(1)
    made = experiment(kind, seed, options)
    tasks = build_tasks(made.tasks)
    index = index_training([Path(path) for path in made.data.train], made, tasks)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        summary = fit(made, index, tasks, Path(folder), progress=False)
        seconds = time.perf_counter() - begun
        trained = load_checkpoint(summary.checkpoint)
    tests = [Path(path) for path in files(options.data, "test", options.showers)]
    dataset = EventDataset(EventIndex.build(tests, made.data, cameras=trained.cameras), made.data)
    begun = time.perf_counter()
    outputs, rows = reconstructed(for_inference(trained.network), dataset)
    predicting = time.perf_counter() - begun
    events = dataset.index.events[rows]
    is_gamma = np.asarray(events["particle"]) == "gamma"
    found = {"auc": float(roc_auc_score(is_gamma, outputs["particle_type"][:, 0].numpy()))}
    energy = np.asarray(events["true_energy"], dtype=float)
    for low, high in [(0.0, np.inf), *zip(ENERGIES, ENERGIES[1:], strict=False)]:
        chosen = is_gamma & (energy >= low) & (energy < high)
        of_bin = {"gammas": int(chosen.sum())}
        for name in ("energy", "direction"):
            truth = torch.from_numpy(tasks[name].truth(events)[chosen])
            of_bin |= tasks[name].metrics(outputs[name][torch.from_numpy(chosen)], truth)
        found |= of_bin if low == 0 else {f"{low:g} to {high:g} TeV": of_bin}
    return {
        **found,
        "n_train": len(index),
        "n_test": len(rows),
        "events_per_s": len(index) * options.epochs / seconds,
        "predicted_per_s": len(rows) / predicting,
        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def page(results: dict) -> str:
    """The page, in Markdown."""
    found = results["figures"]
    first = next(iter(next(iter(found.values())).values()))
    seeds = {seed for of_input in found.values() for seed in of_input}
    errors = (
        f"Errors are those of the mean over {len(seeds)} seeds of the training; the events are the "
        "same."
        if len(seeds) > 1
        else "Each training was done once, so only large differences count."
    )
    text = HEAD.format(
        **results["setup"], **{k: first[k] for k in ("n_train", "n_test")}, errors=errors
    )

    def table(names: dict[str, str], of_seed: Callable, written: Callable = cell) -> list[str]:
        lines = [f"| input | {' | '.join(names.values())} |", "|---" * (len(names) + 1) + "|"]
        for kind, of_input in found.items():
            values = [[of_seed(one)[name] for one in of_input.values()] for name in names]
            lines.append(f"| {INPUTS[kind]} | {' | '.join(map(written, values))} |")
        return lines

    def rounded(values: list[float]) -> str:
        return f"{np.mean(values):.0f}"

    lines = [text, "## All energies", "", *table(OF_ALL | OF_BINS, lambda one: one), ""]
    for bin_ in (name for name in first if name.endswith("TeV")):
        lines += [f"## Gammas of {bin_} ({first[bin_]['gammas']} events)", ""]
        lines += [*table(OF_BINS, lambda one, bin_=bin_: one[bin_]), ""]
    lines += ["## Cost", "", *table(COSTS, lambda one: one, rounded), ""]
    return "\n".join([*lines, *results.get("remarks", [])]).rstrip() + "\n"


def main() -> None:
    """Read the command line, train what is not there yet, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--data", type=Path, default=Path("data/waveforms"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--showers", type=int, default=300, help="gamma showers of each file")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--measure", choices=INPUTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    if options.measure:
        print(json.dumps(measure(options.measure, options.seeds[0], options)))
        return
    for part in ("train", "test"):
        files(options.data, part, options.showers)
    path = options.output / "waveforms.json"
    results = json.loads(path.read_text()) if path.exists() else {"figures": {}}
    numbers = ["--showers", str(options.showers), "--epochs", str(options.epochs)]
    for seed in options.seeds:
        for kind in INPUTS:
            known = results["figures"].setdefault(kind, {})
            if str(seed) in known:
                continue
            command = [sys.executable, __file__, "--measure", kind, "--seeds", str(seed), *numbers]
            command += ["-o", str(options.output), "--data", str(options.data)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            known[str(seed)] = json.loads(done.stdout.splitlines()[-1])
            print(f"{kind}, seed {seed}: {known[str(seed)]}", flush=True)
            results["setup"] = {
                "command": "python benchmarks/waveforms.py -o docs/results --seeds "
                f"{' '.join(sorted(known))} {' '.join(numbers)}",
                "machine": machine("cpu"),
                "epochs": options.epochs,
            }
            write_page(path, json.dumps(results, indent=1) + "\n")
            if all(results["figures"].get(name) for name in INPUTS):
                write_page(options.output / "waveforms.md", page(results))


if __name__ == "__main__":
    main()
