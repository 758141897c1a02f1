"""Damaged and hostile copies of all kinds of files that are read: what becomes of each.

    python benchmarks/fuzz.py -o docs/results                 # 1000 copies, one core, an hour or so
    python benchmarks/fuzz.py -o DIR --copies 50 --kinds "checkpoint, info"

Each copy has one change, decided by its number: some bytes, or a piece that is lost or zeroed; in
HDF5 a node that is lost or renamed, a value or a row of a table, an attribute, or a pickle that
runs code where it is opened; in FITS a value, a card of a header or a table; in a text a number or
a line. A command of `gammalearn` that reads files of this kind is then run in a process of its own.
What may come of it:

- ``same``: exit status 0, and the same values as from the file itself;
- ``told``: exit status 0 and other values, and a warning, on the screen or in the report, or a
  fault that the file itself has not;
- ``other``: the same without a word. No check can see a changed value that is plausible;
- ``refused``: exit status 2, and one sentence;
- ``traceback``, ``crash``, ``hang``, ``code``: faults. ``code`` means that a pickle was run.

A damaged entry of the cache is made again, so that anything but ``same`` is a fault there. Values
are those of DL2, DL3, tables and figures that the command writes, or else what it prints and draws:
pictures are compared by the numbers and words in them.

The counts are in DIR/fuzz.json, with the numbers of all copies that show a fault or have other
values. Those can be made again with ``--only KIND NUMBER``, which leaves the copy in DIR. The files
are those of GAMMALEARN_TEST_DATA, and some that `fuzz_sources.py` makes in a minute or two: a mock
observation, an instrument response, supernovae and a network for them.
"""

import argparse
import contextlib
import json
import os
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
from astropy.io import fits
from astropy.table import Table
from engine import machine
from fuzz_changes import CHANGES, NOT_MADE, canary
from fuzz_sources import NETWORK, Sources
from tqdm import tqdm

import gammalearn.evaluation
import gammalearn.run.reconstruction  # noqa: F401  read once, not by each child
from gammalearn.cli import main as gammalearn_main
from gammalearn.io.writing import write_whole
from gammalearn.models import find_checkpoint

