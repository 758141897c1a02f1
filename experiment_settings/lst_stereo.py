"""Stereo reconstruction with the four LSTs: particle type, energy, direction, impact."""

from lst4_events import simulation

from gammalearn.settings import (
    AugmentationSettings,
    CutSettings,
    DataSettings,
    EvaluationSettings,
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
        # Events turned by multiples of 60 degrees: six times as many to learn from.
        augmentation=AugmentationSettings(turns=True),
    ),
    # Small enough to learn in minutes on two cores; with a GPU, leave channels and blocks out
    # and give it 30 epochs.
    network=NetworkSettings(
        backbone="gammaphysnet",
        channels=[8, 16, 32],
        blocks=1,
        attention="dual",
        keypoints=16,
        fusion="attention",
    ),
    tasks=["particle_type", "energy", "direction", "impact"],
    evaluation=EvaluationSettings(references=["lst4_requirement"]),
    training=TrainingSettings(
        epochs=10, batch_size=32, learning_rate=2e-3, schedule="one_cycle", seed=1
    ),
)
