"""Simulated catalogues, made where they are missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import SettingsError
from ..io.files import exclusive, open_hdf5, reading
from ..io.printable import tell
from ..io.writing import make_folder
from .catalogue import write_catalogue
from .survey import Survey

__all__ = ["make_missing_catalogues"]


def make_missing_catalogues(
    survey: Survey, simulations: Sequence[Any], progress: bool = True
) -> None:
    """Simulate catalogues that do not exist.

    Parameters
    ----------
    survey : Survey
    simulations : sequence of Settings
        Those of the survey's simulation, with ``output`` and ``n_objects``.
    progress : bool
        Say what is made.

    Raises
    ------
    SettingsError
        If a file was made with other settings.
    """
    for settings in simulations:
        path = Path(settings.output).expanduser()
        make_folder(path.parent)
        with exclusive(path.parent):
            if path.exists():
                _check_same(path, settings)
                continue
            if progress:
                tell(f"Simulating {settings.n_objects} {survey.objects}: '{path}'.")
            catalogue = survey.simulate(settings)
            write_catalogue(catalogue, path, {"simulation": _text(settings)})


def _text(settings: Any) -> str:
    return yaml.safe_dump(settings.model_dump(mode="json", exclude={"output"}))


def _check_same(path: Path, settings: Any) -> None:
    with open_hdf5(path) as file, reading(path, "the root's attributes"):
        attributes = file.root._v_attrs
        before = str(attributes["simulation"]) if "simulation" in attributes else None
    if before != _text(settings):
        raise SettingsError(
            f"simulation: '{path}' exists and was made with other settings; give another output, "
            "or remove the file."
        )