__all__ = ["kinds", "run_copy"]

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
    format : str
        Which changes there are: ``HDF5``, ``FITS``, ``text`` or ``other``.
    in_cache : bool
        The change is not of the file, but of a file that the command has left in the cache.
    beside : bool
        The other files of its folder are read too; they stay intact.
    """

    share: float
    source: Callable[[Path, Path], Path]
    command: Callable[[Path, Path], list[str]]
    format: str = "HDF5"
    in_cache: bool = False
    beside: bool = False


def _predict(file: Path, output: Path) -> list[str]:
    return ["predict", NETWORK, str(file), "-o", str(output)]


def _info(file: Path, _output: Path) -> list[str]:
    return ["info", str(file)]


def _evaluate(file: Path, output: Path) -> list[str]:
    return ["evaluate", str(file), "-o", str(output)]


def _evaluate_objects(file: Path, output: Path) -> list[str]:
    return [*_evaluate(file, output), "--set", "evaluation.n_bootstrap=5"]


def _show(file: Path, output: Path) -> list[str]:
    output.mkdir()
    return ["show", str(file), "--event", EVENT, "-o", str(output / "event.png")]


def _explain(file: Path, output: Path) -> list[str]:
    output.mkdir()
    words = ["explain", NETWORK, str(file), "--event", EVENT, "--steps", "4"]
    return [*words, "-o", str(output / "event.png")]


#: An event of `_dl1`.
EVENT = "1000"


def _dl1(data: Path, _made: Path) -> Path:
    return data / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


def _dl2(data: Path, made: Path) -> Path:
    path = made / "gamma_lsts_run7_7.0.0.dl2.h5"
    if not path.exists():
        _make(_predict(_dl1(data, made), made), made)
    return path


def _make(words: Sequence[str], made: Path) -> None:
    """Run a command that must succeed."""
    if _in_child(words, made / "log") != 0:
        raise RuntimeError(f"{' '.join(words)}: {(made / 'log').read_text('utf-8')}")


def _made(name: str, *arguments: str) -> Callable[[Path, Path], Path]:
    """A file of `Sources`."""
    return lambda _, made: getattr(_sources(made), name)(*arguments)


def _sources(made: Path) -> Sources:
    return Sources(lambda words: _make(words, made), made)


def _network_on_a_file(data: Path) -> Callable[[Path, Path], list[str]]:
    return lambda file, output: ["predict", str(file), str(_dl1(data, output)), "-o", str(output)]


def kinds(data: Path, made: Path) -> dict[str, Kind]:
    """The kinds of files, by name; their shares are 1 in all."""
    return _of_telescopes(data) | _of_observations(made) | _of_surveys(made)


def _of_telescopes(data: Path) -> dict[str, Kind]:
    lstchain = data / "dl1_lstchain" / "dl1_gamma_lsts_run7_7.0.0_4tel.h5"
    simtel = data / "simtel" / "gamma_with_obslevel_particles.simtel.zst"
    network = find_checkpoint(NETWORK)
    return {
        "ctapipe DL1, predict": Kind(0.13, _dl1, _predict),
        "ctapipe DL1, info": Kind(0.065, _dl1, _info),
        "ctapipe DL1, show": Kind(0.005, _dl1, _show),
        "ctapipe DL1, explain": Kind(0.005, _dl1, _explain),
        "lstchain DL1, predict": Kind(0.098, lambda *_: lstchain, _predict),
        "DL2, evaluate": Kind(0.097, _dl2, _evaluate),
        "DL2, info": Kind(0.033, _dl2, _info),
        "sim_telarray, info": Kind(0.032, lambda *_: simtel, _info, "other"),
        "checkpoint, predict": Kind(0.065, lambda *_: network, _network_on_a_file(data), "other"),
        "checkpoint, info": Kind(0.065, lambda *_: network, _info, "other"),
        "cache of an index, predict": Kind(0.033, _dl1, _predict, "other", in_cache=True),
        "cache of sim_telarray, info": Kind(
            0.032, lambda *_: simtel, _info, "other", in_cache=True
        ),
    }


def _of_observations(made: Path) -> dict[str, Kind]:
    sources = _sources(made)

    def dl3(dl2: Path, response: Path, output: Path) -> list[str]:
        return ["dl3", str(dl2), "--irf", str(response), "-o", str(output)]

    def observe(file: Path, output: Path) -> list[str]:
        return ["observe", str(file), NETWORK, "--irf", str(sources.response()), "-o", str(output)]

    return {
        "observed DL1, predict": Kind(0.04, _made("observed"), _predict),
        "observed DL1, info": Kind(0.02, _made("observed"), _info),
        "observed DL1, observe": Kind(0.02, _made("observed"), observe),
        "observed DL2, dl3": Kind(
            0.05, _made("observed_dl2"), lambda file, output: dl3(file, sources.response(), output)
        ),
        "response, dl3": Kind(
            0.04,
            _made("response"),
            lambda file, output: dl3(sources.observed_dl2(), file, output),
            "FITS",
        ),
    }


def _of_surveys(made: Path) -> dict[str, Kind]:
    sources = _sources(made)

    def classify(file: Path, output: Path) -> list[str]:
        return ["predict", str(sources.supernova_network()), str(file), "-o", str(output)]

    def classify_head(file: Path, output: Path) -> list[str]:
        return classify(file.with_name("SIM_HEAD.FITS"), output)

    def with_network(file: Path, output: Path) -> list[str]:
        return ["predict", str(file), str(sources.catalogue()), "-o", str(output)]

    head, phot = (_made("snana_fits", which) for which in ("HEAD", "PHOT"))
    ecsv, table = (_made("predictions", kind) for kind in ("ecsv", "fits"))
    return {
        "catalogue, predict": Kind(0.03, _made("catalogue"), classify),
        "catalogue, info": Kind(0.02, _made("catalogue"), _info),
        "survey checkpoint, predict": Kind(0.02, _made("supernova_network"), with_network, "other"),
        "survey checkpoint, info": Kind(0.01, _made("supernova_network"), _info, "other"),
        "SNANA text, predict": Kind(0.02, _made("snana_text"), classify, "text"),
        "SNANA text, info": Kind(0.01, _made("snana_text"), _info, "text"),
        "SNANA HEAD, predict": Kind(0.02, head, classify_head, "FITS", beside=True),
        "SNANA PHOT, predict": Kind(0.02, phot, classify_head, "FITS", beside=True),
        "predictions ECSV, evaluate": Kind(0.01, ecsv, _evaluate_objects, "text"),
        "predictions FITS, evaluate": Kind(0.01, table, _evaluate_objects, "FITS"),
    }


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
        matplotlib.figure.Figure.savefig = _write_drawn
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


def _write_drawn(figure: matplotlib.figure.Figure, path: Path, **_) -> None:
    """Write the words and numbers of a picture in place of its pixels."""
    drawn = []
    for artist in figure.findobj():
        if isinstance(artist, matplotlib.text.Text):
            drawn.append(artist.get_text())
        elif isinstance(artist, matplotlib.lines.Line2D):
            drawn.append(np.array2string(np.asarray(artist.get_xydata()), precision=4))
        elif isinstance(artist, matplotlib.cm.ScalarMappable) and artist.get_array() is not None:
            values = np.ma.filled(artist.get_array(), np.nan)
            drawn.append(np.array2string(values, precision=4, threshold=sys.maxsize))
    Path(path).write_text("\n".join(drawn), encoding="utf-8")


#: How lines begin that tell a fault, and those that are no result.
TOLD, BESIDE = ("WARNING", "  fault", "  note"), ("WARNING", "Making DL1")

#: Cards of FITS headers that say when a file was written, or check its bytes.
NO_VALUES = {"DATE", "CREATED", "CHECKSUM", "DATASUM"}


def _values(output: Path, log: Path) -> tuple[dict[str, str | np.ndarray], set[str]]:
    """What a command has found: the columns of its DL2 and DL3 files and tables, and its figures.

    If there are none, it is what it has drawn and printed. Beside it are the faults that it has
    told.
    """
    found = {}
    for path in sorted(output.rglob("*")):
        if path.suffix == ".h5":
            with tables.open_file(path) as file:
                for table in file.walk_nodes("/dl2", "Table"):
                    found[table._v_pathname] = table[:]
        elif path.name == "metrics.json":
            found[path.name] = path.read_text("utf-8")
        elif path.suffix == ".ecsv":
            found[path.name] = np.asarray(Table.read(path).filled())
        elif ".fits" in path.name:
            with fits.open(path) as hdus:
                for number, hdu in enumerate(hdus):
                    name = f"{path.name}, {number} {hdu.name}"
                    cards = {k: v for k, v in hdu.header.items() if k not in NO_VALUES}
                    found[f"{name}: header"] = str(cards)
                    if hdu.data is not None:
                        found[name] = np.array(hdu.data)
    words = log.read_text("utf-8", errors="replace").splitlines()
    if not found:
        # The name of the file stands in what is said of it.
        lines = [line for line in words if not line.startswith(BESIDE)]
        found["printed"] = "\n".join(lines[1:])
        found |= {path.name: path.read_text("utf-8") for path in output.rglob("*.png")}
    told = {line for line in words if line.startswith(TOLD)}
    for report in output.rglob("report.html"):
        told.update(re.findall("<li>(.*?)</li>", report.read_text("utf-8")))
    return found, told


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
    changes = CHANGES[kind.format]
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
        copy = _copied(source, kind, folder)
        return copy, copy, None
    _reference(kind, name, data, made)
    cache = folder / "cache"
    shutil.copytree(made / f"cache {name}", cache)
    files = sorted(path for path in cache.rglob("*") if path.is_file() and path.stat().st_size)
    return source, files[int(rng.integers(len(files)))], cache


def _copied(source: Path, kind: Kind, folder: Path) -> Path:
    for path in source.parent.iterdir() if kind.beside else (source,):
        shutil.copy(path, folder)
    copy = folder / source.name
    copy.chmod(0o600)
    return copy


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
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        copy, cache = kind.source(data, made), made / f"cache {name}"
        if not kind.in_cache:
            copy = _copied(copy, kind, folder)
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--copies", type=int, default=1000, help="of all kinds together")
    # None is made to name them.
    names = list(kinds(data, Path()))
    parser.add_argument("--kinds", nargs="+", choices=names, default=names)
    parser.add_argument("--first", type=int, default=0, help="number of the first copy of a kind")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "NUMBER"), help="one copy, to look at")
    parser.add_argument(
        "--made", type=Path, help="keep the files that are made once in this folder, for other runs"
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        made = (options.made or Path(temporary) / "made").resolve()
        made.mkdir(parents=True, exist_ok=True)
        known = kinds(data, made)
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
