"""Events by particle."""

from collections.abc import Iterable

import numpy as np
from astropy.table import QTable

from ...io.particles import plural

__all__ = ["choose_signal", "metric_names", "present_particles"]

#: Particles that always have their metrics, so that runs can be compared key by key.
USUAL_PARTICLES = ("gamma", "electron", "proton")


def present_particles(events: QTable) -> dict[str, int]:
    """Particle → number of its events, most frequent first."""
    names, counts = np.unique(np.asarray(events["particle"], dtype=str), return_counts=True)
    order = sorted(range(len(names)), key=lambda i: (-counts[i], names[i]))
    return {str(names[i]): int(counts[i]) for i in order}


def metric_names(prefix: str, present: Iterable[str]) -> dict[str, str]:
    """Particle → name of its metric, of the usual particles and those present."""
    particles = {*USUAL_PARTICLES, *present}
    return {particle: f"{prefix}_{particle.replace(' ', '_')}" for particle in particles}


def choose_signal(events: QTable, wanted: str) -> tuple[str, list[str]]:
    """The particle to judge by, and a sentence if it is not the one that was wanted."""
    present = present_particles(events)
    if wanted in present or not present:
        return wanted, []
    signal = next(iter(present))
    return signal, [
        f"There are no {plural(wanted)} in these files: migration and resolution are those of "
        f"{plural(signal)}, which say nothing about {plural(wanted)}."
    ]
