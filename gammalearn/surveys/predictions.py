"""Tables of predictions: how they are written and read, and of which survey they are."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from ..errors import InputFileError, OutputError
from ..io.files import open_fits, reading
from ..io.finding import check_file
from ..io.writing import write_whole
from .kinds import KINDS
from .survey import Survey

__all__ = ["read_predictions", "survey_of_table", "write_predictions"]


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


def read_predictions(path: Path) -> tuple[Survey, Table]:
    """Read a table of predictions, and say of which survey it is.

    Raises
    ------
    InputFileError
        If it is missing, damaged, or no table of predictions.
    """
    path = Path(path)
    check_file(path)
    with reading(path, "the table"):
        if path.suffix == ".fits":
            with open_fits(path, "the table") as hdus:
                table = Table.read(hdus, hdu=1)
        else:
            table = Table.read(path, format="ascii.ecsv")
        for name in table.colnames:
            if table[name].dtype.kind == "S":
                table[name] = np.char.decode(np.asarray(table[name]))
            if table[name].dtype.kind == "U" and np.ma.isMaskedArray(table[name].data):
                # Where the text has nothing.
                table[name] = table[name].data.filled("")
    survey = survey_of_table(table, path)
    survey.check(table, path)
    return survey, table


def survey_of_table(table: Table, path: Path) -> Survey:
    """The survey that a table is of, by its columns.

    Raises
    ------
    InputFileError
        If it is of none.
    """
    columns = [survey.column for survey in KINDS]
    for survey in KINDS:
        if survey.column in table.colnames and "object_id" in table.colnames:
            return survey
    raise InputFileError(
        f"'{path}' is no table of predictions of a survey: it has no column object_id, or none of "
        f"{', '.join(columns)}; make one with `gammalearn predict`."
    )
