"""Stereo reconstruction with the four LSTs: particle type, energy, direction, impact."""

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
        grouping="stereo",
        # Two images at least, each with enough light to show a shower.
        min_multiplicity=2,
        cuts=CutSettings(image=["hillas_intensity > 50"]),
        channels=["charge", "peak_time"],
    ),
    # Small enough to learn in minutes on two cores; with a GPU, leave channels and blocks out
    # and give it 20 epochs.
    network=NetworkSettings(
        backbone="gammaphysnet",
        channels=[8, 16, 32],
        blocks=1,
        attention="dual",
        fusion="attention",
    ),
    tasks=["particle_type", "energy", "direction", "impact"],
    training=TrainingSettings(epochs=3, batch_size=64, learning_rate=1e-3, seed=1),
)
