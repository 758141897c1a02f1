"""The truth of an observation, in a file of its own, for judging what was made of the observation.

Nothing that trains or predicts reads it.
"""

from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable, Table
from ctapipe.containers import EventType

from ..io.particles import particle_names
from .block import OBSERVED, ObservedBlock
from .observed_run import ObservedRun

__all__ = ["ObservedTruth", "truth_path"]


def truth_path(output: Path) -> Path:
    """Where the truth of an observed file is: ``crab.truth.ecsv`` beside ``crab.dl1.h5``.

    Parameters
    ----------
    output : Path
        The observed file.
    """
    name = Path(output).name.removesuffix(".h5").removesuffix(".dl1")
    return Path(output).with_name(f"{name}.truth.ecsv")


class ObservedTruth:
    """Collects the truth of the showers that an observation has recorded.

    Parameters
    ----------
    run : ObservedRun
    """

    def __init__(self, run: ObservedRun) -> None:
        self._run = run
        self._events: list[np.ndarray] = []
        self._thrown: dict[str, int] = {}
        self._lost = 0

    def count(self, block: ObservedBlock, recorded: np.ndarray) -> None:
        """Count what was thrown, and what was lost in the dead time.

        Parameters
        ----------
        block : ObservedBlock
        recorded : ndarray of bool, shape (n_events,)
        """
        for particle, number in block.n_thrown.items():
            self._thrown[particle] = self._thrown.get(particle, 0) + number
        self._lost += int(np.sum(~recorded))

    def add(self, events: np.ndarray, event_id: np.ndarray) -> None:
        """Add recorded events; pedestals have no truth and are left out.

        Parameters
        ----------
        events : ndarray of OBSERVED, shape (n,)
        event_id : ndarray of int, shape (n,)
            Their numbers in the file.
        """
        events = events.copy()
        events["event_id"] = event_id
        self._events.append(events[events["event_type"] == EventType.SUBARRAY.value])

    @property
    def n_thrown(self) -> dict[str, int]:
        """Showers that were simulated, by particle."""
        return dict(self._thrown)

    def table(self) -> QTable:
        """The truth of each shower that was recorded, in the order of time."""
        events = np.concatenate([np.zeros(0, OBSERVED), *self._events])
        ra, dec = self._run.tracking.icrs_of(events["alt"], events["az"], events["seconds"])
        table = Table(
            {
                "obs_id": np.full(len(events), self._run.obs_id, dtype=np.int64),
                "event_id": events["event_id"],
                "particle": particle_names(events["primary_id"]),
                "seconds": events["seconds"] * u.s,
                "true_energy": events["energy"] * u.TeV,
                "true_alt": np.rad2deg(events["alt"]) * u.deg,
                "true_az": np.rad2deg(events["az"]) * u.deg,
                "true_ra": ra * u.deg,
                "true_dec": dec * u.deg,
                "true_core_x": events["core_x"] * u.m,
                "true_core_y": events["core_y"] * u.m,
                "true_h_first_int": events["h_first_int"] * u.m,
                "true_x_max": events["x_max"] * u.g / u.cm**2,
            }
        )
        table["seconds"].info.description = "time after the start of the observation"
        table.meta["settings"] = self._run.settings.model_dump(mode="json", exclude={"output"})
        table.meta["start_utc"] = self._run.tracking.start.utc.isot
        table.meta["showers_thrown"] = self.n_thrown
        table.meta["events_lost_in_dead_time"] = self._lost
        return table

    def write(self, path: Path) -> None:
        """Write the table as ECSV, which astropy reads with its units.

        Parameters
        ----------
        path : Path
            A file that exists is replaced.
        """
        self.table().write(path, format="ascii.ecsv", overwrite=True)
