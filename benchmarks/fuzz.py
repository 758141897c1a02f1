"""Damaged and hostile copies of all kinds of files that are read: what becomes of each.

    python benchmarks/fuzz.py -o docs/results                 # 1000 copies, one core, an hour or so
    python benchmarks/fuzz.py -o DIR --copies 50 --kinds "checkpoint, info"

Each copy has one change, decided by its number: some bytes, a piece that is lost, zeroed or
repeated, an HDF5 node that is lost or renamed, a value of a table, an attribute, or a pickle that
runs code where it is opened. A command of `gammalearn` that reads files of this kind is then run in
a process of its own. What may come of it:

- ``same``: exit status 0, and the same values as from the file itself;
- ``told``: exit status 0 and other values, and a warning, on the screen or in the report, or a
  fault that the file itself has not;
- ``other``: the same without a word. No check can see a changed value that is plausible;
- ``refused``: exit status 2, and one sentence;
- ``traceback``, ``crash``, ``hang``, ``code``: faults. ``code`` means that a pickle was run.

A damaged entry of the cache is made anew, so that anything but ``same`` is a fault there.

The counts are in DIR/fuzz.json, with the numbers of all copies that show a fault or have other
values. Those can be made again with ``--only KIND NUMBER``, which leaves the copy in DIR. The files
are those of GAMMALEARN_TEST_DATA.
"""

import argparse
import contextlib
import json
import os
import pickle
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import tables
import torch
from engine import machine
from tqdm import tqdm

import gammalearn.evaluation
import gammalearn.run.reconstruction  # noqa: F401  read once, not by each child
from gammalearn.cli import main as gammalearn_main
from gammalearn.io.writing import write_whole
from gammalearn.models import find_checkpoint

__all__ = ["kinds", "run_copy"]

NETWORK = "lst4-stereo"

#: Seconds after which a command counts as one that hangs; they take a few.
PATIENCE = 180

#: Memory (bytes) that a command may ask for.
MEMORY = 16 * 2**30

