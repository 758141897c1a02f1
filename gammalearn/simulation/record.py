"""What a simulated file was made of, written in the file itself."""

import warnings
from pathlib import Path

import tables
import yaml

from ..io import plain_yaml
from ..io.files import open_hdf5, reading
from ..io.isolated import read_isolated
from ..settings import SimulationSettings

__all__ = ["read_record", "write_record"]

#: Attribute of the file's root that holds the settings as YAML.
ATTRIBUTE = "GAMMALEARN SIMULATION"


def write_record(file: tables.File, settings: SimulationSettings) -> None:
    """Write the settings of a simulation into its file, which is open for writing."""
    with warnings.catch_warnings():
        # Names with a space are ctapipe's way.
        warnings.simplefilter("ignore", tables.NaturalNameWarning)
        file.root._v_attrs[ATTRIBUTE] = yaml.safe_dump(settings.shower_settings(), sort_keys=False)


def read_record(path: Path) -> dict | None:
    """The settings that a file was simulated with, by the names of today, without its output; None
    if it was not simulated here.

    Raises
    ------
    InputFileError
        If the file cannot be read.
    """
    record = read_isolated(_record, path)
    if record is None:
        return None
    values = plain_yaml.load(str(record))
    return {SimulationSettings.current_key(name): value for name, value in values.items()}


def _record(path: Path) -> str | None:
    with open_hdf5(path) as file, reading(path, "its attributes"):
        attributes = file.root._v_attrs
        return str(attributes[ATTRIBUTE]) if ATTRIBUTE in attributes else None
