"""Supernovae of the SNPCC: a network and trees on features, with the published splits.

The Supernova Photometric Classification Challenge (Kessler et al. 2010) is a public set of
simulated light curves for DES in griz. Two splits are in the literature:

- half: a random half to the other half;
- confirmed: the objects with a spectrum, which are bright and near, to all others.

    python benchmarks/supernovae.py snpcc.tar.xz half confirmed --results docs/results

The archive is unpacked into a temporary folder. Each case is one run of ``gammalearn``; its folder
has the report.
"""

import argparse
import json
import platform
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

from gammalearn import __version__
from gammalearn.run.options import RunOptions
from gammalearn.run.surveys import run_survey
from gammalearn.settings.reading import override
from gammalearn.settings.surveys import SupernovaExperiment
from gammalearn.surveys.catalogue import Catalogue, read_catalogue, write_catalogue
from gammalearn.surveys.readers import read_objects

#: Bytes of the archive's content: light curves of 20 000 objects have 300 MB.
MOST_BYTES = 2**31

#: What differs between the cases.
SETTINGS = {
    "half": {
        "data": {"validation_fraction": 0.05, "mask_fraction": 0.15},
        "tasks": {
            "type_ia": {"weight": 1.0},
            "supernova_type": {"weight": 0.3},
            "auto_encoder": {"weight": 0.1},
        },
        "training": {"epochs": 20},
    },
    "confirmed": {
        "data": {
            "labels": "confirmed",
            "validation_fraction": 0.1,
            # Spectra were taken of type Ia rather than of others: 559, 144 and 400 objects.
            "type_fractions": {"Ia": 0.34, "Ibc": 0.2, "II": 0.46},
            "redshifted_fraction": 0.7,
            "unlabelled_fraction": 0.3,
            "repeats": 3,
            "mask_fraction": 0.15,
        },
        "tasks": {
            "type_ia": {"weight": 1.0},
            "supernova_type": {"weight": 0.3},
            "auto_encoder": {"weight": 0.1},
            "contrast": {"weight": 0.1},
        },
        "training": {"epochs": 15},
    },
}

#: The same for all cases.
TRAINING = {
    "batch_size": 64,
    "learning_rate": 1e-3,
    "schedule": "one_cycle",
    "weight_decay": 0.01,
    "gradient_clipping": 5.0,
    "weight_averaging": 0.995,
}


def unpack(archive: Path) -> Catalogue:
    """The objects of the archive, by way of a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            if sum(member.size for member in tar.getmembers()) > MOST_BYTES:
                raise SystemExit(f"{archive} is larger than the SNPCC.")
            tar.extractall(folder, filter="data")
        return read_objects(sorted(Path(folder).rglob("*.DAT")))


def split(objects: Catalogue, case: str, seed: int) -> tuple[Catalogue, Catalogue]:
    """Objects to learn from, those without a type included, and objects to classify."""
    confirmed = np.asarray(objects.objects["confirmed"], dtype=bool)
    if case == "confirmed":
        # Those without a spectrum take part without their type.
        return objects, objects.select(~confirmed)
    is_first = np.random.default_rng(seed).permutation(len(objects)) < len(objects) // 2
    return objects.select(is_first), objects.select(~is_first)


def run_case(objects: Catalogue, case: str, arguments: argparse.Namespace) -> dict:
    """Run one case; its figures."""
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = dict(zip(("train", "test"), split(objects, case, arguments.seed), strict=True))
    for name, part in parts.items():
        write_catalogue(part, folder / f"{case}_{name}.h5")
    settings = SETTINGS[case]
    experiment = SupernovaExperiment(
        data={
            **settings["data"],
            **{name: [str(folder / f"{case}_{name}.h5")] for name in parts},
        },
        tasks=settings["tasks"],
        training={**TRAINING, **settings["training"], "seed": arguments.seed},
    )
    experiment = override(experiment, arguments.set)
    start = time.monotonic()
    cpu = time.process_time()
    output = folder / f"{case}{arguments.name}"
    metrics = run_survey(
        experiment, output, RunOptions(overwrite=True, progress=arguments.progress)
    )
    return {
        **metrics,
        "minutes": (time.monotonic() - start) / 60,
        "minutes_of_cores": (time.process_time() - cpu) / 60,
        "settings": arguments.set,
        "epochs": experiment.training.epochs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("archive", type=Path, help="snpcc.tar.xz, or a catalogue made of it (.h5)")
    parser.add_argument("cases", nargs="+", choices=list(SETTINGS))
    parser.add_argument("--folder", default="runs/snpcc", help="where the runs go")
    parser.add_argument("--results", type=Path, help="folder for supernovae.json")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="settings, as for gammalearn")
    parser.add_argument("--name", default="", help="what the folders' names end in")
    parser.add_argument("--progress", action="store_true")
    arguments = parser.parse_args()
    if arguments.archive.suffix == ".h5":
        objects = read_catalogue(arguments.archive)
    else:
        objects = unpack(arguments.archive)
        Path(arguments.folder).mkdir(parents=True, exist_ok=True)
        write_catalogue(objects, Path(arguments.folder) / "snpcc.h5")
    for case in arguments.cases:
        found = run_case(objects, case, arguments)
        print(case, json.dumps(found, indent=1))
        if arguments.results:
            path = arguments.results / "supernovae.json"
            before = json.loads(path.read_text()) if path.exists() else {}
            before[f"{case}{arguments.name}"] = {
                **found,
                "seed": arguments.seed,
                "gammalearn": __version__,
                "machine": platform.processor() or platform.machine(),
            }
            path.write_text(json.dumps(before, indent=2) + "\n")


if __name__ == "__main__":
    main()
