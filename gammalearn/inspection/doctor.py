"""Examination of the installation and the machine: what there is, and what is wrong with it."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from packaging.requirements import InvalidRequirement, Requirement

from .. import __version__
from ..data.loading.cache import cache_entries, cache_folder
from ..errors import GammaLearnError, InstallationError
from ..machine.cores import usable_cores
from ..machine.sizes import size_in_words

__all__ = ["Examination", "examine", "free_disk", "import_all", "out_of_bounds"]

#: Packages that some uses need, and which are not installed with GammaLearn.
OPTIONAL = ("IndexedConv", "onnx", "onnxscript", "POT", "gammapy", "torchvision")

#: Packages to import, as builds of several of them may not go together; torchvision, if there is
#: one, is imported by others.
TO_IMPORT = ("torch", "torchvision", "lightning", "numba", "tables", "ctapipe.io", "sklearn")

#: Bytes of free disk, and of the shared memory that processes pass batches in, that are too few.
LITTLE_DISK, LITTLE_SHARED_MEMORY = 2 * 10**9, 256 * 10**6

#: Imports packages one after the other and says so; then what torch says of GPUs.
CHILD = """
import importlib, json, sys
for name in sys.argv[1:]:
    print(json.dumps({"begun": name}), flush=True)
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(json.dumps({"failed": name, "error": f"{type(error).__name__}: {error}"}), flush=True)
torch = sys.modules.get("torch")
if hasattr(torch, "cuda"):
    names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    gpus = [f"{gpu.name}, {gpu.total_memory / 1e9:.0f} GB" for gpu in names]
    print(json.dumps({"cuda": torch.version.cuda, "gpus": gpus}), flush=True)
