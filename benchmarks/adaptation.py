"""What is lost where the sky and the camera are not those of the training, and what wins it back.

    python benchmarks/adaptation.py -o docs/results --seeds 1 2
    python benchmarks/adaptation.py -o DIR --seeds 1 --targets "night sky x 4" --methods nothing mmd

A small network learns from simulated mono events of one LST under a dark sky, and is tested on
events of other conditions, the targets. Each method is trained with each seed. Files are made in
the folder of --data; results are added to DIR/adaptation.json as they come, and what is there is
not trained again. DIR/adaptation.md has the figures in a table for each target.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import tables
import torch
from ablations import reconstructed
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms
from engine import machine
from sklearn.metrics import roc_auc_score
from telescopes import write_page

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.data import EventDataset, EventIndex
from gammalearn.nn import for_inference
from gammalearn.run.experiment import index_training, unlabelled_events
from gammalearn.settings import DataSettings, Experiment, SimulationSettings
from gammalearn.simulation import showers, simulate
from gammalearn.simulation.instrument import array
from gammalearn.simulation.showers import ShowerSimulation
from gammalearn.simulation.telescopes import telescope_model
from gammalearn.tasks import build_tasks
from gammalearn.training import fit

#: Photoelectrons that the dark night sky gives in the integration window of an LST.
LST = telescope_model("LST")
DARK_SKY = LST.nsb_rate * LST.window_width / LST.sampling

IMAGES = "/dl1/event/telescope/images/tel_001"

SHOWERS = {
    "gamma": {"energy": (0.05, 5), "viewcone": "1 deg", "scatter": "200 m"},
    "proton": {"energy": (0.1, 10), "viewcone": "2 deg", "scatter": "300 m"},
}

#: Files of each kind of events: what they are for, and the seed of their showers.
PARTS = {"train": 1, "target": 2, "test": 3}

#: What all methods have in common.
MONO = DataSettings(grouping="mono", telescopes=["LST"])


@dataclass(frozen=True)
class Target:
    """Conditions of sky and camera.

    Attributes
    ----------
    sky, mirror : float
        Night sky and reflectivity, relative to those of the training; simulated.
    dead : float
        Fraction of the pixels that are missing, the same in all images.
    gains : float
        Relative standard deviation of the pixels' gains, the same in all images.
    augmentation : dict
        Settings of ``data.augmentation`` that make the same conditions, as far as there are any.
    """

    sky: float = 1.0
    mirror: float = 1.0
    dead: float = 0.0
    gains: float = 0.0
    augmentation: tuple = ()

    @property
    def simulated(self) -> str:
        """What files with its sky and mirrors are called."""
        return f"sky_{self.sky:g}_mirror_{self.mirror:g}"


TARGETS = {
    "the training's own": Target(),
    "night sky x 2": Target(sky=2, augmentation=(("nsb", DARK_SKY),)),
    "night sky x 4": Target(sky=4, augmentation=(("nsb", 3 * DARK_SKY),)),
    "80 % reflectivity": Target(mirror=0.8),
    "3 % dead pixels": Target(dead=0.03, augmentation=(("pixel_dropout", 0.03),)),
    "10 % wrong gains": Target(gains=0.1, augmentation=(("gain_jitter", 0.1),)),
}

DOMAIN = {"domain": {"weight": 0.3, "conditional": True}}
ADAPTATIONS = {
    "domain": DOMAIN,
    "coral": {"coral": {"weight": 100.0, "conditional": True}},
    "mmd": {"mmd": {"weight": 1.0, "conditional": True}},
    "deepjdot": {"deepjdot": {"weight": 0.1}},
}

#: Methods that need no events of the target; the others are trained for each target.
WITHOUT_TARGET = ("nothing", "several skies", "several skies, condition")
METHODS = (
    *WITHOUT_TARGET,
    "augmentation",
    "unlabelled",
    *ADAPTATIONS,
    "augmentation and domain",
    "target's labels",
)

FIGURES = {
    "auc": "AUC",
    "energy_bias": "energy bias",
    "energy_resolution": "energy resolution",
    "angular_resolution": "direction, 68 % within (deg)",
    "a_distance": "A-distance",
}

HEAD = """\
# Adaptation in numbers

`{command}`, {machine}

A network learns from simulated events of one LST under a dark sky and is tested on events of other
conditions. It is small: four convolutional layers of eight features, {n_train} training events,
{epochs} epochs. The numbers therefore compare methods. They are not the performance of an analysis.
[Adapt a network](../howto/adaptation.md) explains the methods.

- *nothing*: trained on the dark sky.
- *several skies*: the same events, half of them with additional night sky, up to five times the
  dark sky.
- *several skies, condition*: the same, with `network.condition=[nsb, bad_pixels]`.
- *augmentation*: `data.augmentation` with the conditions of the target. There is none for the
  mirrors.
- *unlabelled*: unlabelled events of the target, a quarter of each batch, without an adaptation
  task, with `data.unlabelled_statistics`. They change the statistics of the batch
  normalisations only.
