"""Strong lenses among galaxies of LSST, by cut-outs of 48 x 48 pixels in griz.

The catalogues are simulated if they are missing, with the packages of gammalearn[surveys]. To use
your own, set data.train and data.test to catalogues with cut-outs.
"""

from gammalearn.settings import TrainingSettings
from gammalearn.settings.surveys import LensData, LensExperiment, SimulatedLenses

experiment = LensExperiment(
    simulation=[
        SimulatedLenses(output="data/lenses/train.h5", n_objects=16000, seed=1),
        SimulatedLenses(output="data/lenses/test.h5", n_objects=6000, seed=3),
    ],
    data=LensData(train=["data/lenses/train.h5"], test=["data/lenses/test.h5"]),
    training=TrainingSettings(
        epochs=15,
        batch_size=32,
        learning_rate=3e-3,
        schedule="one_cycle",
        weight_decay=0.01,
        gradient_clipping=5.0,
        weight_averaging=0.99,
    ),
)
