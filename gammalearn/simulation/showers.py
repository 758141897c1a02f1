"""Showers over an array: from settings to triggered events."""

from typing import Any

import numpy as np

from ..settings import SimulationSettings
from .array_simulation import (
    PRIMARIES,
    ArraySimulation,
    Shower,
    develop,
    draw_cores,
    draw_in_cone,
    join_images,
    turned,
)
from .block import EVENT, SHOWER, EventBlock
from .instrument import array
from .optics import Optics, direction

__all__ = ["Shower", "ShowerSimulation", "develop"]


class ShowerSimulation(ArraySimulation):
    """Simulate showers over an array of telescopes.

    Each shower has random numbers of its own, from the seed, the run and the shower's number
    alone: whatever is simulated before it or beside it, it is the same.

    Parameters
    ----------
    settings : SimulationSettings
    absorption : bool
        Let the air absorb light, as it does; without, densities compare with CORSIKA's.

    Raises
    ------
    SettingsError
        If the array is unknown or impossible, or has too few telescopes for the trigger.
    """

    def __init__(self, settings: SimulationSettings, absorption: bool = True) -> None:
        super().__init__(
            array(settings.array), settings.min_telescopes, waveforms=settings.waveforms
        )
        self.settings = settings
        self.primary = PRIMARIES[settings.particle]
        self.alt = np.radians(90.0 - settings.zenith)
        self.az = np.radians(settings.azimuth) % (2.0 * np.pi)
        self._optics = Optics.of(
            self._models, self.alt, self.az, self.array.height, absorption=absorption
        )

    def block(self, first: int, last: int) -> EventBlock:
        """Simulate the showers numbered first to last - 1."""
        showers = np.zeros(last - first, dtype=SHOWER)
        distances = np.empty((last - first, self.settings.reuse), dtype=np.float32)
        events: list[Any] = []
        images: list[list[Any]] = [[] for _ in self._models]
        for row, number in enumerate(range(first, last)):
            shower = self.shower(number)
            showers[row] = (
                number,
                shower.energy,
                shower.alt,
                shower.az,
                shower.h_first_int,
                shower.x_max,
                0.0,
                self.primary.primary_id,
            )
            distances[row] = np.linalg.norm(
                np.cross(
                    np.column_stack([shower.cores, np.zeros(len(shower.cores))]),
                    direction(shower.alt, shower.az),
                ),
                axis=1,
            )
            readout_rng = np.random.default_rng(self._seed(number, 2))
            for use, readouts in self.triggered(shower, readout_rng):
                for tel, readout in readouts:
                    images[self._kind[tel]].append((len(events), self.array.tel_ids[tel], readout))
                events.append((row, use, *shower.cores[use], 100 * number + use))
        return EventBlock(
            showers=showers,
            events=np.array(events, dtype=EVENT),
            telescopes={
                model.name: join_images(some)
                for model, some in zip(self._models, images, strict=True)
                if some
            },
            core_distance=distances,
        )

    def _seed(self, number: int, purpose: int) -> np.random.SeedSequence:
        settings = self.settings
        return np.random.SeedSequence(
            [settings.seed, settings.run, self.primary.seed, number, purpose]
        )

    def shower(self, number: int) -> Shower:
        """Simulate a shower and its light at the telescopes, without their electronics."""
        settings = self.settings
        rng = np.random.default_rng(self._seed(number, 0))
        energy = _power_law(*settings.energy, settings.spectral_index, rng)
        alt, az = self._direction(rng)
        cores = draw_cores(alt, az, settings.scatter, settings.reuse, rng)
        return self.follow(
            self._optics, self.primary, energy, alt, az, cores, self._seed(number, 1)
        )

    def _direction(self, rng: np.random.Generator) -> tuple[float, float]:
        """Draw where a shower comes from: (alt, az) in rad."""
        axes = self._optics.axes
        if self.settings.viewcone:
            return draw_in_cone(axes, np.radians(self.settings.viewcone), rng)
        # A point source keeps its offset, at any position angle.
        return turned(axes, np.radians(self.settings.offset), 2.0 * np.pi * rng.random())


def _power_law(low: float, high: float, index: float, rng: np.random.Generator) -> float:
    """Draw from E^index between two energies."""
    u = rng.random()
    if abs(index + 1.0) < 1e-9:
        return float(low * (high / low) ** u)
    power = index + 1.0
    return float((low**power + u * (high**power - low**power)) ** (1.0 / power))
