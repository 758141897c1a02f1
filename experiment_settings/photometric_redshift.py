"""Photometric redshifts of galaxies of the SDSS, by cut-outs of 64 x 64 pixels in ugriz.

The catalogues are simulated if they are missing, with the packages of gammalearn[surveys]. To use
your own, set data.train and data.test to catalogues with cut-outs.
"""

from gammalearn.settings import TrainingSettings
from gammalearn.settings.surveys import CutoutData, RedshiftExperiment, SimulatedGalaxies

experiment = RedshiftExperiment(
    simulation=[
        SimulatedGalaxies(output="data/redshifts/train.h5", n_objects=12000, seed=1),
        SimulatedGalaxies(output="data/redshifts/test.h5", n_objects=3000, seed=2),
    ],
    data=CutoutData(train=["data/redshifts/train.h5"], test=["data/redshifts/test.h5"]),
    training=TrainingSettings(
        epochs=30,
        learning_rate=3e-3,
        schedule="one_cycle",
        weight_decay=0.01,
        gradient_clipping=5.0,
        weight_averaging=0.99,
    ),
)