FAULTS = ("traceback", "crash", "hang", "code")


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and the command that reads them.

    Attributes
    ----------
    share : float
        Part of all copies.
    source : callable
        Path of the intact file, given the folder of the test data and one for files to be made.
    command : callable
        Words after ``gammalearn``, given the copy and a folder for the output.
    is_hdf5 : bool
        Whether it has nodes, tables and attributes.
    in_cache : bool
        The change is not of the file, but of a file that the command has left in the cache.
    """

    share: float
    source: Callable[[Path, Path], Path]
    command: Callable[[Path, Path], list[str]]
    is_hdf5: bool = True
    in_cache: bool = False


def _predict(file: Path, output: Path) -> list[str]:
    return ["predict", NETWORK, str(file), "-o", str(output)]


def _info(file: Path, _output: Path) -> list[str]:
    return ["info", str(file)]


def _evaluate(file: Path, output: Path) -> list[str]:
    return ["evaluate", str(file), "-o", str(output)]


def _dl1(data: Path, _made: Path) -> Path:
    return data / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


def _dl2(data: Path, made: Path) -> Path:
    path = made / "gamma_lsts_run7_7.0.0.dl2.h5"
    if not path.exists():
        _in_child(_predict(_dl1(data, made), made), made / "log")
    return path


def _network_on_a_file(data: Path) -> Callable[[Path, Path], list[str]]:
    return lambda file, output: ["predict", str(file), str(_dl1(data, output)), "-o", str(output)]


def kinds(data: Path) -> dict[str, Kind]:
    """The kinds of files, by name."""
    lstchain = data / "dl1_lstchain" / "dl1_gamma_lsts_run7_7.0.0_4tel.h5"
    simtel = data / "simtel" / "gamma_with_obslevel_particles.simtel.zst"
    network = find_checkpoint(NETWORK)
    return {
        "ctapipe DL1, predict": Kind(0.2, _dl1, _predict),
        "ctapipe DL1, info": Kind(0.1, _dl1, _info),
        "lstchain DL1, predict": Kind(0.15, lambda *_: lstchain, _predict),
        "DL2, evaluate": Kind(0.15, _dl2, _evaluate),
        "DL2, info": Kind(0.05, _dl2, _info),
        "sim_telarray, info": Kind(0.05, lambda *_: simtel, _info, is_hdf5=False),
        "checkpoint, predict": Kind(
            0.1, lambda *_: network, _network_on_a_file(data), is_hdf5=False
        ),
        "checkpoint, info": Kind(0.1, lambda *_: network, _info, is_hdf5=False),
        "cache of an index, predict": Kind(0.05, _dl1, _predict, is_hdf5=False, in_cache=True),
        "cache of sim_telarray, info": Kind(
            0.05, lambda *_: simtel, _info, is_hdf5=False, in_cache=True
        ),
    }


# Changes


def change_bytes(path: Path, rng: np.random.Generator) -> str:
    """Some bytes of the file are others."""
    content = bytearray(path.read_bytes())
    where = rng.integers(0, len(content), rng.integers(1, 17))
    for place in where:
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    return f"bytes {sorted(where.tolist())}"


def cut_off(path: Path, rng: np.random.Generator) -> str:
    """The end is missing."""
    size = int(rng.integers(0, path.stat().st_size))
    os.truncate(path, size)
    return f"{size} bytes are left"


def zero_piece(path: Path, rng: np.random.Generator) -> str:
    """A piece holds zeros, as after a crash of the machine."""
    content = bytearray(path.read_bytes())
    start, length = int(rng.integers(0, len(content))), int(2 ** rng.uniform(4, 16))
    content[start : start + length] = bytes(len(content[start : start + length]))
    path.write_bytes(content)
    return f"zeros from {start}, {length} bytes"


def lose_piece(path: Path, rng: np.random.Generator) -> str:
    """A piece is missing in the middle."""
    content = path.read_bytes()
    start, length = int(rng.integers(0, len(content))), int(2 ** rng.uniform(0, 16))
    path.write_bytes(content[:start] + content[start + length :])
    return f"{length} bytes are missing from {start} on"


def _nodes(file: tables.File) -> list[tables.Node]:
    return [node for node in file.walk_nodes("/") if node._v_pathname != "/"]


def lose_node(path: Path, rng: np.random.Generator) -> str:
    """A table or group is missing."""
    with tables.open_file(path, "a") as file:
        nodes = _nodes(file)
        node = nodes[int(rng.integers(len(nodes)))]
        name = node._v_pathname
        file.remove_node(node, recursive=True)
    return f"without {name}"


def rename_node(path: Path, rng: np.random.Generator) -> str:
    """A table or group has another name."""
    with tables.open_file(path, "a") as file:
        nodes = _nodes(file)
        node = nodes[int(rng.integers(len(nodes)))]
        name = node._v_pathname
        node._f_rename(f"{node._v_name}_2")
    return f"{name} renamed"


#: What may stand in a table where nobody expects it.
ODD = (np.nan, np.inf, -np.inf, -1, 0, 1e300, -1e30, 2**31 - 1)


def odd_value(path: Path, rng: np.random.Generator) -> str:
    """A value of a table is none that can be."""
    with tables.open_file(path, "a") as file:
        candidates = [table for table in file.walk_nodes("/", "Table") if table.nrows]
        table = candidates[int(rng.integers(len(candidates)))]
        column = str(rng.choice(table.colnames))
        row, value = int(rng.integers(table.nrows)), ODD[int(rng.integers(len(ODD)))]
        values = table.read(row, row + 1)
        if values.dtype[column].base.kind not in "iuf":
            values[column] = np.zeros_like(values[column])
        else:
            with np.errstate(all="ignore"):
                values[column] = np.array(value).astype(values.dtype[column].base)
        table.modify_rows(row, row + 1, rows=values)
        return f"{table._v_pathname}, row {row}: {column} = {value}"


def repeat_or_lose_row(path: Path, rng: np.random.Generator) -> str:
    """A row of a table is there twice, or not at all."""
    with tables.open_file(path, "a") as file:
        candidates = [table for table in file.walk_nodes("/", "Table") if table.nrows > 1]
        table = candidates[int(rng.integers(len(candidates)))]
        row = int(rng.integers(table.nrows))
        if rng.random() < 0.5:
            table.remove_row(row)
            return f"{table._v_pathname} without row {row}"
        table.append(table.read(row, row + 1))
        return f"{table._v_pathname} with row {row} twice"


#: Attributes that are no sense.
NONSENSE = ("", "\x1b[2J\x07", "9" * 30, -1, np.nan, b"\xff\xfe", np.arange(5))


def odd_attribute(path: Path, rng: np.random.Generator) -> str:
    """An attribute has another value."""
    with tables.open_file(path, "a") as file:
        nodes = [node for node in [file.root, *_nodes(file)] if node._v_attrs._v_attrnames]
        node = nodes[int(rng.integers(len(nodes)))]
        name = str(rng.choice(node._v_attrs._v_attrnames))
        value = NONSENSE[int(rng.integers(len(NONSENSE)))]
        node._v_attrs[name] = value
        return f"{node._v_pathname}: {name} = {value!r}"


class _RunsCode:
    """An object whose pickle makes a file where it is opened."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def hostile_attribute(path: Path, rng: np.random.Generator) -> str:
    """An attribute is a pickle that runs code."""
    content = pickle.dumps(_RunsCode(canary(path)), protocol=0)
    with tables.open_file(path, "a") as file:
        nodes = [file.root, *_nodes(file)]
        node = nodes[int(rng.integers(len(nodes)))]
        names = ["TITLE", "VERSION", "hostile", *node._v_attrs._v_attrnamesuser]
        name = str(rng.choice(names))
        where = node._v_pathname
    import h5py

    with h5py.File(path, "a") as file:
        file[where].attrs.create(name, np.bytes_(content))
    return f"{where}: {name} is a pickle"


