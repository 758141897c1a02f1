"""Simulated events of the study: the four LSTs at La Palma at 20 degrees from the zenith.

Gammas come from all over the field of view and from a source 0.4 degrees off the pointing. A part
of them falls as E^-1.5 in place of E^-2, so that there are enough bright ones to learn from.
"""

import os
from typing import Any

from gammalearn.settings import SimulationSettings

#: How many times the showers of the small study: ``GAMMALEARN_STUDY=full`` takes eight times as
#: many.
SIZES = {"small": 1, "full": 8}
SIZE = os.environ.get("GAMMALEARN_STUDY", "small")
if SIZE not in SIZES:
    raise ValueError(f"GAMMALEARN_STUDY={SIZE}: the sizes are {', '.join(SIZES)}.")
FOLDER = f"data/study/{SIZE}"

ALL: dict[str, Any] = {"array": "lst4", "zenith": "20 deg", "scatter": "350 m"}
GAMMAS: dict[str, Any] = {**ALL, "particle": "gamma", "energy": ("20 GeV", "20 TeV")}
DIFFUSE: dict[str, Any] = {**GAMMAS, "viewcone": "2.5 deg"}
SOURCE: dict[str, Any] = {**GAMMAS, "viewcone": 0, "offset": "0.4 deg"}
PROTONS: dict[str, Any] = {
    **ALL,
    "particle": "proton",
    "energy": ("60 GeV", "60 TeV"),
    "viewcone": "3 deg",
}

#: Name, showers of the small study, seed and run, spectrum, and where the showers come from.
FILES: list[tuple[str, int, int, float, dict[str, Any]]] = [
    ("train/gamma_diffuse", 12_000, 101, -2.0, DIFFUSE),
    ("train/gamma_diffuse_bright", 2_000, 102, -1.5, DIFFUSE),
    ("train/gamma_source_bright", 1_500, 103, -1.5, SOURCE),
    ("train/proton", 12_000, 104, -2.0, PROTONS),
    ("test/gamma_source", 1_200, 105, -1.5, SOURCE),
    ("test/gamma_diffuse", 800, 106, -1.5, DIFFUSE),
    ("test/proton", 6_000, 107, -2.0, PROTONS),
]

simulation = [
    SimulationSettings(
        output=f"{FOLDER}/{name}.dl1.h5",
        n_showers=n_showers * SIZES[SIZE],
        seed=seed,
        run=seed,
        spectral_index=spectral_index,
        **where,
    )
    for name, n_showers, seed, spectral_index, where in FILES
]
