"""A module with a task and an encoder, as a user writes one beside an experiment."""

_TEXT = """
import astropy.units as u
import numpy as np
from torch import nn

from gammalearn.tasks import Regression


class InteractionHeight(Regression):
    name = "TASK"
    n_values = 1
    kind = "interaction_height"
    learns_from = ("gamma",)

    def truth(self, events):
        return np.asarray(events["true_h_first_int"])[:, None] / 10_000

    def decode(self, output, events):
        return {"h_first_int": output[:, 0] * 10 * u.km}

    def metrics(self, output, target):
        return {"h_first_int_resolution": self.resolution(output, target) * 10}


class Brightness(nn.Sequential):
    def __init__(self, grid, in_channels, embedding):
        super().__init__(nn.Flatten(), nn.Linear(in_channels * grid.n_pixels, embedding))
"""


def module_of_a_user(task: str = "interaction_height") -> str:
    """The text of the module, with this name of its task."""
    return _TEXT.replace("TASK", task)
