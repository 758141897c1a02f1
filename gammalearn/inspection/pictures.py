"""Pictures that a user asks for by name."""

from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from ..errors import OutputError
from ..io.writing import write_whole

__all__ = ["picture_path", "write_picture"]


def picture_path(output: str | Path, overwrite: bool = False) -> Path:
    """Where a picture is to be written.

    Parameters
    ----------
    output : str or Path
        Its ending decides the format, PNG where it has none.
    overwrite : bool
        Replace a picture that exists.

    Raises
    ------
    OutputError
        If it exists.
    """
    path = Path(output)
    if not path.suffix:
        path = path.with_name(f"{path.name}.png")
    if path.exists() and not overwrite:
        raise OutputError(f"'{path}' exists; give another name, or --overwrite to replace it.")
    return path


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure.

    Raises
    ------
    OutputError
        If it cannot be written, or matplotlib does not know the format.
    """
    try:
        write_whole(path, partial(figure.savefig, dpi=120))
    except ValueError as error:  # of a format that matplotlib does not know
        raise OutputError(f"'{path}' cannot be written: {error}.") from error
