"""Origin: the checkpoint and the input that a DL2 file was made from, for a rerun to know it."""

from pathlib import Path

from ..io.files import open_hdf5, reading
from ..io.isolated import read_isolated

__all__ = ["ORIGIN", "origin", "read_origin"]

#: Attribute of the file.
ORIGIN = "GAMMALEARN ORIGIN"


def origin(source: Path, checkpoint: str, dl2_format: str = "ctapipe") -> str:
    """What tells DL2 files apart that have the same name.

    Parameters
    ----------
    source : Path
        The input: its name and size count, not where it lies.
    checkpoint : str
        Digest of the checkpoint.
    dl2_format : str
        Setting ``output.dl2_format``.
    """
    made_from = f"checkpoint {checkpoint}, {source.name} of {source.stat().st_size} bytes"
    return made_from if dl2_format == "ctapipe" else f"{made_from}, in {dl2_format}'s layout"


def read_origin(path: Path) -> str | None:
    """The origin of a DL2 file, None where it does not say.

    Raises
    ------
    InputFileError
        If the file cannot be read.
    """
    return read_isolated(_origin, path)


def _origin(path: Path) -> str | None:
    with open_hdf5(path) as file, reading(path, "its attributes"):
        attributes = file.root._v_attrs
        return str(attributes[ORIGIN]) if ORIGIN in attributes else None
