"""Predictions: the table of classified objects, and how it is written and read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table

from ...errors import InputFileError, OutputError
from ...io.files import reading
from ...io.finding import check_file
from ...io.writing import write_whole
from ..catalogue import Catalogue
from .types import TYPES, class_of

__all__ = ["read_predictions", "table_of_objects", "write_predictions"]

#: What the tables say that they are.
KIND = "supernovae"

#: Columns that every table of predictions has.
NEEDED = ("object_id", "probability_Ia")


def table_of_objects(catalogue: Catalogue, columns: Mapping[str, np.ndarray]) -> Table:
    """A table of predictions: the columns given, and what is known of the objects.

    The last are ``host_redshift``, ``n_observations``, ``signal_to_noise`` (the largest),
    ``confirmed``, and the truth if some is known: ``true_type`` and ``true_redshift``.
    """
    table = Table({"object_id": catalogue.objects["object_id"], **columns})
    if f"probability_type_{TYPES[0]}" in columns:
        chances = np.stack([columns[f"probability_type_{name}"] for name in TYPES])
        table["type"] = np.array(TYPES)[chances.argmax(axis=0)]
    table["host_redshift"] = catalogue.objects["host_redshift"]
    table["n_observations"] = np.diff(catalogue.start)
    significance = catalogue.flux / catalogue.flux_error
    has_some = len(significance) > 0
    table["signal_to_noise"] = (
        np.maximum.reduceat(significance, catalogue.start[:-1]) if has_some else np.empty(0)
    )
    table["confirmed"] = catalogue.objects["confirmed"]
    kinds = class_of(catalogue.objects["type"])
    if (kinds != "").any():
        table["true_type"] = kinds
        table["true_redshift"] = catalogue.objects["redshift"]
    table.meta["survey"] = KIND
    return table


def write_predictions(table: Table, path: Path, overwrite: bool = False) -> None:
    """Write a table of predictions as ECSV or FITS, by its ending.

    Raises
    ------
    OutputError
        If the file exists, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputError(f"'{path}' exists; give another name, or --overwrite to replace it.")
    if path.suffix == ".fits":
        plain = table.copy()
        # A header has no place for pages of settings.
        plain.meta = {k: v for k, v in table.meta.items() if k != "settings"}
        write_whole(path, lambda part: plain.write(part, format="fits", overwrite=True))
        return
    write_whole(path, lambda part: table.write(part, format="ascii.ecsv", overwrite=True))


def read_predictions(path: Path) -> Table:
    """Read a table of predictions.

    Raises
    ------
    InputFileError
        If it is missing, damaged, or no table of predictions.
    """
    path = Path(path)
    check_file(path)
    kind = "fits" if path.suffix == ".fits" else "ascii.ecsv"
    with reading(path, "the table"):
        table = Table.read(path, format=kind)
        for name in table.colnames:
            if table[name].dtype.kind == "S":
                table[name] = np.char.decode(np.asarray(table[name]))
            if table[name].dtype.kind == "U" and np.ma.isMaskedArray(table[name].data):
                # Where the text has nothing.
                table[name] = table[name].data.filled("")
    for name in NEEDED:
        if name not in table.colnames:
            raise InputFileError(
                f"'{path}' is no table of classified supernovae: it has no column {name}; make one "
                "with `gammalearn predict`."
            )
    chance = np.asarray(table["probability_Ia"], dtype=float)
    if not ((chance >= 0) & (chance <= 1)).all():
        raise InputFileError(f"'{path}': probability_Ia is not between 0 and 1 in all rows.")
    return table
