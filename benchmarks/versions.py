"""Speed of another version of the code beside this one's, figure by figure, in turns.

    git worktree add ../other REVISION
    python benchmarks/versions.py ../other -o docs/results    # half an hour of two cores

Both versions read the same simulated file. The benchmarks engine.py and loading.py of each version
run in turns, and so do `gammalearn predict` and `gammalearn evaluate`, as whole processes. A ratio
is this version's speed over the other's, in one turn; above one, this version is faster. The median
over turns and the smallest and largest ratio are in DIR/versions.json. Other programs must not run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from engine import machine
from loading import simulated

from gammalearn.io.writing import make_folder, write_whole

HERE = Path(__file__).resolve().parents[1]

#: What is a speed in the files of the benchmarks.
SPEEDS = ("images_per_s", "images_per_second", "events_per_s")

#: The networks that reconstruct; what the first one wrote is evaluated.
NETWORKS = ("lst4-stereo", "lst4-mono")


def run(version: Path, *command: str | Path) -> float:
    """Run Python with the code of a version and return the seconds it took."""
    environment = {**os.environ, "PYTHONPATH": str(version)}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=version,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def speeds(results: object, name: str) -> Iterator[tuple[str, float]]:
    """Every speed in the results of a benchmark, with the keys that lead to it."""
    if isinstance(results, dict):
        for key, value in results.items():
            if key in SPEEDS:
                yield name, value
            else:
                yield from speeds(value, name if key == "figures" else f"{name}, {key}")


def turn(version: Path, file: Path, dl2: Path, folder: Path) -> dict[str, float]:
    """Measure a version once."""
    benchmarks = version / "benchmarks"
    run(version, benchmarks / "engine.py", "-o", folder,
        "--figures", "network", "--cases", "native", "--seconds", "3")  # fmt: skip
    run(version, benchmarks / "loading.py", "-o", folder, "--data", folder / "data", "--file", file)
    measured = {}
    for network in NETWORKS:
        command = ("predict", network, file, "-o", folder / network)
        measured[f"predict, {network}"] = 1 / run(version, "-m", "gammalearn", *command)
    seconds = run(version, "-m", "gammalearn", "evaluate", dl2, "-o", folder / "evaluated")
    measured["evaluate"] = 1 / seconds
    for name in ("engine", "loading"):
        measured.update(speeds(json.loads((folder / f"{name}.json").read_text()), name))
    return measured


def main() -> None:
    """Measure both versions in turns and write their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="checkout of the other version")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--n-showers", type=int, default=500, help="to simulate")
    options = parser.parse_args()
    make_folder(options.output)
    versions = {"this": HERE, "other": options.other.resolve()}
    ratios: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = simulated(folder, n_showers=options.n_showers)
        run(HERE, "-m", "gammalearn", "predict", NETWORKS[0], file, "-o", folder / "dl2")
        dl2 = folder / "dl2" / file.name.replace("dl1", "dl2")
        for number in range(options.turns):
            measured = {}
            # Each is first in every other turn: the machine may become faster or slower.
            for version in sorted(versions, reverse=bool(number % 2)):
                place = folder / f"{version}_{number}"
                place.mkdir()
                measured[version] = turn(versions[version], file, dl2, place)
            for figure, speed in measured["this"].items():
                if figure in measured["other"]:
                    ratios[figure].append(speed / measured["other"][figure])
    results = {
        "other": subprocess.check_output(
            ["git", "-C", str(versions["other"]), "rev-parse", "--short", "HEAD"], text=True
        ).strip(),
        "command": f"benchmarks/versions.py OTHER --turns {options.turns} "
        f"--n-showers {options.n_showers}",
        "machine": machine("cpu"),
        "ratios": {
            figure: {
                "median": round(statistics.median(of), 3),
                "smallest": round(min(of), 3),
                "largest": round(max(of), 3),
            }
            for figure, of in ratios.items()
        },
    }
    for figure, ratio in results["ratios"].items():
        print(f"{figure}: {ratio['median']} ({ratio['smallest']} to {ratio['largest']})")
    text = json.dumps(results, indent=1) + "\n"
    write_whole(options.output / "versions.json", lambda path: path.write_text(text))


if __name__ == "__main__":
    main()
