"""One network for the whole sky: figures against the zenith angle, at the nodes and between them.

    python benchmarks/whole_sky.py -o docs/results --data DIR --seeds 1
    python benchmarks/whole_sky.py -o DIR --data DIR --seeds 1 2 3 --showers 2000 --epochs 20

Networks of image parameters learn from simulated stereo events of four LSTs at nodes of zenith and
azimuth, and are tested at the nodes and halfway between them. One knows the pointing
(`network.condition=[pointing]`), one does not, and one learned at a single node of the middle.
Files are made in the folder of --data. DIR/whole_sky.json has the figures, DIR/whole_sky.md the
tables and DIR/whole_sky.png the curves.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable
from engine import machine
from matplotlib.figure import Figure
from telescopes import write_page

from gammalearn.plotting.style import PALETTE, picture_style
from gammalearn.run.experiment import run
from gammalearn.run.options import RunOptions
from gammalearn.settings import Experiment
from gammalearn.simulation import simulate

#: Zenith and azimuth (deg) of the nodes, and of the tests: at nodes, between them and beyond.
NODES = [(20, 0), (20, 180), (40, 0), (40, 180), (55, 0), (55, 180)]
TESTS = [(zenith, azimuth) for azimuth in (0, 180) for zenith in (20, 30, 40, 47.5, 55)]

#: The light pool grows with the zenith angle, and fewer photons of it reach a telescope.
SHOWERS = {
    "gamma": {"energy": (0.05, 10), "viewcone": "1.5 deg", "scatter": "400 m"},
    "proton": {"energy": (0.15, 20), "viewcone": "2.5 deg", "scatter": "400 m"},
}

#: Methods: the condition of the network, and the nodes that it learns from.
METHODS = {
    "knows the pointing": (["pointing"], NODES),
    "does not know it": ([], NODES),
    "one node (40, 180)": ([], [(40, 180)]),
}

FIGURES = {
    "energy_bias": "energy bias",
    "energy_resolution": "energy resolution",
    "angular_resolution_68": "direction, 68 % within (deg)",
    "auc": "AUC",
}

HEAD = """\
# One network for the whole sky

`{command}`, {machine}

Networks of image parameters (no pixels) learn from simulated stereo events of four LSTs. The nodes
are at 20°, 40° and 55° from the zenith, {where}. {n_train}
are in the training, {epochs} epochs. Tests are at the nodes and between them (30° and 47.5°). The
networks are small and have few events, so the numbers compare methods. They are not the performance
of an analysis.

- *knows the pointing*: trained at all nodes, with `network.condition=[pointing]`.
- *does not know it*: the same events without the condition.
- *one node*: trained at 40° to the South only, with as many events as one node has.

Bias and resolution of the energy are the median and half of the central 68 % of
E_reco / E_true - 1. Errors are those of a bootstrap over showers{of_seeds}. *Step* is the
figure between two nodes minus the mean of these nodes, weighted by the angle, with its error.

