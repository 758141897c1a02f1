"""Figures of loading: images/s into batches, and memory.

    python benchmarks/loading.py -o DIR              # simulates 20 000 images first (minutes)
    python benchmarks/loading.py -o DIR --file my.dl1.h5

Every figure is of one training process whose only work is to load; with 0 workers it reads itself
and is one core. An epoch is measured from its first batch on, after the workers have started (the
time that takes stands beside it). For the compressed file the system's page cache is emptied of it.
The loops beside are what a data set of single images does: read a row with PyTables, stack 64.
Prints every figure and writes them to DIR/loading.json.
"""

import argparse
import json
import os
import platform
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
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def n_images(batch) -> int:
    """Images of a batch."""
    return sum(len(images.event) for images in batch.images.values())


def loaded(path: Path, grouping: str, workers: int, cache: Path | None, **changes) -> dict:
    """Images/s of an epoch, in random order, with some settings of the data changed."""
    settings = DataSettings(grouping=grouping, cache_directory=cache, **changes)
    index = EventIndex.build([path], settings)
    packed = pack_images(index, settings, progress=False) if cache else None
    dataset = EventDataset(index, settings, packed=packed)
    forget(path)
    loader = event_loader(dataset, BATCH_SIZE, workers, shuffle_seed=1, augment=True)
    start = time.perf_counter()
    batches = iter(loader)
    next(batches)
    begun = time.perf_counter()
    count = sum(n_images(batch) for batch in batches)
    rate = count / (time.perf_counter() - begun)
    dataset.close()
    return {"images_per_s": round(rate), "s_to_first_batch": round(begun - start, 2)}


def row_by_row(path: Path, shuffled: bool) -> dict:
    """Images/s of a loop over rows."""
    rng = np.random.default_rng(1)
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


def peak_memory(path: Path, repeats: int, cache: Path | None) -> dict:
    """MB of a process that indexes the file so many times over and loads 1000 batches."""
    command = [sys.executable, __file__, "--memory-of", str(repeats), "--file", str(path)]
    command += ["-o", str(cache)] if cache else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure_memory(path: Path, repeats: int, cache: Path | None) -> dict:
    """What :func:`peak_memory` runs."""
    settings = DataSettings(grouping="mono", cache_directory=cache)
    index = EventIndex.build([path] * repeats, settings)
    packed = pack_images(index, settings, progress=False) if cache else None
    loader = event_loader(EventDataset(index, settings, packed=packed), BATCH_SIZE, shuffle_seed=1)
    for number, _ in enumerate(loader):
        if number == 1000:
            break
    # getrusage would tell the peak of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    return {"images": len(index.images), "peak_MB": round(peak)}


def main():
    """Read the command line, make the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="folder to write to")
    parser.add_argument("--file", type=Path, help="ctapipe DL1 file to load")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory_of:
        print(json.dumps(measure_memory(options.file, options.memory_of, options.output)))
        return
    if options.output is None:
        parser.error("the following arguments are required: -o/--output")
    options.output.mkdir(parents=True, exist_ok=True)
    path, cache = options.file or simulated(options.output), options.output / "cache"
    figures = {}

    def figure(name, values):
        figures[name] = values
        print(f"{name:40}", ", ".join(f"{k} {v}" for k, v in values.items()), flush=True)

    for shuffled in (True, False):
        name = "random" if shuffled else "sequential"
        figure(f"row by row, {name}", row_by_row(path, shuffled))
    for grouping in ("mono", "stereo"):
        for where in ("HDF5", "packed"):
            for workers in (0, 1, 2):
                values = loaded(path, grouping, workers, cache if where == "packed" else None)
                figure(f"{grouping}, {where}, {workers} workers", values)
    for name, changes in CHANGES.items():
        for where in ("HDF5", "packed"):
            values = loaded(path, "stereo", 0, cache if where == "packed" else None, **changes)
            figure(f"stereo, {where}, {name}", values)
    for where in ("HDF5", "packed"):
        for repeats in (1, 10):
            values = peak_memory(path, repeats, cache if where == "packed" else None)
            figure(f"memory, {where}, file {repeats} times", values)
    results = {
        "figures": figures,
        "command": "benchmarks/loading.py",
        "file": f"{path.stat().st_size / 1e6:.0f} MB",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    (options.output / "loading.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
