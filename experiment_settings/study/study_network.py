"""What the contenders of the study have in common: events, network, training.

Each file of this folder with an experiment is a contender; it says what is different of it.
"""

from typing import Any

from study_events import FOLDER, SIZE, simulation

from gammalearn.settings import Experiment

#: Epochs of a training.
EPOCHS = {"small": 9, "full": 30}

#: Settings of a section by name.
Changes = dict[str, Any]

DATA: Changes = {
    "train": [f"{FOLDER}/train/*.dl1.h5"],
    "test": [f"{FOLDER}/test/*.dl1.h5"],
    "telescopes": ["LST"],
    "min_multiplicity": 2,
    "cuts": {"image": ["hillas_intensity > 50"]},
    "augmentation": {"rotations": True},
    # Read in each of many epochs: 2-3 GB on the disk in the small study.
    "packed_cache": True,
}

NETWORK: Changes = {
    "encoder": "conv5",
    "keypoints": 16,
    "parameters": "all",
    "geometry": True,
    "embedding": 128,
    "head": 96,
}

#: Changes for events of one image each.
MONO: Changes = {"grouping": "mono", "min_multiplicity": 1}

#: Changes for the pixels alone, as the first GammaLearn networks saw them.
IMAGES_ALONE: Changes = {"keypoints": 0, "parameters": [], "geometry": False}


def contender(
    data: Changes | None = None, network: Changes | None = None, training: Changes | None = None
) -> Experiment:
    """A contender of the study.

    Parameters
    ----------
    data, network, training : dict, optional
        Settings other than those of the stereo network, by name.

    Returns
    -------
    Experiment
    """
    data, network = {**DATA, **(data or {})}, {**NETWORK, **(network or {})}
    mono = data.get("grouping") == "mono"
    return Experiment.model_validate(
        {
            "simulation": simulation,
            "data": data,
            "network": network,
            "tasks": {"particle_type": {}, "energy": {"weight": 3}, "direction": {}, "impact": {}},
            "training": {
                "epochs": EPOCHS[SIZE],
                "batch_size": 64,
                "learning_rate": 2e-3,
                "schedule": "one_cycle",
                "weight_averaging": 0.999,
                "seed": 1,
                **(training or {}),
            },
            "evaluation": {"references": ["lst1_mono" if mono else "lst4_requirement"]},
        }
    )
