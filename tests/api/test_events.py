"""Events of DL1 files are those that ctapipe reads."""

import numpy as np
import pytest
from ctapipe.io import TableLoader

import gammalearn
from gammalearn.errors import CutError, EmptySelectionError, SettingsError


@pytest.fixture(scope="module")
def images(simulated_files):
    """What ctapipe reads of the gammas' images."""
    with TableLoader(simulated_files[0]) as loader:
        return loader.read_telescope_events(simulated=True, dl1_parameters=True)


def test_events_are_those_of_ctapipe(simulated_files, images):
    events = gammalearn.read_events(simulated_files[0], parameters=["hillas_intensity"])
    assert len(events) == len(np.unique(np.asarray(images["event_id"])))
    assert events.particles == {"gamma": len(events)}
    table = events.table
    for event in table[:20]:
        mine = images[np.asarray(images["event_id"]) == event["event_id"]]
        assert event["multiplicity"] == len(mine)
        for name in ("true_energy", "true_core_x", "true_h_first_int", "true_x_max"):
            expected = mine[name].quantity[0]
            assert event[name].to_value(expected.unit) == pytest.approx(expected.value, rel=1e-5)
    ours = events.images
    key = np.lexsort([ours["tel_id"], table["event_id"][ours["event"]]])
    theirs = images[np.lexsort([images["tel_id"], images["event_id"]])]
    np.testing.assert_array_equal(ours["tel_id"][key], theirs["tel_id"])
    np.testing.assert_allclose(ours["hillas_intensity"][key], theirs["hillas_intensity"], rtol=1e-5)


def test_cuts_leave_what_numpy_leaves(simulated_files, images):
    bright = np.asarray(images["hillas_intensity"]) > 300
    n_bright = np.unique(np.asarray(images["event_id"])[bright], return_counts=True)[1]
    events = gammalearn.read_events(
        str(simulated_files[0]), {"image": "hillas_intensity > 300"}, min_multiplicity=3
    )
    assert len(events) == np.sum(n_bright >= 3)
    assert events.cut_flow["events"][-1] == len(events)
    assert "hillas_intensity > 300" in events.cut_flow["step"][-2]


def test_each_image_may_be_an_event(simulated_files, images):
    events = gammalearn.read_events(simulated_files[0], grouping="mono", telescopes=[1, 3])
    assert len(events) == np.sum(np.isin(images["tel_id"], [1, 3]))
    assert set(events.table["tel_id"]) == {1, 3}


def test_reuses_of_a_shower_share_a_number(simulated_files):
    """Each of the showers is used five times, at other cores."""
    table = gammalearn.read_events(simulated_files).table
    for number in np.unique(table["shower"]):
        mine = table[table["shower"] == number]
        assert len(np.unique(mine["true_energy"])) == len(np.unique(mine["file"])) == 1
        assert len(mine) <= 5


def test_some_events_may_be_chosen(simulated_files):
    events = gammalearn.read_events(simulated_files)
    assert len(events[:7]) == 7 and len(events[3]) == 1
    protons = events[events.table["particle"] == "proton"]
    assert protons.particles == {"proton": len(protons)}
    assert len(protons.images) == protons.table["multiplicity"].sum()
    np.testing.assert_array_equal(
        np.bincount(protons.images["event"]), protons.table["multiplicity"]
    )
    assert f"{len(protons)} proton" in repr(protons)


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ({"cuts": {"imge": "size > 1"}}, SettingsError, "did you mean 'image'"),
        ({"groping": "mono"}, SettingsError, "did you mean 'grouping'"),
        ({"grouping": "both"}, SettingsError, "grouping: Input should be 'mono' or 'stereo'"),
        ({"cuts": {"image": "sise > 1"}}, CutError, "sise"),
        ({"cuts": {"event": "multiplicity > 9"}}, EmptySelectionError, "leaves no event"),
    ],
)
def test_what_is_wrong_is_named(simulated_files, given, error, sentence):
    with pytest.raises(error, match=sentence):
        gammalearn.read_events(simulated_files[0], **given)
