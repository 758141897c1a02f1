"""Supernovae of LSST by their light curves: type Ia or not, and the type.

The catalogues are simulated if they are missing. To use your own, set data.train and data.test to
catalogues or to files of SNANA.
"""

from gammalearn.settings import TrainingSettings
from gammalearn.settings.surveys import (
    LightCurveData,
    LightCurveTask,
    SimulatedCatalogue,
    SupernovaExperiment,
)

experiment = SupernovaExperiment(
    simulation=[
        SimulatedCatalogue(output="data/supernovae/train.h5", n_objects=6000, seed=1),
        SimulatedCatalogue(output="data/supernovae/test.h5", n_objects=3000, seed=2),
    ],
    data=LightCurveData(
        train=["data/supernovae/train.h5"],
        test=["data/supernovae/test.h5"],
    ),
    tasks={
        "type_ia": LightCurveTask(weight=1.0),
        "supernova_type": LightCurveTask(weight=0.3),
        "auto_encoder": LightCurveTask(weight=0.1),
    },
    training=TrainingSettings(
        epochs=12,
        schedule="one_cycle",
        weight_decay=0.01,
        gradient_clipping=5.0,
        weight_averaging=0.995,
    ),
)
