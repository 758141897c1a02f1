"""Mono reconstruction, each LST image by itself, from the same files as lst_stereo.py."""

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
        grouping="mono",
        cuts=CutSettings(image=["hillas_intensity > 50"]),
        channels=["charge", "peak_time"],
        # Events turned by multiples of 60 degrees: six times as many to learn from.
        augmentation=AugmentationSettings(rotations=True),
    ),
    # What DL1 parameters and images tell, and the geometry of the shower. It learns in minutes on
    # two cores; with a GPU, give it encoder="gammaphysnet" and 30 epochs.
    network=NetworkSettings(
        encoder="conv5", keypoints=16, parameters="all", geometry=True, embedding=128, head=96
    ),
    # The loss of the energy is the smallest one.
    tasks={"particle_type": {}, "energy": {"weight": 3}, "direction": {}, "impact": {}},
    evaluation=EvaluationSettings(references=["lst1_mono"]),
    training=TrainingSettings(
        epochs=8,
        batch_size=64,
        learning_rate=2e-3,
        schedule="one_cycle",
        weight_averaging=0.998,
        seed=1,
    ),
)
