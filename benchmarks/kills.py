"""Commands that are killed at random moments: what is there is whole, and the rerun ends the same.

    python benchmarks/kills.py -o docs/results                  # some twenty minutes of two cores
    python benchmarks/kills.py -o DIR --times 2 --commands predict

Each command runs once to its end. It is then started again in an empty folder and killed with
SIGKILL at a random moment, some times, each time in a folder of its own. Every file that has its
final name after that must be whole. The command that a user would repeat must then end with the
values of the first one. The counts are in DIR/kills.json.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tables
import yaml
from engine import machine

from gammalearn.io.writing import write_whole

SETTINGS = Path(__file__).parents[1] / "experiment_settings" / "lst_stereo.py"

#: A network and a training that take seconds.
SMALL = [
    "network.encoder=conv4",
    "network.widths=[2, 4, 4, 4]",
    "network.embedding=8",
    "network.head=8",
    "training.epochs=4",
    "training.batch_size=16",
]


@dataclass(frozen=True)
class Command:
    """A command and how a user repeats it.

    Attributes
    ----------
    words : callable
        Words after ``gammalearn``, given the folder to write to.
    again : tuple of str
        What is added where it was killed.
    values : callable
        What it has found, given the folder.
    """

    words: Callable[[Path], list]
    again: tuple[str, ...]
    values: Callable[[Path], object]


def _metrics(name: str) -> Callable[[Path], object]:
    return lambda folder: json.loads((folder / "out" / name).read_text("utf-8"))


def _tables(group: str) -> Callable[[Path], object]:
    """All tables below a group of all HDF5 files."""

    def read(folder: Path):
        found = {}
        for path in sorted(folder.rglob("*.h5")):
            with tables.open_file(path) as file:
                for table in file.walk_nodes(group, "Table"):
                    found[path.name, table._v_pathname] = repr(table[:].tolist())
        return found

    return read


def commands(data: Path, trained: Path) -> dict[str, Command]:
    """The commands, by name.

    Parameters
    ----------
    data : Path
        Folder of ``gamma.dl1.h5`` and ``proton.dl1.h5``.
    trained : Path
        Folder of a run on them.
    """
    files = [str(data / "gamma.dl1.h5"), str(data / "proton.dl1.h5")]
    of_data = [
        f"{name}={json.dumps(value)}"
        for name, value in (("data.train", files), ("data.test", files), ("simulation", []))
    ]
    changes = [word for change in [*SMALL, *of_data] for word in ("--set", change)]
    dl2 = str(trained / "dl2" / "*.dl2.h5")
    network = str(trained / "checkpoints" / "best.ckpt")
    gammas = ["--particle", "gamma", "--n-showers", "60", "--energy", "100 GeV", "1 TeV"]
    return {
        "simulate": Command(
            lambda folder: ["simulate", *gammas, "-o", folder / "gamma.dl1.h5"],
            ("--overwrite",),
            _tables("/dl1"),
        ),
        "run": Command(
            lambda folder: ["run", SETTINGS, *changes, "-o", folder / "out"],
            ("--resume",),
            _metrics("metrics.json"),
        ),
        "predict": Command(
            lambda folder: ["predict", network, *files, "-o", folder / "out"], (), _tables("/dl2")
        ),
        "evaluate": Command(
            lambda folder: ["evaluate", dl2, "-o", folder / "out"],
            ("--overwrite",),
            _metrics("metrics.json"),
        ),
        "compare": Command(
            lambda folder: [
                *("compare", trained, trained, "--labels", "first", "second"),
                *("-o", folder / "out"),
            ],
            ("--overwrite",),
            _metrics("comparison.json"),
        ),
    }


def start(words) -> subprocess.Popen:
    """Start `gammalearn` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gammalearn", *map(str, words), "-q"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(words) -> float:
    """Run `gammalearn` to its end; how long that took (s)."""
    begun = time.monotonic()
    process = start(words)
    _, errors = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"gammalearn {shlex.join(map(str, words))}: {errors.decode()}")
    return time.monotonic() - begun


def damaged(folder: Path) -> list[str]:
    """Files with their final names that are not whole."""
    found = []
    readers = {
        ".h5": lambda path: tables.open_file(path).close(),
        ".json": lambda path: json.loads(path.read_text("utf-8")),
        ".yaml": lambda path: yaml.safe_load(path.read_text("utf-8")),
        ".ckpt": lambda path: path.read_bytes()[-22:].index(b"PK\x05\x06"),
        ".png": lambda path: path.read_bytes().rindex(b"IEND"),
        ".html": lambda path: path.read_text("utf-8").rindex("</html>"),
    }
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in readers and ".part" not in path.name:
            try:
                readers[path.suffix](path)
            except Exception as error:  # damage takes many forms
                found.append(f"{path.relative_to(folder)}: {error!r}")
    return found


def _how_again(name: str, command: Command, output: Path) -> tuple[str, ...]:
    """What is added to the words of a command that was killed."""
    if name != "run" or (output / "settings.yaml").exists():
        return command.again
    # Killed before there was anything to go on with.
    return ("--overwrite",) if output.exists() else ()


def try_command(name: str, command: Command, times: int, folder: Path) -> dict:
    """Kill a command some times and repeat it; what came of it."""
    whole = folder / name
    whole.mkdir()
    seconds = finish(command.words(whole))
    wanted = command.values(whole)
    rng = np.random.default_rng([times, *name.encode()])
    found = {"seconds": round(seconds, 1), "killed_at": [], "faults": []}
    for number in range(times):
        killed = folder / f"{name}_{number}"
        killed.mkdir()
        # Nothing is written while the program is read into memory.
        moment = float(rng.uniform(0.3, 1.0) * seconds)
        process = start(command.words(killed))
        time.sleep(moment)
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        found["killed_at"].append("at its end" if ended else round(moment, 1))
        faults = damaged(killed)
        again = command.words(killed)
        try:
            finish([*again, *_how_again(name, command, killed / "out")])
        except RuntimeError as error:
            faults.append(str(error))
        else:
            if command.values(killed) != wanted:
                faults.append("the values after the repetition are others")
            faults += damaged(killed)
            left = [path.name for path in killed.rglob("*.part*")]
            faults += [f"{part} is left" for part in left]
        found["faults"] += [f"killed after {moment:.1f} s: {fault}" for fault in faults]
        print(name, found["killed_at"][-1], faults, flush=True)
    return found


def main() -> None:
    """Read the command line, try the commands, write what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = list(commands(Path(), Path()))
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--times", type=int, default=8, help="that each command is killed")
    parser.add_argument("--commands", nargs="+", choices=known, default=known)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine("cpu"), "commands": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        # The number of threads would follow the free cores, and with it how sums are rounded.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        data = folder / "data"
        for particle, low, high in (("gamma", "100 GeV", "2 TeV"), ("proton", "300 GeV", "5 TeV")):
            words = ["--particle", particle, "--n-showers", "150", "--energy", low, high]
            finish(["simulate", *words, "-o", data / f"{particle}.dl1.h5"])
        tried = commands(data, folder / "trained")
        trained = tried["run"].words(folder / "trained")[:-1]
        finish([*trained, folder / "trained"])
        for name in options.commands:
            results["commands"][name] = try_command(name, tried[name], options.times, folder)
            text = json.dumps(results, indent=1) + "\n"
            write_whole(
                options.output / "kills.json",
                lambda part, text=text: part.write_text(text, encoding="utf-8"),
            )


if __name__ == "__main__":
    main()
