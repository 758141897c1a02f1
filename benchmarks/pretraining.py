"""What a pre-training without labels is worth, where labels are few.

    python benchmarks/pretraining.py -o docs/results --seeds 1 2 3
    python benchmarks/pretraining.py -o DIR --seeds 1 --showers 100 --fractions 16 1

A small network learns to reconstruct hidden patches of all training images, without their truth.
Then it learns from some of the truth: with the encoder of the pre-training, and without. The
events of the training are the same ones in both cases, and so is the number of epochs. Files are
those of adaptation.py, made in the folder of --data; results are added to DIR/pretraining.json as
they come, and what is there is not trained again. DIR/pretraining.md has the learning curve.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from adaptation import MONO, TARGETS, cell, figures, files, training
from engine import machine
from telescopes import write_page

from gammalearn.data import EventIndex
from gammalearn.run.experiment import index_training
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks
from gammalearn.training import fit

OWN = TARGETS["the training's own"]

#: Tasks of the pre-trainings.
PRETRAININGS = {"none": {}, "reconstruction": {"reconstruction": {}}}

#: What is compared.
FIGURES = {
    "auc": "AUC",
    "energy_bias": "energy bias",
    "energy_resolution": "energy resolution",
    "angular_resolution": "direction, 68 % within (deg)",
}

HEAD = """\
# Pre-training in numbers

`{command}`, {machine}

A network learns from simulated gammas and protons over one LST. It is small: four convolutional
layers of eight features. [Learn without labels](../howto/pretraining.md) explains the method.

- *Pre-training*: `reconstruction` of hidden patches of all {n_train} training images, {epochs}
  epochs, without truth.
- *Training*: particle type, energy and direction, from the truth of all events, a quarter and a
  sixteenth of them. A training has {epochs} epochs with all events and {few} with a sixteenth, with
  the pre-training and without it. The pre-training is not counted in them.

Bias and resolution of the energy are the median and the half-width of E_reco / E_true - 1 of
{n_test} test events. {errors}
"""


def n_epochs(fraction: int, options: argparse.Namespace) -> int:
    """Epochs of a training from one event in ``fraction``: more where a step has seen less."""
    return options.epochs * round(np.sqrt(fraction))


def experiment(
    tasks: dict, seed: int, epochs: int, options: argparse.Namespace, **changes
) -> Experiment:
    """The settings of a training."""
    data = MONO.model_dump(exclude_unset=True)
    data["train"] = files(options.data, OWN, "train", options.showers)
    data["events_per_particle"] = changes.pop("events_per_particle", None)
    return Experiment.model_validate(
        {
            "data": data,
            "network": {"encoder": "conv4", "widths": [8] * 4, "embedding": 32, "head": 32},
            "tasks": tasks,
            "training": {**training(seed, epochs), **changes},
        }
    )


def fitted(made: Experiment, folder: Path) -> Path:
    """Train, and give the best checkpoint."""
    tasks = build_tasks(made.tasks)
    index = index_training([Path(path) for path in made.learned_files], made, tasks)
    return fit(made, index, tasks, folder, progress=False).checkpoint


def trained(
    fraction: int, seed: int, initial: Path | None, n_events: int, options: argparse.Namespace
) -> dict[str, float]:
    """The figures of a training from one event in ``fraction``."""
    quantities = {"particle_type": {}, "energy": {"weight": 3}, "direction": {}}
    begins = {} if initial is None else {"initial": str(initial)}
    made = experiment(
        quantities,
        seed,
        n_epochs(fraction, options),
        options,
        events_per_particle=n_events // fraction,
        **begins,
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = fitted(made, Path(folder))
        found = figures(checkpoint, files(options.data, OWN, "test", options.showers), made)
    return {name: round(value, 4) for name, value in found.items()}


def page(results: dict) -> str:
    """The page, in Markdown."""
    setup, found = results["setup"], results["figures"]
    seeds = {seed for of_fraction in found.values() for m in of_fraction.values() for seed in m}
    errors = (
        f"Errors are those of the mean over {len(seeds)} seeds of both trainings; the events are "
        "the same for all but the share of the labels."
        if len(seeds) > 1
        else "Each training was done once, so only large differences count."
    )
    lines = [HEAD.format(**setup, errors=errors), "## The learning curve", ""]
    lines += [f"| labels | pre-training | {' | '.join(FIGURES.values())} |", "|---" * 6 + "|"]
    for fraction in sorted(found, key=int, reverse=True):
        for name in PRETRAININGS:
            of_seeds = found[fraction].get(name, {}).values()
            cells = [cell([figures[figure] for figures in of_seeds]) for figure in FIGURES]
            share = "all" if int(fraction) == 1 else f"1/{fraction}"
            lines.append(f"| {share} | {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *results.get("remarks", [])]).rstrip() + "\n"


def main() -> None:
    """Read the command line, train what is not there yet, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--data", type=Path, default=Path("data/adaptation"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--fractions", nargs="+", type=int, default=[16, 4, 1])
    parser.add_argument("--showers", type=int, default=700, help="gamma showers of each file")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.data.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "pretraining.json"
    results = json.loads(path.read_text()) if path.exists() else {"figures": {}}
    index = EventIndex.build(
        [Path(p) for p in files(options.data, OWN, "train", options.showers)], MONO
    )
    tests = [Path(p) for p in files(options.data, OWN, "test", options.showers)]
    results["setup"] = {
        "command": f"python benchmarks/pretraining.py -o docs/results --seeds "
        f"{' '.join(map(str, options.seeds))} --fractions "
        f"{' '.join(map(str, options.fractions))} --showers {options.showers} --epochs "
        f"{options.epochs}",
        "machine": machine("cpu"),
        "n_train": len(index),
        "n_test": len(EventIndex.build(tests, MONO)),
        "epochs": options.epochs,
        "few": n_epochs(16, options),
    }
    n_events = max(index.particle_counts().values())
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            for name, tasks in PRETRAININGS.items():
                initial = None
                for fraction in options.fractions:
                    known = results["figures"].setdefault(str(fraction), {}).setdefault(name, {})
                    if str(seed) in known:
                        continue
                    begun = time.process_time()
                    if tasks and initial is None:
                        made = experiment(tasks, seed, options.epochs, options)
                        initial = fitted(made, Path(folder) / name)
                    known[str(seed)] = trained(fraction, seed, initial, n_events, options)
                    seconds = time.process_time() - begun
                    print(f"1/{fraction}, {name}, seed {seed}: {known[str(seed)]}", end=" ")
                    print(f"({seconds:.0f} s)", flush=True)
                    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
                    write_page(options.output / "pretraining.md", page(results))


if __name__ == "__main__":
    main()
