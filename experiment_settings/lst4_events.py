"""Simulated events of the four LSTs at La Palma, the same for all experiments of this folder.

They are simulated where their files are missing; delete a file to have it made anew.
"""

from gammalearn.settings import SimulationSettings

#: Gammas from all over the field of view, to learn from.
DIFFUSE = {
    "array": "lst4",
    "particle": "gamma",
    "energy": ("30 GeV", "5 TeV"),
    "viewcone": "2.5 deg",
    "scatter": "350 m",
}

#: Gammas at the offset of a source in an observation, from all around: from a ring of 0.4 deg
#: about the centre of the field of view.
SOURCE = {**DIFFUSE, "viewcone": 0, "offset": "0.4 deg"}

PROTONS = {
    "array": "lst4",
    "particle": "proton",
    "energy": ("100 GeV", "20 TeV"),
    "viewcone": "3 deg",
    "scatter": "350 m",
}

simulation = [
    SimulationSettings(output="data/train/gamma.dl1.h5", n_showers=2400, seed=1, run=1, **DIFFUSE),
    SimulationSettings(output="data/train/proton.dl1.h5", n_showers=4000, seed=2, run=2, **PROTONS),
    SimulationSettings(output="data/test/gamma.dl1.h5", n_showers=400, seed=3, run=3, **SOURCE),
    SimulationSettings(output="data/test/proton.dl1.h5", n_showers=1000, seed=4, run=4, **PROTONS),
]
