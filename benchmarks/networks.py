"""What each network learns in minutes: all tasks, on events that it has not seen.

    python benchmarks/networks.py -o DIR                               # 80 minutes on two cores
    python benchmarks/networks.py -o DIR --networks conv4 --minutes 4

Each network of `network.encoder`, in a size for minutes, is trained as `gammalearn` trains it with
experiment_settings/lst_stereo.py, but of the images alone (without their parameters and the
geometry) and with the depth of maximum as a fifth task, for as many epochs and with as many events
as fit into the minutes; the step size goes to nothing over them.
Minutes are those of all threads at work, so that others on the machine do not matter: the time of
the processor over the number of threads, from the beginning of `gammalearn` to the end of its
report. How fast a network is, is measured before. Run where data/ is, or is to be simulated.

The figures are of other showers than those of the training, gammas from all over the field of view
(DIFFUSE, simulated where they are missing) and the test's protons. Of energies, directions, impact
points and depths they are the distance from the truth that 68 % of the gammas stay within, of
particle types 1 − AUC. The constant beside is the one value that does best on these same events,
found with their truth. Its figure over the network's has to be as REQUIRED says. Prints the
figures, writes them to DIR/networks.json, and ends with status 1 where one is not good enough.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
import typing
from pathlib import Path

import astropy.units as u
import numpy as np
import torch
from astropy.coordinates import AltAz, SkyCoord
from astropy.table import vstack
from ctapipe.io import TableLoader
from engine import machine
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score
from training import clocked

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.settings import NetworkSettings
from gammalearn.settings.reading import load_experiment, override
from gammalearn.simulation.on_demand import make_missing

#: Gammas to judge by, as those that are learnt from but for the seed.
DIFFUSE = {"output": "data/networks/gamma.dl1.h5", "n_showers": 300, "seed": 5, "run": 5}
PROTONS = "data/test/proton.dl1.h5"

SETTINGS = Path(__file__).parents[1] / "experiment_settings" / "lst_stereo.py"

#: All but the network without an encoder.
NETWORKS = typing.get_args(NetworkSettings.model_fields["encoder"].annotation)[1:]

#: Widths and blocks where the network's own are for hours, as those of the shipped experiments.
SIZES = {
    "gammaphysnet": ([8, 16, 32], 1),
    "gammaphysnet_deep": ([8, 16, 32], 3),
    "convnext": ([16, 32], 1),
    "transformer": ([64], 2),
}

#: What makes the shipped experiment one of images alone.
IMAGES_ALONE = (
    "network.parameters=[]",
    "network.geometry=false",
    "network.embedding=256",
    "network.head=128",
)

#: Events a step: half as many as in the shipped experiment, for twice as many steps.
BATCH_SIZE = 16

#: How many times better than the best constant each task has to be.
REQUIRED = {
    "particle_type": 2.0,
    "energy": 1.5,
    "direction": 3.0,
    "impact": 1.5,
    "depth_of_maximum": 1.1,
}

UNITS = {
    "particle_type": "1 − AUC",
    "energy": "decades",
    "direction": "deg",
    "impact": "m",
    "depth_of_maximum": "g/cm²",
}

#: Seconds that the speed is measured for, and the share of the minutes that is then planned with:
#: events are validated, reconstructed and evaluated too.
SECONDS, PLANNED = 15.0, 0.7


def train(name: str, folder: Path, minutes: float, threads: int, seed: int) -> dict:
    """Train a network and reconstruct the test events; how that went."""
    widths, blocks = SIZES.get(name, ("null", "null"))
    changes = [
        f"network.encoder={name}",
        f"network.widths={widths}",
        f"network.blocks={blocks}",
        *IMAGES_ALONE,
        f"tasks=[{', '.join(REQUIRED)}]",
        f"data.test=[{DIFFUSE['output']}, {PROTONS}]",
        f"training.batch_size={BATCH_SIZE}",
        f"training.seed={seed}",
    ]
    experiment = override(load_experiment(SETTINGS), [*changes, "training.schedule=constant"])
    torch.set_num_threads(threads)
    clock = clocked(experiment, SECONDS)
    speed = clock.n_events / clock.cpu * threads
    n_events = PLANNED * 60 * minutes * speed
    epochs = math.ceil(n_events / clock.n_events_of_epoch)
    # Of gammas and protons, and some more to validate.
    of_particle = round(n_events / epochs / 2 / (1 - experiment.data.validation_fraction))
    changes += [f"training.epochs={epochs}", f"data.events_per_particle={of_particle}"]
    command = ["gammalearn", str(SETTINGS), "--overwrite", "--quiet", "--output", str(folder)]
    for change in changes:
        command += ["--set", change]
    before, begun = cpu_of_children(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", *command],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    trained = load_checkpoint(folder / "checkpoints" / "best.ckpt")
    return {
        "parameters": sum(parameter.numel() for parameter in trained.network.parameters()),
        "events_per_s": round(speed, 1),
        "events_of_epoch": trained.trained_on.training_events,
        "epochs": epochs,
        "minutes": round((cpu_of_children() - before) / threads / 60, 2),
        "minutes_on_the_clock": round((time.perf_counter() - begun) / 60, 2),
        "settings": changes,
    }


def cpu_of_children() -> float:
    """Seconds that the processor has spent on the processes that this one has started."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def reconstructed(folder: Path):
    """The events of all DL2 files that were reconstructed."""
    parts = []
    for path in sorted(folder.glob("*.dl2.h5")):
        with TableLoader(path, dl2=True, simulated=True) as loader:
            parts.append(loader.read_subarray_events())
    events = vstack(parts, metadata_conflicts="silent")
    return events[np.isfinite(events["GammaLearn_energy"])]


