"""Modules of the user's own, with tasks and encoders that the package does not have.

Settings and checkpoints name them (``imports``). A name in a file runs nothing: a module is
imported where an experiment in Python lists it, which runs anyway, or where the user names it,
with ``--imports`` on the command line.
"""

import importlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path

from ..errors import SettingsError, UnnamedModuleError

__all__ = ["check_named", "failure", "find_class", "import_modules", "importing_from", "keep"]

#: What the modules that the user has named define, by the modules' names.
_named: dict[str, dict] = {}


def import_modules(words: Sequence[str], folder: str | Path = ".") -> list[str]:
    """Import modules that the user names.

    Parameters
    ----------
    words : sequence of str
        Names of modules, or their files.
    folder : str or Path
        Where to look for names first; then where Python looks.

    Returns
    -------
    list of str
        Names of the modules.

    Raises
    ------
    SettingsError
        If there is no such module, or it cannot be imported.
    """
    return [_import(word, Path(folder)) for word in words]


def _import(word: str, folder: Path) -> str:
    name, path = word, Path(word).expanduser()
    is_file = path.suffix == ".py"
    if is_file:
        if not path.is_file():
            raise SettingsError(f"imports: the file '{word}' does not exist.")
        name, folder = path.stem, path.parent
    with importing_from(folder):
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever the user's code does
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if missing is not None and f"{name}.".startswith(f"{missing}."):
                raise SettingsError(
                    f"imports: there is no module '{name}' in '{folder.resolve()}', nor where "
                    "Python looks; give its file, such as --imports path/to/it.py."
                ) from error
            raise SettingsError(
                f"imports: the module '{name}' cannot be imported: {failure(error, folder)}."
            ) from error
        keep(name, vars(module))
    file = getattr(module, "__file__", None)
    if is_file and (file is None or not path.samefile(file)):
        raise SettingsError(
            f"imports: '{word}' has the name of another module, '{file or name}', which is in use; "
            "rename your file."
        )
    return name


def keep(name: str, contents: dict) -> None:
    """Have what a module of the user's defines last, and be known by the module's name.

    Parameters
    ----------
    name : str
    contents : dict
        Its global names.
    """
    _named[name] = contents


def check_named(names: Sequence[str], source: str) -> None:
    """Refuse modules that the user has not named.

    Parameters
    ----------
    names : sequence of str
    source : str
        What asks for them, for the error.

    Raises
    ------
    UnnamedModuleError
        If one of them is not among those that have been imported.
    """
    if missing := [name for name in names if name not in _named]:
        words = " ".join(f"--imports {name}" for name in missing)
        raise UnnamedModuleError(
            f"{source} needs your own module{'s' * (len(missing) > 1)} "
            f"{', '.join(map(repr, missing))}. Modules run only if you name them: add {words}, or "
            f"give the file, such as --imports path/to/it.py (in Python: imports={list(missing)})."
        )


def find_class(place: str) -> type:
    """A class of a module that the user has named.

    Parameters
    ----------
    place : str
        ``module:Class``.

    Raises
    ------
    SettingsError
        If the module has no class of this name.
    UnnamedModuleError
        If the user has not named the module.
    """
    module, _, name = place.partition(":")
    check_named([module], f"'{place}'")
    found = _named[module].get(name)
    if not isinstance(found, type):
        raise SettingsError(f"'{place}': the module '{module}' has no class '{name}'.")
    return found


def failure(error: Exception | SystemExit, folder: Path) -> str:
    """What went wrong in the user's files in a folder, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(Path(f.filename), f.lineno) for f in frames]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename), error.lineno))
    places = [(path, line) for path, line in places if path.resolve().parent == folder.resolve()]
    where = f"{places[-1][0].name}, line {places[-1][1]}: " if places else ""
    if isinstance(error, SystemExit):
        return f"{where}it calls exit()"
    return f"{where}{type(error).__name__}: {error}"


@contextmanager
def importing_from(folder: str | Path) -> Iterator[None]:
    """Let modules be imported from a folder, as Python does for a file that it runs.

    Of those that lie there only modules that the user has named stay, until another folder has one
    of the same name.
    """
    folder = Path(folder).resolve()
    for name in [name for name in _named if not _is_in(name, folder)]:
        if PathFinder.find_spec(name.partition(".")[0], [str(folder)]):
            del _named[name]
            sys.modules.pop(name, None)
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    # A file may have been written since Python looked.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before - set(_named):
            if _is_in(name, folder):
                del sys.modules[name]


def _is_in(name: str, folder: Path) -> bool:
    """Whether the file of a module lies in a folder."""
    contents = _named[name] if name in _named else vars(sys.modules[name])
    file = contents.get("__file__")
    return file is not None and Path(file).resolve().parent == folder
