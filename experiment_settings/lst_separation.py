"""Gamma/proton separation with one LST and a network of four layers."""

from lst4_events import simulation

from gammalearn.settings import (
    CutSettings,
    DataSettings,
    Experiment,
    NetworkSettings,
    TrainingSettings,
)

experiment = Experiment(
    simulation=simulation,
    data=DataSettings(
        train=["data/train/*.dl1.h5"],
        test=["data/test/*.dl1.h5"],
        telescopes=[1],
        grouping="mono",
        cuts=CutSettings(image=["hillas_intensity > 50"]),
    ),
    network=NetworkSettings(encoder="conv4"),
    tasks=["particle_type"],
    training=TrainingSettings(epochs=3, batch_size=64, learning_rate=1e-3, seed=1),
)
