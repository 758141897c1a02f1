"""Names of the primary particles, and what is no shower of any."""

import numpy as np
from ctapipe.containers import EventType
from numpy.typing import ArrayLike

__all__ = ["CALIBRATION", "PARTICLES", "are_showers", "particle_names", "plural"]

#: What stands in the place of a particle's name where an event is no shower.
CALIBRATION = "calibration"

#: Types of events that are showers.
SHOWERS = (EventType.SUBARRAY, EventType.LONG_EVENT, EventType.UNKNOWN)

#: Energy (TeV) that no shower has: an electron needs 20 times as much to give light in the air.
LEAST_ENERGY = 1e-6

#: Names by the primary id of ctapipe files, which is that of sim_telarray: electrons and muons
#: by charge and generation, nuclei as 100 A + Z.
PARTICLES = {
    0: "gamma",
    1: "electron",
    -1: "positron",
    2: "muon",
    -2: "antimuon",
    101: "proton",
    402: "helium",
    1407: "nitrogen",
    2814: "silicon",
    5626: "iron",
}

#: What several of them are called, unless it is their name and an s.
NUCLEI = ("helium", "nitrogen", "silicon", "iron")


def particle_names(primary_ids: ArrayLike) -> np.ndarray:
    """Names of the particles with these primary ids.

    Parameters
    ----------
    primary_ids : array_like of int, shape (n,)

    Returns
    -------
    ndarray of str, shape (n,)
        ``primary 14`` for an id, 14, that has no name here.
    """
    ids, position = np.unique(np.asarray(primary_ids, dtype=int), return_inverse=True)
    names = [PARTICLES.get(int(primary), f"primary {primary}") for primary in ids]
    return np.array(names, dtype="U16")[position.reshape(-1)]


def plural(particle: str) -> str:
    """What several of a particle are called, e.g. ``gammas`` or ``iron nuclei``."""
    if particle in NUCLEI:
        return f"{particle} nuclei"
    return f"{particle}s" if particle in PARTICLES.values() else f"{particle} events"


def are_showers(event_type: np.ndarray, true_energy: np.ndarray) -> np.ndarray:
    """Which events are showers, not calibration.

    Parameters
    ----------
    event_type : ndarray of int, shape (n_events,)
        ctapipe's.
    true_energy : ndarray, shape (n_events,)
        In TeV, NaN where there is none. Light pulses of simulations have the type of showers, and
        the energy of their photons.

    Returns
    -------
    ndarray of bool, shape (n_events,)
    """
    energy = np.asarray(true_energy, dtype=np.float64)
    is_pulse = (energy > 0) & (energy < LEAST_ENERGY)
    return np.isin(event_type, [kind.value for kind in SHOWERS]) & ~is_pulse