def canary(path: Path) -> Path:
    """What a pickle in a copy makes when it is run."""
    return path.with_name("canary")


OF_ANY = (change_bytes, cut_off, zero_piece, lose_piece)
OF_HDF5 = (
    lose_node,
    rename_node,
    odd_value,
    odd_value,
    repeat_or_lose_row,
    odd_attribute,
    hostile_attribute,
)


# Running


def _in_child(words: Sequence[str], log: Path, cache: Path | None = None) -> int | None:
    """The exit status of a command, negative for a signal, None where it hangs."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if cache is not None:
            os.environ["XDG_CACHE_HOME"] = str(cache)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        with log.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        torch.set_num_threads(1)
        # To draw takes most of the time of an evaluation.
        matplotlib.figure.Figure.savefig = lambda _, path, **__: Path(path).write_bytes(b"")
        status = 99
        try:
            status = gammalearn_main(list(words))
        except SystemExit as error:
            status = error.code
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 99)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


#: How lines begin that tell a fault, and those that are no result.
TOLD, BESIDE = ("WARNING", "  fault"), ("WARNING", "Making DL1")


def _values(output: Path, log: Path) -> tuple[dict[str, str | np.ndarray], set[str]]:
    """What a command has found: the columns of its DL2 files, its figures, what it has printed.

    Beside it are the faults that it has told.
    """
    found = {}
    for path in sorted(output.rglob("*")):
        if path.suffix == ".h5":
            with tables.open_file(path) as file:
                for table in file.walk_nodes("/dl2", "Table"):
                    found[table._v_pathname] = table[:]
        elif path.name == "metrics.json":
            found[path.name] = path.read_text("utf-8")
    words = log.read_text("utf-8", errors="replace").splitlines()
    if not found:
        # The name of the file stands in what is said of it.
        lines = [line for line in words if not line.startswith(BESIDE)]
        found["printed"] = "\n".join(lines[1:])
    told = {line for line in words if line.startswith(TOLD)}
    for report in output.rglob("report.html"):
        told.update(re.findall("<li>(.*?)</li>", report.read_text("utf-8")))
    return found, told


#: What HDF5 and PyTables raise where a change cannot be made in a file.
NOT_MADE = (
    *(tables.HDF5ExtError, tables.NodeError),
    *(AttributeError, OSError, ValueError, TypeError),
)


def run_copy(kind: Kind, name: str, number: int, data: Path, made: Path, folder: Path) -> dict:
    """Make a copy with one change, run the command, say what came of it.

    Parameters
    ----------
    kind : Kind
    name : str
        Of the kind.
    number : int
        Of the copy, which decides the change.
    data : Path
        Folder of the test data.
    made : Path
        Folder of files that are made once.
    folder : Path
        Empty; gets the copy, the output and the log.

    Returns
    -------
    dict
        ``outcome``, ``change`` and the last ``words`` of the command.
    """
    rng = np.random.default_rng([number, *name.encode()])
    copy, target, cache = _intact_copy(kind, name, data, made, folder, rng)
    changes = (*OF_ANY, *OF_HDF5) if kind.is_hdf5 else OF_ANY
    change = changes[int(rng.integers(len(changes)))]
    try:
        what = f"{change.__name__} of {target.name}: {change(target, rng)}"
    except NOT_MADE as error:
        return {"outcome": "not made", "change": f"{change.__name__}: {error}"}
    log, output = folder / "log", folder / "out"
    status = _in_child(kind.command(copy, output), log, cache)
    words = log.read_text("utf-8", errors="replace")
    if canary(copy).exists():
        outcome = "code"
    elif status is None:
        outcome = "hang"
    elif status < 0:
        outcome = "crash"
    elif status == 2 and "Traceback" not in words:
        outcome = "refused"
    elif status != 0 or "Traceback" in words:
        outcome = "traceback"
    else:
        values, told = _values(output, log)
        of_file, told_of_file = _reference(kind, name, data, made)
        outcome = "same" if _alike(values, of_file) else "told" if told - told_of_file else "other"
    last = words.strip().splitlines()[-1:] or [""]
    return {"outcome": outcome, "change": what, "words": last[0].replace(str(folder), "DIR")}


def _intact_copy(
    kind: Kind, name: str, data: Path, made: Path, folder: Path, rng: np.random.Generator
) -> tuple[Path, Path, Path | None]:
    """The file that the command reads, the one that is to be changed, and the folder of the cache.

    The cache knows a file by its path: for a change in there, it stays where it is.
    """
    source = kind.source(data, made)
    if not kind.in_cache:
        copy = folder / source.name
        shutil.copy(source, copy)
        copy.chmod(0o600)
        return copy, copy, None
    _reference(kind, name, data, made)
    cache = folder / "cache"
    shutil.copytree(made / f"cache {name}", cache)
    files = sorted(path for path in cache.rglob("*") if path.is_file() and path.stat().st_size)
    return source, files[int(rng.integers(len(files)))], cache


def _alike(one: dict[str, str | np.ndarray], other: dict[str, str | np.ndarray]) -> bool:
    """Whether two commands have found the same, but for what is lost on the way through float32."""
    return one.keys() == other.keys() and all(
        _alike_tables(value, other[name]) if isinstance(value, np.ndarray) else value == other[name]
        for name, value in one.items()
    )


def _alike_tables(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return all(
        np.allclose(one[name], other[name], rtol=1e-5, atol=1e-5, equal_nan=True)
        if one.dtype[name].base.kind == "f"
        else np.array_equal(one[name], other[name])
        for name in one.dtype.names
    )


_REFERENCES: dict[str, tuple[dict[str, str | np.ndarray], set[str]]] = {}


def _reference(
    kind: Kind, name: str, data: Path, made: Path
) -> tuple[dict[str, str | np.ndarray], set[str]]:
    """What the command finds in the file itself, as :func:`_values` gives it."""
    if name not in _REFERENCES:
        folder = made / f"reference {name}"
        folder.mkdir()
        copy, cache = kind.source(data, made), made / f"cache {name}"
        if not kind.in_cache:
            copy = Path(shutil.copy(copy, folder))
        status = _in_child(kind.command(copy, folder / "out"), folder / "log", cache)
        if status != 0:
            raise RuntimeError(f"{name}: {(folder / 'log').read_text('utf-8')}")
        _REFERENCES[name] = _values(folder / "out", folder / "log")
    return _REFERENCES[name]


def main() -> None:
    """Read the command line, make and run the copies, write the counts."""
    if "GAMMALEARN_TEST_DATA" not in os.environ:
        sys.exit("fuzz: set GAMMALEARN_TEST_DATA to the folder of the test data.")
    data = Path(os.environ["GAMMALEARN_TEST_DATA"])
    known = kinds(data)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--copies", type=int, default=1000, help="of all kinds together")
    parser.add_argument("--kinds", nargs="+", choices=list(known), default=list(known))
    parser.add_argument("--first", type=int, default=0, help="number of the first copy of a kind")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "NUMBER"), help="one copy, to look at")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        os.environ["XDG_CACHE_HOME"] = str(Path(temporary) / "cache")
        if options.only:
            name, number = options.only[0], int(options.only[1])
            print(run_copy(known[name], name, number, data, made, options.output))
            print((options.output / "log").read_text("utf-8", errors="replace"))
            return
        shares = sum(known[name].share for name in options.kinds)
        results = {"machine": machine("cpu"), "seconds": 0, "kinds": {}}
        begun = time.monotonic()
        for name in options.kinds:
            n = round(options.copies * known[name].share / shares)
            counts, notable = Counter(), []
            for number in tqdm(range(options.first, options.first + n), desc=name):
                folder = Path(temporary) / "copy"
                folder.mkdir()
                found = run_copy(known[name], name, number, data, made, folder)
                counts[found["outcome"]] += 1
                faulty = (*FAULTS, "other", *(["refused"] if known[name].in_cache else ()))
                if found["outcome"] in faulty:
                    notable.append({"number": number, **found})
                shutil.rmtree(folder)
            results["kinds"][name] = {"counts": dict(counts), "notable": notable}
            results["seconds"] = round(time.monotonic() - begun)
            text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
            write_whole(
                options.output / "fuzz.json",
                lambda part, text=text: part.write_text(text, encoding="utf-8"),
            )
            print(name, dict(counts), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