- *domain*, *coral*, *mmd*, *deepjdot*: the same events with an adaptation task.
- *augmentation and domain*: both together.
- *target's labels*: trained on the target's events with their truth. This is the bound.

Unlabelled events have the same shares of gammas and protons as the training events. Observed events
do not, which makes their use harder. Bias and resolution of the energy are the median and the
half-width of E_reco / E_true - 1. {errors}
"""


class _OtherConditions(ShowerSimulation):
    """Showers over telescopes with another sky and other mirrors."""

    def __init__(self, settings, target: Target):
        def changed(name):
            made = array(name)
            models = tuple(
                replace(
                    model,
                    nsb_rate=target.sky * model.nsb_rate,
                    efficiency=target.mirror * model.efficiency,
                )
                for model in made.models
            )
            return replace(made, models=models)

        with patch.object(showers, "array", changed):
            super().__init__(settings)


def showers_of(
    path: Path, part: str, particle: str, n_showers: int, **changes: object
) -> SimulationSettings:
    """What is simulated of one particle over one LST, for training or test."""
    return SimulationSettings(
        output=str(path),
        particle=particle,
        array="lst1",
        n_showers=n_showers * (1 if particle == "gamma" else 3),
        reuse=5,
        seed=PARTS[part],
        **SHOWERS[particle],
        **changes,
    )


def simulated(folder: Path, target: Target, part: str, particle: str, n_showers: int) -> Path:
    """The file of one particle with the sky and mirrors of a target, made where it is missing."""
    path = folder / f"{particle}_{part}_{target.simulated}.dl1.h5"
    if not path.exists():
        settings = showers_of(path, part, particle, n_showers)
        make = partial(_OtherConditions, target=target)
        simulate(settings, processes=1, progress=False, simulation=make)
    return path


def altered(path: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """A copy of a file whose images (p.e.) are changed, made where it is missing."""
    copy = path.with_name(path.name.replace(".dl1.h5", f"_{name}.dl1.h5"))
    if copy.exists():
        return copy
    part = copy.with_suffix(".part")
    shutil.copyfile(path, part)
    with tables.open_file(part, "a") as file:
        table = file.get_node(IMAGES)
        stored = get_column_transforms(get_column_attrs(table))["image"]
        images = change(stored.inverse(table.col("image")))
        table.modify_column(colname="image", column=stored(images))
    part.rename(copy)
    return copy


def with_camera(path: Path, target: Target) -> Path:
    """A file with the dead pixels and wrong gains of a target, the same in all images."""
    random = np.random.default_rng(5)

    def change(images):
        n_pixels = images.shape[1]
        images = images * (1 + target.gains * random.standard_normal(n_pixels))
        images[:, random.random(n_pixels) < target.dead] = np.nan
        return images

    if not (target.dead or target.gains):
        return path
    return altered(path, f"dead_{target.dead:g}_gains_{target.gains:g}", change)


def with_skies(path: Path) -> Path:
    """A file where every other image has additional night sky, each another one."""
    random = np.random.default_rng(6)

    def change(images):
        mean = random.uniform(0, 5 * DARK_SKY, (len(images), 1))
        mean[::2] = 0
        return images + random.poisson(np.broadcast_to(mean, images.shape)) - mean

    return altered(path, "skies", change)


def files(folder: Path, target: Target, part: str, n_showers: int) -> list[str]:
    """Gammas and protons of a target."""
    return [
        str(with_camera(simulated(folder, target, part, particle, n_showers), target))
        for particle in SHOWERS
    ]


def training(seed: int, epochs: int) -> dict[str, object]:
    """How small networks are trained here."""
    return {
        "epochs": epochs,
        "batch_size": 32,
        "learning_rate": 3e-3,
        "schedule": "one_cycle",
        "seed": seed,
        "accelerator": "cpu",
    }


def experiment(method: str, target: Target, seed: int, options) -> Experiment:
    """The settings of a method."""
    train = files(options.data, TARGETS["the training's own"], "train", options.showers)
    data = MONO.model_dump(exclude_unset=True)
    network = {"encoder": "conv4", "widths": [8] * 4, "embedding": 32, "head": 32}
    tasks = {"particle_type": {}, "energy": {"weight": 3}, "direction": {}}
    if method.startswith("several skies"):
        train = [str(with_skies(Path(path))) for path in train]
    if method == "several skies, condition":
        network["condition"] = ["nsb", "bad_pixels"]
    if method.startswith("augmentation"):
        data["augmentation"] = dict(target.augmentation)
    if method == "target's labels":
        train = files(options.data, target, "target", options.showers)
    adaptations = ADAPTATIONS.get(method, DOMAIN if method.endswith("and domain") else {})
    if method == "unlabelled":
        data["unlabelled_statistics"] = True
    if adaptations or method == "unlabelled":
        data["unlabelled"] = files(options.data, target, "target", options.showers)
    return Experiment.model_validate(
        {
            "data": {**data, "train": train},
            "network": network,
            "tasks": {**tasks, **adaptations},
            "training": training(seed, options.epochs),
        }
    )


def figures(checkpoint: Path, paths: list[str], experiment: Experiment) -> dict[str, float]:
    """AUC, energy and direction of the events of some files."""
    trained = load_checkpoint(checkpoint)
    index = EventIndex.build(
        [Path(path) for path in paths], experiment.data, cameras=trained.cameras
    )
    dataset = EventDataset(index, experiment.data)
    outputs, rows = reconstructed(for_inference(trained.network), dataset)
    events = index.events[rows]
    is_gamma = np.asarray(events["particle"]) == "gamma"
    found = {"auc": float(roc_auc_score(is_gamma, outputs["particle_type"][:, 0].numpy()))}
    for name in ("energy", "direction"):
        truth = torch.from_numpy(trained.tasks[name].truth(events)[is_gamma])
        found |= trained.tasks[name].metrics(outputs[name][torch.from_numpy(is_gamma)], truth)
    return found


def last_distance(folder: Path) -> float | None:
    """The A-distance at the end of a training."""
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    curves = next(c["history"] for c in state["callbacks"].values() if "history" in c)
    points = curves.get("validation/a_distance")
    return points[-1][1] if points else None


def trained(method: str, target: str, seed: int, options) -> dict[str, dict]:
    """Train a method; its figures for each target that it is of."""
    made = experiment(method, TARGETS[target], seed, options)
    tasks = build_tasks(made.tasks)
    index = index_training([Path(path) for path in made.data.train], made, tasks)
    others = unlabelled_events(made, index)
    begun = time.process_time()
    tested = options.targets if method in WITHOUT_TARGET else [target]
    with tempfile.TemporaryDirectory() as folder:
        summary = fit(made, index, tasks, Path(folder), progress=False, unlabelled=others)
        seconds = round(time.process_time() - begun)
        distance = last_distance(Path(folder))
        found = {}
        for name in tested:
            paths = files(options.data, TARGETS[name], "test", options.showers)
            of_target = figures(summary.checkpoint, paths, made)
            if distance is not None and name == target:
                of_target["a_distance"] = distance
            found[name] = {k: round(v, 4) for k, v in of_target.items()} | {"cpu_s": seconds}
    return found


def cell(values: list[float]) -> str:
    """Mean over the seeds, and its error where there are several."""
    if not values:
        return ""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
    return f"{np.mean(values):.3f}" + ("" if error is None else f" ± {error:.3f}")


def seeds_of(found: dict) -> set[str]:
    """Seeds that any method was trained with."""
    return {seed for of_target in found.values() for m in of_target.values() for seed in m}


def page(results: dict) -> str:
    """The page, in Markdown."""
    setup, found = results["setup"], results["figures"]
    seeds = seeds_of(found)
    errors = (
        f"Errors are those of the mean over {len(seeds)} seeds of the training. The events are the "
        "same."
        if len(seeds) > 1
        else "Each method was trained once. How much another seed changes was not measured, so "
        "only large differences count."
    )
    lines = [HEAD.format(**setup, errors=errors)]
    for target, of_target in found.items():
        lines += [f"## {target.capitalize()}", ""]
        lines += [f"| method | {' | '.join(FIGURES.values())} |", "|---" * 6 + "|"]
        for method in (m for m in METHODS if m in of_target):
            of_seeds = of_target[method].values()
            cells = [
                cell([figures[name] for figures in of_seeds if name in figures]) for name in FIGURES
            ]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def wanted(options) -> list[tuple[str, str]]:
    """Method and target of each training, those first that need no target."""
    pairs = []
    for method in options.methods:
        targets = options.targets[:1] if method in WITHOUT_TARGET else options.targets
        for target in targets:
            useless = method.startswith("augmentation") and not TARGETS[target].augmentation
            own = target == "the training's own" and method not in WITHOUT_TARGET
            if not useless and not own:
                pairs.append((method, target))
    return pairs


def main() -> None:
    """Read the command line, train what is not there yet, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--data", type=Path, default=Path("data/adaptation"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--showers", type=int, default=700, help="gamma showers of each file")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.data.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "adaptation.json"
    results = json.loads(path.read_text()) if path.exists() else {"figures": {}}
    found = results["figures"]
    for seed in options.seeds:
        for method, target in wanted(options):
            if str(seed) in found.get(target, {}).get(method, {}):
                continue
            for name, of_target in trained(method, target, seed, options).items():
                found.setdefault(name, {}).setdefault(method, {})[str(seed)] = of_target
                print(f"{name}, {method}, seed {seed}: {of_target}", flush=True)
            own = files(options.data, TARGETS["the training's own"], "train", options.showers)
            results["setup"] = {
                "command": f"python benchmarks/adaptation.py -o docs/results --seeds "
                f"{' '.join(sorted(seeds_of(found)))} --showers {options.showers} "
                f"--epochs {options.epochs}",
                "machine": machine("cpu"),
                "n_train": len(EventIndex.build([Path(p) for p in own], MONO)),
                "epochs": options.epochs,
            }
            path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
            write_page(options.output / "adaptation.md", page(results))


if __name__ == "__main__":
    main()