"""


@dataclass
class Examination:
    """What was found.

    Attributes
    ----------
    sections : dict of str to dict of str to str
        Names and values, by the heading that they are under.
    errors : list of GammaLearnError
        What is wrong, each with what to do.
    """

    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: list[GammaLearnError] = field(default_factory=list)

    def wrong(self, sentence: str) -> None:
        """Note what is wrong."""
        self.errors.append(InstallationError(sentence))

    def text(self) -> str:
        """The sections, with a line for each name."""
        width = max(len(name) for values in self.sections.values() for name in values) + 2
        tables = (
            "\n".join([title, *(f"  {name:{width}}{value}" for name, value in values.items())])
            for title, values in self.sections.items()
        )
        return "\n\n".join(tables)


def examine() -> Examination:
    """Examine the installation and the machine. It takes some seconds, to import packages."""
    found = Examination()
    _examine_versions(found)
    _examine_machine(found)
    _examine_imports(found)
    _examine_caches(found)
    return found


def _examine_versions(found: Examination) -> None:
    found.sections["GammaLearn"] = {
        "version": __version__,
        "folder": str(Path(__file__).parents[1]),
        "Python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
    }
    needed = _requirements()
    found.sections["Packages"] = {entry.name: _version(entry.name) for entry in needed}
    found.sections["Optional packages"] = {name: _version(name) for name in OPTIONAL}
    for sentence in out_of_bounds(needed):
        found.wrong(sentence)


def _requirements() -> list[Requirement]:
    """What the installed GammaLearn needs on this Python; nothing if it is not installed."""
    try:
        lines = importlib.metadata.requires("gammalearn") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            entry = Requirement(line)
        except InvalidRequirement:
            continue
        if entry.marker is None or entry.marker.evaluate({"extra": ""}):
            found.append(entry)
    return found


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def out_of_bounds(needed: Sequence[Requirement]) -> Iterator[str]:
    """A sentence for each package that is missing, or whose version is none that is needed.

    Parameters
    ----------
    needed : sequence of Requirement
    """
    for entry in needed:
        version = _version(entry.name)
        wanted = f"{entry.name}{entry.specifier}"
        if version == "not installed":
            yield f"The package {entry.name} is not installed: pip install '{wanted}'."
        elif not entry.specifier.contains(version, prereleases=True):
            yield (
                f"{entry.name} {version} is installed, and GammaLearn needs {wanted}: "
                f"pip install '{wanted}'."
            )


def _examine_machine(found: Examination) -> None:
    memory = psutil.virtual_memory()
    compilers = map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "c++", "clang++")))
    compiler = next(filter(None, compilers), None)
    found.sections["Machine"] = {
        "processor cores": f"{usable_cores()} to use, of {os.cpu_count()}",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set: threads on all cores"),
        "memory": f"{size_in_words(memory.total)}, {size_in_words(memory.available)} available",
        "C++ compiler": f"{compiler or 'none'} (needed for training.compile=true only)",
    }
    shared = Path("/dev/shm")
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        found.sections["Machine"]["shared memory"] = f"{size_in_words(free)} free in {shared}"
        if free < LITTLE_SHARED_MEMORY:
            found.wrong(
                f"Only {size_in_words(free)} of shared memory are free in {shared}, too little for "
                "training.workers: set them to 0, or give the container more, such as "
                "--shm-size=2g."
            )


def import_all(names: Sequence[str]) -> tuple[dict[str, str], dict]:
    """Import packages in a process of its own, which may crash.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    failures : dict of str to str
        What is wrong with each that cannot be imported.
    gpus : dict
        ``cuda``, torch's version of CUDA or None, and ``gpus``, names and memory.
    """
    failures: dict[str, str] = {}
    gpus: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *waiting],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        failures |= {line["failed"]: line["error"] for line in lines if "failed" in line}
        gpus |= next((line for line in lines if "cuda" in line), {})
        begun = [line["begun"] for line in lines if "begun" in line]
        if done.returncode == 0 or not begun:
            break
        failures[begun[-1]] = f"the process ends with status {done.returncode}"
        waiting = waiting[waiting.index(begun[-1]) + 1 :]
    return failures, gpus


def _examine_imports(found: Examination) -> None:
    there = [name for name in TO_IMPORT if importlib.util.find_spec(name.partition(".")[0])]
    failures, gpus = import_all(there)
    for name, error in failures.items():
        found.wrong(f"The package {name} cannot be imported ({_one_line(error)}): {_remedy(name)}.")
    cuda = gpus.get("cuda")
    devices = {f"GPU {number}": name for number, name in enumerate(gpus.get("gpus", []))}
    built = f"torch is built for CUDA {cuda}" if cuda else "torch is built for the CPU alone"
    found.sections["GPU"] = {**(devices or {"GPU": "none that torch can use"}), "CUDA": built}
    if shutil.which("nvidia-smi") and not devices:
        remedy = (
            "update the driver of the GPU, or install a torch for an older CUDA"
            if cuda
            else "install torch for CUDA, see https://pytorch.org/get-started"
        )
        found.wrong(f"This machine has an NVIDIA GPU that torch cannot use ({built}): {remedy}.")


def _remedy(name: str) -> str:
    if name == "torchvision":
        return (
            "GammaLearn does not need it, but other packages import it: pip uninstall torchvision, "
            "or install the release that goes with your torch"
        )
    package = {"sklearn": "scikit-learn"}.get(name, name.partition(".")[0])
    return f"install it again: pip install --force-reinstall --no-deps {package}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _examine_caches(found: Examination) -> None:
    folder = cache_folder(None)
    sizes: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for entry in cache_entries(folder):
        kind = entry.parent.parent.name
        sizes[kind] += _size(entry)
        numbers[kind] += 1
    kinds = {
        kind: f"{size_in_words(sizes[kind])}, entries for files: {numbers[kind]}"
        for kind in sorted(numbers)
    }
    compiled = sum(_file_size(path) for path in Path(__file__).parents[1].rglob("*.nb[ci]"))
    found.sections["Cache"] = {
        "folder": str(folder),
        **(kinds or {"entries": "none"}),
        "compiled functions": f"{size_in_words(compiled)} in {Path(__file__).parents[1]}",
    }
    found.sections["Free disk"] = {}
    for name, place in (("cache", folder), ("working directory", Path.cwd())):
        where, free = free_disk(place)
        found.sections["Free disk"][name] = f"{size_in_words(free)} in {where}"
        if free < LITTLE_DISK:
            clear = ", or the cache with --clear-cache" if name == "cache" else ""
            size = size_in_words(free)
            found.wrong(f"Only {size} are free in '{where}' (the {name}): delete files{clear}.")
        if not os.access(where, os.W_OK | os.X_OK):
            remedy = "set XDG_CACHE_HOME" if name == "cache" else "change to another one"
            found.wrong(f"You may not write to '{where}' (the {name}): {remedy}.")


def free_disk(place: Path) -> tuple[Path, int]:
    """The folder, or the first above it that exists, and the free bytes of its disk."""
    where = next(path for path in (place, *place.parents) if os.path.exists(path))
    return where, shutil.disk_usage(where).free


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; links count for nothing."""
    return sum(
        _file_size(Path(place) / name) for place, _, names in os.walk(folder) for name in names
    )


def _file_size(path: Path) -> int:
    try:
        return 0 if path.is_symlink() else path.lstat().st_size
    except OSError:
        return 0  # deleted meanwhile
