"""ctapipe's event source of simulated showers: ``ctapipe-process -i gamma.simulation.yaml``."""

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ctapipe.atmosphere import FiveLayerAtmosphereDensityProfile
from ctapipe.containers import (
    ArrayEventContainer,
    ObservationBlockContainer,
    SchedulingBlockContainer,
    SimulatedShowerDistribution,
    SimulationConfigContainer,
)
from ctapipe.core import Component, Provenance
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import DataLevel, EventSource
from traitlets.config import Config

from ..io import plain_yaml
from ..io.distrust import distrust_files
from .run import FIRST_SHOWER, SimulatedRun

# ctapipe imports this before it opens a file of any kind.
distrust_files()

__all__ = ["GammaLearnEventSource"]

#: What every request of a simulation has; the other settings have defaults.
NEEDED = {"particle", "n_showers", "energy"}

#: Showers simulated at a time.
BLOCK = 8


class GammaLearnEventSource(EventSource):
    """Simulates showers as they are asked for.

    The input is a YAML file with the settings of :class:`gammalearn.settings.SimulationSettings`;
    ``output`` is not used.
    """

    @staticmethod
    def is_compatible(file_path: str | Path) -> bool:
        """Whether the file holds the settings of a simulation."""
        path = Path(file_path).expanduser()
        if path.suffix not in {".yaml", ".yml"} or not path.is_file():
            return False
        try:
            values = plain_yaml.load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            return False
        return isinstance(values, dict) and values.keys() >= NEEDED

    def __init__(
        self,
        input_url: str | Path | None = None,
        config: Config | None = None,
        parent: Component | None = None,
        **kwargs: Any,
    ) -> None:
        # Who only asks for compatibility does without the compiled simulation.
        from ..settings.reading import load_simulation
        from .showers import ShowerSimulation

        super().__init__(input_url=input_url, config=config, parent=parent, **kwargs)
        self.settings = load_simulation(self.input_url)
        Provenance().add_input_file(str(self.input_url), role="Simulation settings", add_meta=False)
        self._simulation = ShowerSimulation(self.settings)
        self._run = SimulatedRun(self.settings, self._simulation.array)
        self._is_complete = False

    @property
    def is_simulation(self) -> bool:
        """Always."""
        return True

    @property
    def datalevels(self) -> tuple[DataLevel, ...]:
        """Calibrated images, which ctapipe describes, and waveforms where they are asked for."""
        waveforms = (DataLevel.R1,) if self.settings.waveforms else ()
        return (*waveforms, DataLevel.DL1_IMAGES)

    @cached_property
    def subarray(self) -> SubarrayDescription:
        """The telescopes; those of ``allowed_tels`` where that is given."""
        subarray = self._run.subarray
        return subarray.select_subarray(self.allowed_tels) if self.allowed_tels else subarray

    @property
    def simulation_config(self) -> dict[np.int32, SimulationConfigContainer]:
        """What was thrown."""
        return self._run.simulation_config

    @property
    def observation_blocks(self) -> dict[np.int32, ObservationBlockContainer]:
        """The run's only observation."""
        return self._run.observation_blocks

    @property
    def scheduling_blocks(self) -> dict[np.int32, SchedulingBlockContainer]:
        """The run's only scheduling block."""
        return self._run.scheduling_blocks

    @property
    def atmosphere_density_profile(self) -> FiveLayerAtmosphereDensityProfile:
        """The atmosphere of the simulation."""
        return self._run.atmosphere_density_profile

    @property
    def simulated_shower_distributions(self) -> dict[np.int32, SimulatedShowerDistribution]:
        """What was thrown by energy and distance; empty before the last event was read."""
        return self._run.simulated_shower_distributions if self._is_complete else {}

    def _generator(self) -> Iterator[ArrayEventContainer]:
        self._run = SimulatedRun(self.settings, self._simulation.array)
        self._is_complete = False
        count = 0
        end = FIRST_SHOWER + self.settings.n_showers
        for first in range(FIRST_SHOWER, end, BLOCK):
            block = self._simulation.block(first, min(first + BLOCK, end))
            self._run.count(block)
            for event in self._run.events(block):
                if self.allowed_tels and not _keep(event, self.allowed_tels):
                    continue
                event.count = count
                count += 1
                yield event
        self._is_complete = True


def _keep(event: ArrayEventContainer, tel_ids: Collection[int]) -> bool:
    """Take other telescopes out of an event; whether any is left."""
    for by_telescope in (
        event.trigger.tel,
        event.r1.tel,
        event.dl1.tel,
        event.simulation.tel,
        event.monitoring.tel,
    ):
        for tel_id in set(by_telescope) - set(tel_ids):
            del by_telescope[tel_id]
    event.trigger.tels_with_trigger = [
        tel_id for tel_id in event.trigger.tels_with_trigger if tel_id in tel_ids
    ]
    return len(event.trigger.tels_with_trigger) > 0
