"""What is given to the functions of a notebook: files and settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import SettingsError
from ..io.finding import find_files
from ..settings import Settings
from ..settings.reading import read_settings

__all__ = ["Files", "files_of", "settings_of"]

#: One file or several, by names or globs.
Files = str | Path | Sequence[str | Path]

AnySettings = TypeVar("AnySettings", bound=Settings)


def files_of(files: Files, what: str, remedy: str) -> list[Path]:
    """The files that names and globs stand for, see `find_files`.

    Parameters
    ----------
    files : str, Path or sequence of these
    what : str
        What they are, for the error.
    remedy : str
        What to do where there is none, for the error.
    """
    words = [files] if isinstance(files, str | Path) else list(files)
    if not words:
        raise SettingsError(f"No {what} was given; give at least one.")
    return find_files([str(word) for word in words], what, remedy)


def settings_of(
    model: type[AnySettings],
    settings: AnySettings | None,
    values: Mapping[str, object],
    caller: str,
) -> AnySettings:
    """Settings that are given as such or by their names, or both: names come first.

    Raises
    ------
    SettingsError
        If a name or value is wrong.
    """
    if settings is not None and not isinstance(settings, model):
        raise SettingsError(
            f"{caller}: expected {model.__name__}, got {type(settings).__name__}; give other "
            "settings by their names."
        )
    given = {}
    if settings is not None:
        replaced = {model.current_key(name) for name in values}
        names = type(settings).model_fields.keys() - replaced
        given = {name: getattr(settings, name) for name in names}
    return read_settings(model, {**given, **values}, caller)