![Figures against the zenith angle](whole_sky.png)
"""


def main() -> None:
    arguments = parsed()
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "whole_sky.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for seed in arguments.seeds:
        for method in arguments.methods:
            name = f"{method}, seed {seed}"
            if name not in found:
                found[name] = measure(method, seed, arguments)
                path.write_text(json.dumps(found, indent=1) + "\n")
                print(name, f"{found[name]['seconds']:.0f} s", flush=True)
            write(found, output, arguments)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--showers", type=int, default=300, help="gammas at each node")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument(
        "--azimuths", type=int, nargs="+", default=[0, 180], choices=[0, 180], help="of the nodes"
    )
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    return parser.parse_args()


def simulations(folder: Path, n_showers: int, azimuths: list[int]) -> list[dict]:
    """The files of training and tests, of all nodes."""
    made = []
    for particle, settings in SHOWERS.items():
        for part, nodes, seed in (("train", NODES, 1), ("test", TESTS, 2)):
            name = f"{part}/{particle}_{{zenith}}_{{azimuth}}.dl1.h5"
            number = n_showers * (1 if particle == "gamma" else 2) // (1 if part == "train" else 2)
            made.append(
                {
                    **settings,
                    "output": str(folder / name),
                    "particle": particle,
                    "n_showers": number,
                    "nodes": [node for node in nodes if node[1] in azimuths],
                    "seed": seed,
                    "run": 100 * len(made) + 1,
                }
            )
    return made


def measure(method: str, seed: int, arguments: argparse.Namespace) -> dict:
    """Train a network, and its figures at each pointing of the tests."""
    condition, nodes = METHODS[method]
    nodes = [node for node in nodes if node[1] in arguments.azimuths]
    folder = Path(arguments.data).resolve() / f"{arguments.showers}_showers"
    experiment = Experiment(
        simulation=simulations(folder, arguments.showers, arguments.azimuths),
        data={
            "train": [f"{folder}/train/*_{zenith}_{azimuth}.dl1.h5" for zenith, azimuth in nodes],
            "test": [f"{folder}/test/*.dl1.h5"],
            "telescopes": ["LST"],
            "grouping": "stereo",
            "min_multiplicity": 2,
            "cuts": {"image": ["hillas_intensity > 50"]},
            "channels": [],
        },
        network={
            "encoder": "none",
            "parameters": "all",
            "geometry": True,
            "condition": condition,
            "embedding": 64,
            "head": 64,
        },
        tasks={"particle_type": {}, "energy": {"weight": 3}, "direction": {}},
        training={
            "epochs": arguments.epochs,
            "learning_rate": 2e-3,
            "schedule": "one_cycle",
            "weight_averaging": 0.99,
            "seed": seed,
            "accelerator": "cpu",
        },
    )
    for file in experiment.simulation:
        if not Path(file.output).exists():
            Path(file.output).parent.mkdir(parents=True, exist_ok=True)
            # Files are small, and each process would import everything again.
            simulate(file, processes=1, progress=False)
    start = time.perf_counter()
    temporary = Path(tempfile.mkdtemp())
    try:
        run(experiment, temporary / "run", RunOptions(progress=False))
        table = QTable.read(temporary / "run" / "evaluation" / "by_pointing.ecsv")
        metrics = json.loads((temporary / "run" / "metrics.json").read_text())
    finally:
        shutil.rmtree(temporary)
    rows = [
        {
            "zenith": float(row["zenith"].to_value(u.deg)),
            "azimuth": float(row["azimuth"].to_value(u.deg)),
            "n_events": int(row["n_events"]),
            **{
                f"{name}{end}": float(u.Quantity(row[f"{name}{end}"]).value)
                for name in FIGURES
                for end in ("", "_error")
            },
        }
        for row in table
    ]
    return {"rows": rows, "seconds": time.perf_counter() - start, "n_test": metrics["n_events"]}


def write(found: dict, output: Path, arguments: argparse.Namespace) -> None:
    """The page and the picture."""
    of_method = {
        method: [result["rows"] for name, result in found.items() if name.startswith(f"{method},")]
        for method in METHODS
    }
    curves = {method: joined(runs) for method, runs in of_method.items() if runs}
    with picture_style():
        draw(curves).savefig(output / "whole_sky.png")
    command = "python benchmarks/whole_sky.py -o docs/results --data DIR --seeds "
    command += f"{' '.join(map(str, arguments.seeds))} --showers {arguments.showers} "
    command += f"--epochs {arguments.epochs} --azimuths {' '.join(map(str, arguments.azimuths))}"
    n_nodes = sum(azimuth in arguments.azimuths for _, azimuth in NODES)
    n_showers = arguments.showers * 10 * n_nodes
    several = max(map(len, of_method.values())) > 1
    head = HEAD.format(
        command=command,
        machine=machine("cpu"),
        n_train=f"{n_showers} simulated impact points of gammas and {2 * n_showers} of protons",
        epochs=arguments.epochs,
        where=" and ".join({0: "to the North", 180: "to the South"}[a] for a in arguments.azimuths),
        of_seeds=", and the scatter of the seeds" if several else "; there is one seed only",
    )
    write_page(output / "whole_sky.md", head + "\n".join(tables(curves)))


def joined(runs: list[list[dict]]) -> list[dict]:
    """Mean of the runs at each pointing; errors hold the scatter of the runs."""
    rows = []
    for same in zip(*runs, strict=True):
        row = {name: same[0][name] for name in ("zenith", "azimuth", "n_events")}
        for name in FIGURES:
            values = [one[name] for one in same]
            error = np.mean([one[f"{name}_error"] for one in same])
            scatter = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0
            row[name], row[f"{name}_error"] = (
                float(np.mean(values)),
                float(np.hypot(error, scatter)),
            )
        rows.append(row)
    return rows


def steps(rows: list[dict], name: str) -> list[tuple[float, float, float, float]]:
    """Zenith, azimuth, step and its error, of each test between two nodes."""
    of_place = {(row["zenith"], row["azimuth"]): row for row in rows}
    found = []
    for (zenith, azimuth), row in of_place.items():
        if (zenith, azimuth) in NODES:
            continue
        below = max(z for z, a in NODES if a == azimuth and z < zenith)
        above = min(z for z, a in NODES if a == azimuth and z > zenith)
        share = (zenith - below) / (above - below)
        ends = of_place[below, azimuth], of_place[above, azimuth]
        mean = (1 - share) * ends[0][name] + share * ends[1][name]
        errors = [row, *ends]
        weights = [1, 1 - share, share]
        error = np.sqrt(
            sum((w * e[f"{name}_error"]) ** 2 for w, e in zip(weights, errors, strict=True))
        )
        found.append((zenith, azimuth, row[name] - mean, float(error)))
    return found


def tables(curves: dict[str, list[dict]]) -> list[str]:
    """A table of each figure, and of the steps."""
    lines = []
    for name, words in FIGURES.items():
        lines += [
            f"\n## {words[0].upper()}{words[1:]}\n",
            f"| zenith, azimuth | {' | '.join(curves)} |",
        ]
        lines.append("|" + "---|" * (len(curves) + 1))
        for number, row in enumerate(next(iter(curves.values()))):
            cells = [
                f"{rows[number][name]:.3f} ± {rows[number][f'{name}_error']:.3f}"
                for rows in curves.values()
            ]
            kind = "" if (row["zenith"], row["azimuth"]) in NODES else " (between)"
            place = f"{row['zenith']:g}°, {row['azimuth']:g}°{kind}"
            lines.append(f"| {place} | {' | '.join(cells)} |")
    lines += ["\n## Steps between the nodes\n", f"| figure, place | {' | '.join(curves)} |"]
    lines.append("|" + "---|" * (len(curves) + 1))
    for name, words in FIGURES.items():
        for values in zip(*(steps(rows, name) for rows in curves.values()), strict=True):
            zenith, azimuth = values[0][:2]
            cells = [f"{step:+.3f} ± {error:.3f}" for _, _, step, error in values]
            lines.append(f"| {words}, {zenith:g}°, {azimuth:g}° | {' | '.join(cells)} |")
    return lines


def draw(curves: dict[str, list[dict]]) -> Figure:
    """Each figure against the zenith angle; azimuth 0 dashed, 180 solid."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    for axes, (name, words) in zip(figure.subplots(2, 2).reshape(-1), FIGURES.items(), strict=True):
        for number, (method, rows) in enumerate(curves.items()):
            for azimuth, style in ((180, "-"), (0, "--")):
                mine = sorted(
                    (row for row in rows if row["azimuth"] == azimuth), key=lambda r: r["zenith"]
                )
                if not mine:
                    continue
                axes.errorbar(
                    [row["zenith"] for row in mine],
                    [row[name] for row in mine],
                    yerr=[row[f"{name}_error"] for row in mine],
                    color=PALETTE[number],
                    linestyle=style,
                    marker="o",
                    markersize=4,
                    label=method if azimuth == 180 else None,
                )
        for zenith in sorted({zenith for zenith, _ in NODES}):
            axes.axvline(zenith, color="0.8", linewidth=1, zorder=0)
        axes.set_xlabel("zenith angle (deg); lines: nodes")
        axes.set_ylabel(words)
    figure.axes[0].legend()
    if len({row["azimuth"] for rows in curves.values() for row in rows}) > 1:
        figure.suptitle("Solid: to the South. Dashed: to the North.")
    return figure


if __name__ == "__main__":
    main()
