"""Seconds until a command answers, and modules that it imports for that.

    python benchmarks/startup.py -o DIR [--file my.dl1.h5]

Errors of the command line, ``info`` of a file of events (with --file) and the first line of a run,
each the best of some times with warm caches. Seconds of the processor are beside those of the
clock: they say nearly the same on a machine that does nothing else, and still count where it does.
Prints the figures and writes DIR/startup.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine import machine

REPEATS = 5

SETTINGS = Path(__file__).parents[1] / "experiment_settings" / "lst_stereo.py"

#: What is asked: the end of the command is waited for, or of a run its first line.
COMMANDS = {
    "no such file": ["info", "nothing.dl1.h5"],
    "misspelt setting": [SETTINGS, "--set", "training.epoch=3"],
    "misspelt command": ["trian", SETTINGS],
    "no such checkpoint": ["predict", "nothing.ckpt", "gamma.dl1.h5", "-o", "dl2"],
    "first line of a run": [SETTINGS],
}


def seconds(words: list, folder: str) -> tuple[float, float]:
    """From the start of a command to its end, or of a run to the first line that it prints: by the
    clock, and of the processor."""
    start = time.perf_counter()
    command = [sys.executable, "-u", "-m", "gammalearn", *map(str, words)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        process.stdout.readline()
        if words[-1] == SETTINGS:
            process.kill()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return time.perf_counter() - start, used.ru_utime + used.ru_stime


def modules(words: list, folder: str) -> int | None:
    """What a command imports to its end."""
    command = [sys.executable, "-X", "importtime", "-m", "gammalearn", *map(str, words)]
    if words == [SETTINGS]:
        return None
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return sum(line.startswith("import time:") for line in done.stderr.splitlines()) - 1


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True)
    parser.add_argument("--file", metavar="FILE", type=Path, help="DL1 file to look at")
    arguments = parser.parse_args()
    commands = dict(COMMANDS)
    if arguments.file:
        commands["info of a file"] = ["info", arguments.file.resolve()]
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, words in commands.items():
            each = [seconds(words, folder) for _ in range(REPEATS)]
            clock, processor = (min(times) for times in zip(*each, strict=True))
            figures[name] = {
                "seconds": round(clock, 2),
                "processor_seconds": round(processor, 2),
                "modules": modules(words, folder),
            }
            print(
                f"{name:20} {clock:6.2f} s ({processor:5.2f} s of the processor)"
                f" {figures[name]['modules'] or '-':>6} modules",
                flush=True,
            )
    arguments.output.mkdir(parents=True, exist_ok=True)
    result = {
        "command": f"benchmarks/startup.py{' --file FILE' if arguments.file else ''}",
        "machine": machine("cpu"),
        "load": os.getloadavg()[0],
        "commands": figures,
    }
    (arguments.output / "startup.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
