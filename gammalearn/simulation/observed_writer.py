"""Writing of an observation as an observatory does: no truth, moving telescopes, dead time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tables
from astropy.table import QTable
from ctapipe.containers import ArrayEventContainer, EventType
from ctapipe.io import write_table

from ..io.ctapipe_tables import (
    COEFFICIENTS,
    IMAGES,
    MONITORED_POINTING,
    PARAMETERS,
    SUBARRAY_POINTING,
    of_telescope,
)
from ..io.observed.dead_time import write_dead_time
from ..io.observed.target import write_target
from .block import OBSERVED, ObservedBlock
from .event_writer import DescribedBlock, EventWriter, parameter_columns, template_images
from .observed_run import ObservedRun
from .truth import ObservedTruth

__all__ = ["ObservedWriter"]


class ObservedWriter(EventWriter):
    """Writes one file of an observation.

    To be used in a ``with`` statement; the file is complete after it. Blocks come in the order of
    time. Events within the dead time of another are lost, the others are numbered as they come.

    Parameters
    ----------
    path : Path
        Must not exist.
    run : ObservedRun

    Attributes
    ----------
    truth : ObservedTruth
        Of the events that are written.
    n_events : int
        Events that are written.
    """

    by_telescope = (IMAGES, PARAMETERS)
    _run: ObservedRun

    def __init__(self, path: Path, run: ObservedRun) -> None:
        super().__init__(path, run)
        self.truth = ObservedTruth(run)
        self._dead_time = 1e-6 * run.settings.dead_time
        self._last = -np.inf
        self.n_events = 0

    def _template(self) -> Iterator[ArrayEventContainer]:
        events = np.zeros(2, dtype=OBSERVED)
        events["event_id"] = 1, 2
        events["event_type"] = EventType.SUBARRAY.value
        images = template_images(self._run.subarray)
        return self._run.events(ObservedBlock(events, images, n_thrown={}))

    def write(self, described: DescribedBlock[ObservedBlock]) -> None:
        """Append the events of a block."""
        block = described.block
        recorded = self._recorded(block.events["seconds"])
        self.truth.count(block, recorded)
        self._add_statistics(described.statistics)
        if not np.any(recorded):
            return
        event_id = np.zeros(len(recorded), dtype=np.int64)
        n_events = int(recorded.sum())
        event_id[recorded] = self.n_events + 1 + np.arange(n_events)
        self.n_events += n_events
        self.truth.add(block.events[recorded], event_id[recorded])
        self._write_events(block, recorded, event_id)
        for name, images in block.telescopes.items():
            parameters = described.parameters[name]
            for tel_id in np.unique(images.tel_id):
                rows = np.flatnonzero((images.tel_id == tel_id) & recorded[images.event])
                keys = {
                    "obs_id": self._run.obs_id,
                    "tel_id": tel_id,
                    "event_id": event_id[images.event[rows]],
                }
                columns = {
                    "image": images.image[rows],
                    "peak_time": images.peak_time[rows],
                    "image_mask": parameters.image_mask[rows],
                }
                if len(rows):
                    self.append(of_telescope(IMAGES, tel_id), keys, columns)
                    self.append(
                        of_telescope(PARAMETERS, tel_id),
                        keys,
                        parameter_columns(parameters.parameters[rows]),
                        where=parameters.is_described[rows],
                    )

    def _recorded(self, seconds: np.ndarray) -> np.ndarray:
        """Which events come when the cameras are not busy; shape (n,) of bool."""
        recorded = np.zeros(len(seconds), dtype=bool)
        for row, second in enumerate(seconds):
            if second - self._last >= self._dead_time:
                recorded[row] = True
                self._last = second
        return recorded

    def _write_events(
        self, block: ObservedBlock, recorded: np.ndarray, event_id: np.ndarray
    ) -> None:
        telescopes = list(block.telescopes.values())
        event = np.concatenate([images.event for images in telescopes])
        kept = recorded[event]
        # Rows of the events that are left.
        row = np.cumsum(recorded) - 1
        self._write_triggers(
            {
                "event_id": event_id[recorded],
                "event_type": block.events["event_type"][recorded],
            },
            self._run.event_time(block.events["seconds"][recorded]),
            event=row[event[kept]],
            tel_id=np.concatenate([images.tel_id for images in telescopes])[kept],
            after=np.concatenate([images.trigger_time for images in telescopes])[kept],
        )

    def _finish(self) -> None:
        self._remove_unseen(self.by_telescope)
        run = self._run
        monitored, _ = MONITORED_POINTING
        self._write_monitoring(SUBARRAY_POINTING, run.subarray_pointing_table())
        for tel_id in run.subarray.tel:
            self._write_monitoring(of_telescope(monitored, tel_id), run.pointing_table())
            self._write_monitoring(
                of_telescope(COEFFICIENTS, tel_id), run.calibration_table(tel_id)
            )
        write_dead_time(self._file, self._dead_time)
        write_target(self._file, run.target)
        super()._finish()

    def _write_monitoring(self, path: str, table: QTable) -> None:
        write_table(table, self._file, path, filters=tables.Filters(1, "blosc:zstd"))
