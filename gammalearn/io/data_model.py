"""Releases of ctapipe's data model: what the installed ctapipe is too old for."""

import re
from pathlib import Path
from typing import NamedTuple

import ctapipe
import tables
from packaging.version import Version

from ..errors import InputFileError

__all__ = ["Newer", "check_is_readable", "check_is_table", "newer_than_installed"]

DATA_MODEL = "CTA PRODUCT DATA MODEL VERSION"
MAKER, MAKER_VERSION = "CTA ACTIVITY SOFTWARE NAME", "CTA ACTIVITY SOFTWARE VERSION"

#: The first data model that is read.
OLDEST = "v4.0.0"


def check_is_readable(file: tables.File, path: Path, kind: str) -> None:
    """Refuse what is no file of ctapipe, or in a data model that cannot be read.

    Parameters
    ----------
    file : tables.File
    path : Path
        What it is called in errors.
    kind : str
        What it was to be, for errors.

    Raises
    ------
    InputFileError
        If it has no telescopes, none of its events, or another data model.
    """
    # Takes a second, which not all that open files need.
    from .ctapipe_tables import DL1_EVENTS, IMAGES, INSTRUMENT, LAYOUT, TRIGGER

    version = _data_model(file)
    if version and INSTRUMENT in file and _numbers(version) < _numbers(OLDEST):
        only = "" if IMAGES in file else "holds image parameters only, and "
        raise InputFileError(
            f"'{path}' {only}is in the data model {version} of an old ctapipe, where {OLDEST} is "
            "the first that is read; make it again from the raw data, with ctapipe-process "
            "--write-images --write-parameters."
        )
    missing = next((node for node in (LAYOUT, TRIGGER) if node not in file), None)
    # Where nothing triggered, ctapipe writes no tables of events at all.
    if missing is None or (missing == TRIGGER and DL1_EVENTS not in file):
        return
    newer = newer_than_installed(file)
    raise InputFileError(
        f"'{path}' {newer.words}: it has no {missing}; install {newer.remedy}."
        if newer
        else f"'{path}' is not a ctapipe {kind} file: it has no {missing}."
    )


def check_is_table(file: tables.File, path: Path, node: str) -> None:
    """Refuse a file where pandas wrote what lstchain has a table for.

    Parameters
    ----------
    file : tables.File
    path : Path
        What it is called in errors.
    node : str
        Of the table, which need not be there.

    Raises
    ------
    InputFileError
        If something else than a table is there.
    """
    if node in file and not isinstance(file.get_node(node), tables.Table):
        raise InputFileError(
            f"'{path}' is written by pandas: its {node} is a data frame in pandas' own layout, "
            "not a table as lstchain's; write it again with lstchain.io.write_dataframe."
        )


def _data_model(file: tables.File) -> str:
    return str(file.root._v_attrs[DATA_MODEL]) if DATA_MODEL in file.root._v_attrs else ""


class Newer(NamedTuple):
    """How a file is newer than the installed ctapipe."""

    words: str
    """Of a sentence that begins with the file."""

    remedy: str = "a newer ctapipe"
    """What to install."""


def newer_than_installed(file: tables.File) -> Newer | None:
    """How a file is newer than the installed ctapipe, None where it is not.

    Parameters
    ----------
    file : tables.File
        In ctapipe's or lstchain's format.
    """
    # Takes a second, and is needed where reading has failed alone.
    from ctapipe.instrument import (
        CameraGeometry,
        CameraReadout,
        OpticsDescription,
        SubarrayDescription,
    )
    from ctapipe.io.datawriter import DATA_MODEL_VERSION

    from .ctapipe_tables import INSTRUMENT

    here = f"the {ctapipe.__version__} installed here"
    attributes = file.root._v_attrs
    if MAKER in attributes and attributes[MAKER] == "ctapipe" and MAKER_VERSION in attributes:
        maker = Version(str(attributes[MAKER_VERSION]))
        if maker > Version(ctapipe.__version__):
            words = f"was made by ctapipe {maker}, newer than {here}"
            return Newer(words, f"ctapipe {maker} or newer")
    version = _data_model(file)
    if _numbers(version) > _numbers(DATA_MODEL_VERSION):
        return Newer(
            f"is made by a newer ctapipe than {here}, in data model {version} where that one "
            f"knows {DATA_MODEL_VERSION}"
        )
    known = {
        "layout": SubarrayDescription,
        "optics": OpticsDescription,
        "geometry": CameraGeometry,
        "readout": CameraReadout,
    }
    for table in file.walk_nodes(INSTRUMENT, "Table") if INSTRUMENT in file else ():
        description = known.get(table.name.split("_")[0])
        version = str(table.attrs["TAB_VER"]) if "TAB_VER" in table.attrs else ""
        if description and _numbers(version) > _numbers(description.CURRENT_TAB_VERSION):
            return Newer(
                f"is made by a newer ctapipe than {here}, as {table._v_pathname} is of version "
                f"{version} where that one knows {description.CURRENT_TAB_VERSION}"
            )
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """``v7.1.0`` as (7, 1, 0)."""
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version))
