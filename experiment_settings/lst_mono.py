"""Mono reconstruction, each LST image by itself, from the same files as lst_stereo.py."""

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
        telescopes=["LST"],
        grouping="mono",
        cuts=CutSettings(image=["hillas_intensity > 50"]),
        channels=["charge", "peak_time"],
    ),
    # Small enough to learn in minutes on two cores; with a GPU, leave channels and blocks out
    # and give it 20 epochs.
    network=NetworkSettings(
        backbone="gammaphysnet", channels=[8, 16, 32], blocks=1, attention="dual"
    ),
    tasks=["particle_type", "energy", "direction", "impact"],
    training=TrainingSettings(epochs=3, batch_size=64, learning_rate=1e-3, seed=1),
)