def distance_68(values: np.ndarray, truth: np.ndarray) -> float:
    """Distance from the truth that 68 % of the events stay within.

    Parameters
    ----------
    values : ndarray, shape (n_events, n_coordinates) or (n_coordinates,)
    truth : ndarray, shape (n_events, n_coordinates)
    """
    return float(np.quantile(np.linalg.norm(values - truth, axis=1), ONE_SIGMA_QUANTILE))


def best_constant_68(truth: np.ndarray) -> float:
    """The least that `distance_68` has of any constant.

    Parameters
    ----------
    truth : ndarray, shape (n_events, n_coordinates)
    """
    starts = np.vstack([truth, truth.mean(axis=0), np.median(truth, axis=0)])
    figures = [distance_68(start, truth) for start in starts]
    best = starts[np.argmin(figures)]
    return float(minimize(distance_68, best, args=(truth,), method="Nelder-Mead").fun)


def figures(events) -> dict[str, tuple[float, float]]:
    """Figure of each task, and that of the best constant."""
    is_gamma = np.asarray(events["true_shower_primary_id"]) == 0
    gammas = events[is_gamma]
    source = SkyCoord(
        alt=np.median(gammas["true_alt"].quantity),
        az=np.median(gammas["true_az"].quantity),
        frame=AltAz(),
    )
    values, truth = (coordinates(gammas, whose, source) for whose in ("GammaLearn", "true"))
    auc = roc_auc_score(is_gamma, np.asarray(events["GammaLearn_prediction"]))
    return {"particle_type": (1 - auc, 0.5)} | {
        task: (distance_68(values[task], truth[task]), best_constant_68(truth[task]))
        for task in truth
    }


def coordinates(events, whose: str, source: SkyCoord) -> dict[str, np.ndarray]:
    """What is reconstructed, or true, in the units that it is judged in, of shape (n_events, n)."""

    def column(name, unit):
        return events[f"{whose}_{name}"].quantity.to_value(unit)

    direction = SkyCoord(
        alt=column("alt", "deg") * u.deg, az=column("az", "deg") * u.deg, frame=AltAz()
    ).transform_to(source.skyoffset_frame())
    return {
        "energy": np.log10(column("energy", "TeV"))[:, None],
        "direction": np.column_stack([direction.lon.wrap_at("180d").deg, direction.lat.deg]),
        "impact": np.column_stack([column("core_x", "m"), column("core_y", "m")]),
        "depth_of_maximum": column("x_max", "g cm-2")[:, None],
    }


def judge(name: str, folder: Path, minutes: float, threads: int, seed: int) -> dict:
    """Train a network, print what it has learnt."""
    result = train(name, folder, minutes, threads, seed)
    in_time = result["minutes"] <= minutes
    print(
        f"{name}: {result['parameters']} parameters, {result['epochs']} epochs of "
        f"{result['events_of_epoch']} events in {result['minutes']} minutes"
        + ("" if in_time else f": more than {minutes:g}, FAILED")
    )
    events = reconstructed(folder / "dl2")
    result |= {"test_events": len(events), "figures": {}, "passed": in_time}
    for task, (figure, constant) in figures(events).items():
        factor, required = constant / figure, REQUIRED[task]
        passed = bool(factor >= required)
        result["passed"] &= passed
        result["figures"][task] = {
            "figure": round(figure, 4),
            "constant": round(constant, 4),
            "factor": round(factor, 3),
            "required": required,
            "passed": passed,
        }
        print(
            f"  {task:18s}{figure:9.3f} {UNITS[task]:8s} constant {constant:8.3f}, "
            f"{factor:6.2f} times as good, {required:g} required: "
            + ("passed" if passed else "FAILED"),
            flush=True,
        )
    return result


def main() -> int:
    """Read the command line, make the figures; 1 where one is not good enough."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--minutes", type=float, default=10.0, help="that each is trained for")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    shipped = load_experiment(SETTINGS)
    diffuse = shipped.simulation[0].model_copy(update=DIFFUSE)
    files = {"data.train": shipped.data.train, "data.test": [PROTONS, diffuse.output]}
    make_missing([*shipped.simulation, diffuse], files)
    options.output.mkdir(parents=True, exist_ok=True)
    path, all_passed = options.output / "networks.json", True
    for name in options.networks:
        result = judge(name, options.output / name, options.minutes, options.threads, options.seed)
        all_passed &= result["passed"]
        # Read again: another network may have been trained meanwhile.
        results = json.loads(path.read_text()) if path.exists() else {}
        results[name] = {
            **result,
            "command": f"benchmarks/networks.py --networks {name} --minutes {options.minutes:g} "
            f"--threads {options.threads} --seed {options.seed}",
            "machine": machine("cpu"),
            "torch": str(torch.__version__),
        }
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return 0 if all_passed else 1


if __name__ == "__main__":
    sys.exit(main())
