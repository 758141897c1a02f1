"""Making of DL3 files from DL2 files of observations."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from astropy.coordinates import EarthLocation

from ..errors import OutputError
from ..io.writing import make_folder
from .observation import Observation, make_observation
from .observed import ObservedPart, read_observed
from .response import read_response
from .selection import read_selection
from .writing import dl3_name, needs_gammapy, write_index, write_observation

__all__ = ["make_dl3"]

log = logging.getLogger(__name__)


def make_dl3(
    files: Sequence[Path],
    irf: Path,
    output: Path,
    *,
    cuts: Path | None = None,
    algorithm: str | None = None,
    site: EarthLocation | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Make a folder of DL3, with a file for each observation, from DL2 files.

    Parameters
    ----------
    files : sequence of Path
        DL2 of observations, in ctapipe's data model or lstchain's layout. An observation may be in
        several files.
    irf : Path
        Instrument response, as ctapipe-compute-irf writes it. It is attached to each observation.
    output : Path
        Folder. Observations that it has already stay, and are in its tables of contents too.
    cuts : Path, optional
        The cuts that the response was computed with, as ctapipe-optimize-event-selection writes
        them. Not needed if the file of the response has them.
    algorithm : str, optional
        DL2 algorithm, if the files hold several.
    site : EarthLocation, optional
        Where the array is, in place of what the files say.
    overwrite : bool
        Replace files of the same observations.

    Returns
    -------
    list of Path
        The files of the observations.

    Raises
    ------
    GammaLearnError
        If a file cannot be used, or the folder cannot be written.
    """
    needs_gammapy()
    selection = read_selection(irf, cuts)
    response = read_response(irf)
    parts: dict[int, list[ObservedPart]] = defaultdict(list)
    for file in files:
        for part in read_observed(file, algorithm, selection):
            parts[part.obs_id].append(part)
    paths = {obs_id: output / dl3_name(obs_id) for obs_id in sorted(parts)}
    for path in paths.values():
        if path.exists() and not overwrite:
            raise OutputError(
                f"'{path}' exists; give another folder, or --overwrite to replace the observations."
            )
    # All are made before the first is written.
    made = {obs_id: make_observation(parts[obs_id], selection, site) for obs_id in paths}
    make_folder(output)
    for obs_id, path in paths.items():
        write_observation(made[obs_id], response, path)
        _tell(made[obs_id])
    write_index(output)
    return list(paths.values())


def _tell(observation: Observation) -> None:
    """What an observation has, and what was left out."""
    log.info(
        "Observation %d: %d selected events in %.1f s, of which the readout was busy for %.1f %%.",
        observation.obs_id,
        len(observation.events),
        observation.ontime,
        100 * observation.dead_fraction,
    )
    if not len(observation.events):
        log.warning("No event of observation %d passes the cuts.", observation.obs_id)
    for why, number in observation.left_out.items():
        log.warning(
            "Observation %d: %d shower(s) were left out (%s).", observation.obs_id, number, why
        )
