"""Training steps a second on a machine that is idle, and beside one and two busy processes.

    python benchmarks/busy.py -o DIR --file my.dl1.h5              # on a machine that is idle
    python benchmarks/busy.py -o DIR --file my.dl1.h5 --spins 0 10000

Trainings are compared that differ in their threads: as shipped (as many as other programs leave
cores free, which sleep while they wait), as OpenMP has it by itself (as many as there are cores,
which spin), and on one thread alone; with --spins also as many as cores with other spins. Each is a
process of its own, and trains the network of experiment_settings/lst_stereo.py as a run does,
without validation. All are started first; then they take turns of some seconds, with no, one and
two processes beside them that count.
A figure is the median of the turns, and ratios are of figures of one run. Prints them and writes
DIR/busy.json.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

#: What the user may set, by which trainings differ.
SETTABLE = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "OMP_NUM_THREADS")

#: Of GNU's OpenMP, where nobody says anything.
SPINS_OF_OPENMP = 300_000

SHIPPED, BY_ITSELF, ONE_THREAD = "as shipped", "as OpenMP by itself", "one thread"

BUSY = (0, 1, 2)

#: A number that the user sets is kept: as many threads as cores, whatever runs beside.
ALL_THREADS = {"OMP_NUM_THREADS": str(os.cpu_count())}


def count_for_ever() -> None:
    """Take a core."""
    while True:
        pass


def train(file: str) -> None:
    """In a process of its own: steps a second for each number of seconds that is asked for."""
    from training import SHIPPED as NETWORK
    from training import WARM_UP, clocked

    from gammalearn.settings import Experiment

    experiment = Experiment.model_validate(
        {
            "data": {"train": [file], "validation_fraction": 0.0},
            "network": NETWORK,
            "training": {"batch_size": 16, "accelerator": "cpu"},
        }
    )
    print("ready", flush=True)
    for line in sys.stdin:
        clock = clocked(experiment, float(line))
        print((clock.n_batches - WARM_UP) / clock.passed, flush=True)


class Training:
    """A training that goes on for some seconds where it is asked to."""

    def __init__(self, file: Path, variables: dict[str, str]):
        environment = {name: text for name, text in os.environ.items() if name not in SETTABLE}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, "--train", str(file.resolve())],
            env={**environment, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def _read(self) -> str:
        # Lightning says some things of its own.
        for line in self._process.stdout:
            if line.strip() == "ready" or line[0].isdigit():
                return line
        raise SystemExit("The training has ended; see above.")

    def steps_a_second(self, seconds: float) -> float:
        """Train so long."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return float(self._read())

    def end(self) -> None:
        """Let the process end."""
        self._process.stdin.close()
        self._process.wait()


def measure(trainings: dict[str, Training], seconds: float, turns: int) -> dict:
    """Median of steps a second by training, and by processes beside it."""
    figures = {name: {} for name in trainings}
    for n_busy in BUSY:
        processes = [multiprocessing.Process(target=count_for_ever) for _ in range(n_busy)]
        for process in processes:
            process.start()
        try:
            taken = {name: [] for name in trainings}
            for _ in range(turns):
                for name, training in trainings.items():
                    taken[name].append(training.steps_a_second(seconds))
        finally:
            for process in processes:
                process.kill()
        for name, steps in taken.items():
            figures[name][n_busy] = round(statistics.median(steps), 3)
            print(f"{n_busy} busy, {name:24}{figures[name][n_busy]:8.2f} steps/s", flush=True)
    return figures


def ratios(figures: dict) -> dict:
    """What is asked of the figures, as ratios."""
    shipped = figures[SHIPPED]
    found = {"idle: as shipped / as OpenMP by itself": shipped[0] / figures[BY_ITSELF][0]}
    for n_busy in BUSY[1:]:
        for other in (BY_ITSELF, ONE_THREAD):
            found[f"beside {n_busy}: as shipped / {other}"] = (
                shipped[n_busy] / figures[other][n_busy]
            )
    return {name: round(ratio, 3) for name, ratio in found.items()}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", metavar="DIR", type=Path)
    parser.add_argument("--file", metavar="FILE", type=Path, help="DL1 file to learn from")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a turn")
    parser.add_argument("--turns", type=int, default=3, help="of each training")
    parser.add_argument("--spins", metavar="N", type=int, nargs="+", default=[], help="others too")
    parser.add_argument("--train", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train)
        return
    if options.output is None or options.file is None:
        parser.error("give --output and --file")
    variables = {
        SHIPPED: {},
        BY_ITSELF: {"GOMP_SPINCOUNT": str(SPINS_OF_OPENMP), **ALL_THREADS},
        ONE_THREAD: {"OMP_NUM_THREADS": "1"},
        **{f"{n} spins": {"GOMP_SPINCOUNT": str(n), **ALL_THREADS} for n in options.spins},
    }
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        trainings = {name: Training(options.file, of_it) for name, of_it in variables.items()}
        try:
            figures = measure(trainings, options.seconds, options.turns)
        finally:
            for training in trainings.values():
                training.end()
    found = ratios(figures)
    for name, ratio in found.items():
        print(f"{name:44}{ratio:8.3f}")
    from engine import machine

    options.output.mkdir(parents=True, exist_ok=True)
    result = {
        "command": f"benchmarks/busy.py --seconds {options.seconds:g} --turns {options.turns}",
        "file": options.file.name,
        "machine": machine("cpu"),
        "steps_per_s": figures,
        "ratios": found,
    }
    (options.output / "busy.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
