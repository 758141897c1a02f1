"""Files that point where a network has not learned."""

import logging
from dataclasses import dataclass

import numpy as np
import pytest
from astropy.table import Table

from gammalearn.checkpoint.trained import TrainedOn
from gammalearn.run.reconstruction import _warn_of_other_zenith


@dataclass
class Trained:
    trained_on: TrainedOn


@dataclass
class Index:
    files: list
    events: Table

    def __len__(self):
        return len(self.events)


@pytest.mark.parametrize(
    ("learned", "altitude", "warned"),
    [
        ([20.0, 20.0], [70, 70], False),
        ([20.0, 20.0], [66, 70], False),
        ([20.0, 20.0], [50, 50], True),
        ([20.0, 55.0], [50, 40], False),
        ([40.0, 55.0], [70, 45], True),
        (None, [20, 20], False),
    ],
)
def test_a_pointing_far_from_the_training_is_told(learned, altitude, warned, caplog):
    index = Index(["a.dl1.h5"], Table({"pointing_alt": np.array(altitude, dtype=float)}))
    trained = Trained(TrainedOn(zenith=learned))
    with caplog.at_level(logging.WARNING, "gammalearn"):
        _warn_of_other_zenith(trained, [index, Index(["empty.dl1.h5"], Table())])
    assert ("'a.dl1.h5' points" in caplog.text) == warned
