"""Figures of loading: images/s into batches, and memory.

    python benchmarks/loading.py -o DIR              # simulates 20 000 images first (minutes)
    python benchmarks/loading.py -o DIR --file my.dl1.h5

Every figure is of one training process whose only work is to load; with 0 workers it reads itself
and is one core. The second epoch is measured, from its beginning to its end, as the workers have
started by then (the time that takes stands beside it). The system's page cache is emptied of the
compressed file before.
The loops beside are what a data set of single images does: read a row with PyTables, stack 64; each
rate has its ratio to that loop in random order, the order that a training needs.
Prints every figure and writes them to DIR/loading.json. The simulated file and the packed images
are kept in another folder (--data).
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tables
import torch

from gammalearn.data import EventDataset, EventIndex, event_loader, pack_images
from gammalearn.settings import DataSettings, SimulationSettings

BATCH_SIZE = 64
EVENTS_OF_THE_LOOP = 3000

#: Four LSTs see some 25 000 images of these gammas.
SIMULATION = {
    "particle": "gamma",
    "array": "lst4",
    "n_showers": 1000,
    "energy": (0.1, 5.0),
    "viewcone": 2.5,
    "scatter": 250.0,
    "seed": 1,
}

#: Where images are read from: the file, compressed and not in memory, or the packed cache.
PLACES = ("HDF5", "packed")

#: Settings of the data that cost time.
CLEANED = ["charge", "peak_time", "cleaning_mask"]
CHANGES = {
    **{
        method: {"channels": CLEANED, "cleaning": {"method": method, "applied_to": ["peak_time"]}}
        for method in ("tailcuts_clean", "mars_cleaning_1st_pass", "nsb_image_cleaning")
    },
    "telescope_dropout": {"augmentation": {"telescope_dropout": 0.2}},
    "nsb": {"augmentation": {"nsb": 1.0}},
}


def simulated(folder: Path, name: str = "loading.dl1.h5", **changes) -> Path:
    """The file to load, simulated where it is missing."""
    path = folder / name
    if not path.exists():
        from gammalearn.simulation import simulate

        settings = SimulationSettings(output=path, **{**SIMULATION, **changes})
        simulate(settings, processes=os.cpu_count())
    return path


def forget(path: Path) -> None:
    """Empty the page cache of a file."""
    with path.open("rb") as file:
        # What is not on disk yet is not forgotten.
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def n_images(batch) -> int:
    """Images of a batch."""
    return sum(len(images.event) for images in batch.images.values())


def loaded(
    path: Path, cache: Path, seed: int, grouping: str, where: str, workers: int = 0, **changes
) -> dict:
    """Images/s of an epoch, in random order, with some settings of the data changed."""
    settings = DataSettings(grouping=grouping, cache_directory=cache, **changes)
    index = EventIndex.build([path], settings)
    packed = pack_images(index, settings, progress=False) if where == "packed" else None
    dataset = EventDataset(index, settings, packed=packed)
    loader = event_loader(dataset, BATCH_SIZE, workers, shuffle_seed=seed, augment=True)
    start = time.perf_counter()
    batches = iter(loader)
    next(batches)
    to_first_batch = time.perf_counter() - start
    for _ in batches:
        pass
    loader.sampler.set_epoch(1)
    forget(path)
    start = time.perf_counter()
    count = sum(n_images(batch) for batch in loader)
    rate = count / (time.perf_counter() - start)
    loader.close()
    dataset.close()
    return {"images_per_s": round(rate), "s_to_first_batch": round(to_first_batch, 2)}


def row_by_row(path: Path, seed: int, shuffled: bool) -> dict:
    """Images/s of a loop over rows."""
    rng = np.random.default_rng(seed)
    with tables.open_file(path) as file:
        telescopes = file.list_nodes("/dl1/event/telescope/images")
        rows = [(t, row) for t in telescopes for row in range(t.nrows)]
        if shuffled:
            rows = [rows[i] for i in rng.permutation(len(rows))]
        forget(path)
        rows = rows[:EVENTS_OF_THE_LOOP]
        start = time.perf_counter()
        for first in range(0, len(rows), BATCH_SIZE):
            images = [table[row] for table, row in rows[first : first + BATCH_SIZE]]
            torch.stack([torch.from_numpy(np.stack([i["image"], i["peak_time"]])) for i in images])
        return {"images_per_s": round(len(rows) / (time.perf_counter() - start))}


def peak_memory(options: argparse.Namespace, path: Path, where: str, repeats: int) -> dict:
    """MB of a process that indexes the file so many times over and loads 1000 batches."""
    command = [sys.executable, __file__, "--memory-of", where, str(repeats), "--file", str(path)]
    command += ["--data", str(options.data), "--seed", str(options.seed), "-o", "."]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure_memory(path: Path, cache: Path, seed: int, where: str, repeats: int) -> dict:
    """What :func:`peak_memory` runs."""
    settings = DataSettings(grouping="mono", cache_directory=cache)
    index = EventIndex.build([path] * repeats, settings)
    packed = pack_images(index, settings, progress=False) if where == "packed" else None
    dataset = EventDataset(index, settings, packed=packed)
    for number, _ in enumerate(event_loader(dataset, BATCH_SIZE, shuffle_seed=seed)):
        if number == 1000:
            break
    # getrusage would tell the peak of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    return {"images": len(index.images), "peak_MB": round(peak)}


def main():
    """Read the command line, make the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--file", type=Path, help="ctapipe DL1 file to load")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data/benchmark"),
        help="folder of the simulated file and the cache (default: %(default)s)",
    )
    parser.add_argument(
        "--n-showers", type=int, default=SIMULATION["n_showers"], help="to simulate"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cache, seed = options.data / "cache", options.seed
    if options.memory_of:
        where, repeats = options.memory_of
        print(json.dumps(measure_memory(options.file, cache, seed, where, int(repeats))))
        return
    # Not for the processes whose memory is measured.
    from engine import machine

    for folder in (options.output, options.data):
        folder.mkdir(parents=True, exist_ok=True)
    path = options.file or simulated(
        options.data,
        f"loading_{options.n_showers}_{seed}.dl1.h5",
        n_showers=options.n_showers,
        seed=seed,
    )
    figures = {}

    def figure(name, values):
        figures[name] = values
        print(f"{name:40}", ", ".join(f"{k} {v}" for k, v in values.items()), flush=True)

    def rate(name, values):
        naive = figures["row by row, random"]["images_per_s"]
        figure(name, {**values, "ratio": round(values["images_per_s"] / naive, 1)})

    figure("row by row, random", row_by_row(path, seed, shuffled=True))
    rate("row by row, sequential", row_by_row(path, seed, shuffled=False))
    for grouping in ("mono", "stereo"):
        for where in PLACES:
            for workers in (0, 1, 2):
                values = loaded(path, cache, seed, grouping, where, workers)
                rate(f"{grouping}, {where}, {workers} workers", values)
    for name, changes in CHANGES.items():
        for where in PLACES:
            rate(f"stereo, {where}, {name}", loaded(path, cache, seed, "stereo", where, **changes))
    for where in PLACES:
        few, many = (peak_memory(options, path, where, repeats) for repeats in (1, 10))
        figure(f"memory, {where}", few)
        growth = round(many["peak_MB"] / few["peak_MB"] - 1, 3)
        figure(f"memory, {where}, the file 10 times", {**many, "growth": growth})
    results = {
        "figures": figures,
        "command": shlex.join(["benchmarks/loading.py", *sys.argv[1:]]),
        "seed": seed,
        "file": f"{path.name}, {path.stat().st_size / 1e6:.0f} MB",
        "machine": machine("cpu"),
        "torch": str(torch.__version__),
    }
    (options.output / "loading.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
