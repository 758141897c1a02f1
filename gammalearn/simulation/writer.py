"""Writing of simulated events, with their truth, as ctapipe's DL1 files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from ctapipe.containers import ArrayEventContainer
from ctapipe.io import DataWriter

from ..io.ctapipe_tables import (
    FIXED_POINTING,
    IMAGES,
    PARAMETERS,
    TEL_TRIGGER,
    THROWN,
    TRIGGER,
    TRUE_IMAGES,
    TRUE_IMPACT,
    TRUE_PARAMETERS,
    WAVEFORMS,
    of_telescope,
)
from ..io.ctapipe_tables import SHOWER as SHOWER_TABLE
from .block import EVENT, SHOWER, EventBlock, TelescopeImages
from .event_writer import (
    FIXED_POINT,
    DescribedBlock,
    EventWriter,
    parameter_columns,
    template_images,
)
from .image_parameters import ImageParameters
from .record import write_record
from .run import SimulatedRun, distance_of_telescopes

__all__ = ["FIXED_POINT", "DL1Writer", "DescribedBlock"]


class DL1Writer(EventWriter):
    """Writes one file of simulated events.

    To be used in a ``with`` statement; the file is complete after it.

    Parameters
    ----------
    path : Path
        Must not exist.
    run : SimulatedRun
    """

    filled = (TRIGGER, TEL_TRIGGER, SHOWER_TABLE, THROWN)
    by_telescope: tuple[str, ...] = (
        IMAGES,
        PARAMETERS,
        TRUE_IMPACT,
        TRUE_IMAGES,
        TRUE_PARAMETERS,
    )
    _run: SimulatedRun

    def __init__(self, path: Path, run: SimulatedRun) -> None:
        super().__init__(path, run)
        self.waveforms = run.settings.waveforms
        if self.waveforms:
            self.by_telescope = (*self.by_telescope, WAVEFORMS)

    def _template(self) -> Iterator[ArrayEventContainer]:
        events = np.zeros(2, dtype=EVENT)
        events["event_id"] = 1, 2
        block = EventBlock(
            showers=np.ones(1, dtype=SHOWER),
            events=events,
            telescopes=template_images(self._run.subarray, self.waveforms),
            core_distance=np.zeros((1, 1)),
        )
        return self._run.events(block)

    def _end_template(self, writer: DataWriter) -> None:
        writer.write_simulated_shower_distributions(self._run.simulated_shower_distributions)

    def write(self, described: DescribedBlock[EventBlock]) -> None:
        """Append the events of a block."""
        block = described.block
        self._run.count(block)
        self._add_statistics(described.statistics)
        if len(block.events) == 0:
            return
        self._write_showers(block)
        telescopes = list(block.telescopes.values())
        self._write_triggers(
            {"event_id": block.events["event_id"]},
            self._run.event_time(block.events["event_id"]),
            event=np.concatenate([images.event for images in telescopes]),
            tel_id=np.concatenate([images.tel_id for images in telescopes]),
            after=np.concatenate([images.trigger_time for images in telescopes]),
        )
        for name, images in block.telescopes.items():
            parameters = described.parameters[name]
            for tel_id in np.unique(images.tel_id):
                rows = np.flatnonzero(images.tel_id == tel_id)
                self._write_images(block, tel_id, images, parameters, rows)

    def _keys(self, events: np.ndarray, **others: Any) -> dict[str, Any]:
        return {"obs_id": self._run.obs_id, "event_id": events["event_id"], **others}

    def _write_showers(self, block: EventBlock) -> None:
        events, showers = block.events, block.showers[block.events["row"]]
        columns = {
            "true_energy": showers["energy"] * u.TeV,
            "true_alt": showers["alt"] * u.rad,
            "true_az": showers["az"] * u.rad,
            "true_core_x": events["core_x"] * u.m,
            "true_core_y": events["core_y"] * u.m,
            "true_h_first_int": showers["h_first_int"] * u.m,
            "true_x_max": showers["x_max"] * u.g / u.cm**2,
            "true_starting_grammage": showers["starting_grammage"] * u.g / u.cm**2,
            "true_shower_primary_id": showers["shower_primary_id"],
        }
        self.append(SHOWER_TABLE, self._keys(events), columns)

    def _write_images(
        self,
        block: EventBlock,
        tel_id: int,
        images: TelescopeImages,
        parameters: ImageParameters,
        rows: np.ndarray,
    ) -> None:
        events = block.events[images.event[rows]]
        showers = block.showers[events["row"]]
        position = self._run.array.positions[self._run.subarray.tel_index_array[tel_id]]
        distance = distance_of_telescopes(events, showers, position)
        true_image = images.true_image[rows]

        columns = {
            IMAGES: {
                "image": images.image[rows],
                "peak_time": images.peak_time[rows],
                "image_mask": parameters.image_mask[rows],
            },
            TRUE_IMAGES: {"true_image": true_image, "true_image_sum": true_image.sum(axis=1)},
            TRUE_IMPACT: {"true_impact_distance": distance * u.m},
            PARAMETERS: parameter_columns(parameters.parameters[rows]),
            TRUE_PARAMETERS: parameter_columns(parameters.true_parameters[rows], true=True),
        }
        if images.waveform is not None:
            columns[WAVEFORMS] = {"waveform": images.waveform[rows][:, np.newaxis]}
        described = {
            PARAMETERS: parameters.is_described[rows],
            TRUE_PARAMETERS: parameters.true_is_described[rows],
        }
        for group in self.by_telescope:
            self.append(
                of_telescope(group, tel_id),
                self._keys(events, tel_id=tel_id),
                columns[group],
                where=described.get(group, slice(None)),
            )

    def _finish(self) -> None:
        self._remove_unseen((*self.by_telescope, FIXED_POINTING))
        for distribution in self._run.simulated_shower_distributions.values():
            columns = {
                "n_entries": np.array([distribution.n_entries]),
                "histogram": distribution.histogram[np.newaxis],
            }
            self.append(THROWN, {"obs_id": self._run.obs_id}, columns)
        write_record(self._file, self._run.settings)
        super()._finish()
