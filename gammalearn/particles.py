"""Names of the primary particles."""

import numpy as np

__all__ = ["PARTICLES", "particle_names", "plural"]

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


def particle_names(primary_ids) -> np.ndarray:
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
