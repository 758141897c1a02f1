"""What an observation is of: the name and the place of its target.

ctapipe's data model knows where the array points, not at what. The home of the target is in
attributes of the table of observation blocks, beside that of the dead time.
"""

from typing import NamedTuple

import tables

from ..ctapipe_tables import OBSERVATION

__all__ = ["Target", "read_target", "write_target"]

NAME, RA, DEC = "TARGET_NAME", "TARGET_RA", "TARGET_DEC"


class Target(NamedTuple):
    """What is observed."""

    name: str
    ra: float
    """Right ascension (deg, ICRS)."""

    dec: float
    """Declination (deg, ICRS)."""


def write_target(file: tables.File, target: Target) -> None:
    """Write the target into a file that has its observation blocks.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    target : Target
    """
    attributes = file.get_node(OBSERVATION)._v_attrs
    for name, value in zip((NAME, RA, DEC), target, strict=True):
        attributes[name] = value


def read_target(file: tables.File) -> Target | None:
    """The target of a file's observations, None where the file does not tell it.

    Parameters
    ----------
    file : tables.File
        In ctapipe's data model.
    """
    if OBSERVATION not in file:
        return None
    attributes = file.get_node(OBSERVATION)._v_attrs
    if not all(name in attributes for name in (NAME, RA, DEC)):
        return None
    return Target(str(attributes[NAME]), float(attributes[RA]), float(attributes[DEC]))
