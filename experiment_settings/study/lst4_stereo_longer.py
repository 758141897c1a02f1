"""The stereo network after a second training of as many epochs, at half the learning rate."""

from study_events import SIZE
from study_network import contender

experiment = contender(
    training={
        "initial": f"runs/study/{SIZE}/lst4_stereo/checkpoints/best.ckpt",
        "learning_rate": 1e-3,
    }
)
