"""The index of events whose truth is not used."""

import logging

import numpy as np
import pytest

from gammalearn.data import EventIndex, cuts_of_truth, index_unlabelled
from gammalearn.data.readers.reader import TRUTH_UNITS
from gammalearn.errors import CameraError
from gammalearn.settings import DataSettings

RUN202, LSTS = "proton_run202_prod5", "gamma_lsts_run7_7.0.0"


@pytest.fixture
def cameras(dl1):
    """Function that gives the cameras of a file's telescopes."""
    return lambda name, **settings: EventIndex.build([dl1(name)], DataSettings(**settings)).cameras


def test_simulated_events_lose_their_truth(dl1, cameras):
    settings = DataSettings()
    index = index_unlabelled([dl1(RUN202)], settings, cameras(RUN202))
    whole = EventIndex.build([dl1(RUN202)], settings)
    assert list(index.events["particle"]) == [""] * 6
    for name in (*TRUTH_UNITS, "spectral_index"):
        assert np.isnan(index.events[name]).all() and np.isfinite(whole.events[name]).any(), name
    for name in ("obs_id", "event_id", "multiplicity", "pointing_az", "reference_x"):
        np.testing.assert_array_equal(index.events[name], whole.events[name])
    np.testing.assert_array_equal(index.events["shower_id"], whole.events["event_id"])
    assert index.particle_counts() == {"unknown": 6}


@pytest.mark.parametrize("kind", ["ctapipe", "lstchain"])
def test_files_without_truth(kind, altered, cameras, data_dir):
    """The events are those of the file with its truth."""
    if kind == "ctapipe":
        observed = altered(LSTS, lambda file: file.remove_node("/simulation", recursive=True))
        known = cameras(LSTS)
    else:
        observed = data_dir / "dl1_lstchain" / "dl1_proton_run202_prod5_4tel.h5"
        known = EventIndex.build([observed], DataSettings()).cameras
    index = index_unlabelled([observed], DataSettings(), known)
    assert len(index) and set(index.events["particle"]) == {""}
    assert np.isnan(index.events["true_energy"]).all()


def test_cuts_of_truth_do_not_apply(dl1, cameras, caplog):
    cuts = {
        "image": ["hillas_intensity > 60", "(true_energy > 1e9) & (hillas_width > 0)"],
        "telescope": {"LST": ["particle == 'gamma'"]},
        "event": ["multiplicity > 1", "true_energy > 1e9"],
    }
    settings = DataSettings(cuts=cuts)
    named = ["(true_energy > 1e9) & (hillas_width > 0)", "particle == 'gamma'", "true_energy > 1e9"]
    assert cuts_of_truth(settings) == named
    with caplog.at_level(logging.WARNING):
        index = index_unlabelled([dl1(RUN202)], settings, cameras(RUN202))
    kept = {"image": ["hillas_intensity > 60"], "event": ["multiplicity > 1"]}
    expected = EventIndex.build([dl1(RUN202)], DataSettings(cuts=kept))
    assert 0 < len(index) == len(expected) < 6
    np.testing.assert_array_equal(index.events["event_id"], expected.events["event_id"])
    assert "do not apply to unlabelled events: (true_energy > 1e9)" in caplog.text


def test_other_cameras_are_refused(dl1, cameras):
    with pytest.raises(CameraError, match="was not trained on"):
        index_unlabelled([dl1(RUN202)], DataSettings(), cameras(LSTS, telescopes=["LST"]))
