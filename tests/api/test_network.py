"""What a network says of events is what `gammalearn predict` writes, as ctapipe reads it."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from ctapipe.io import TableLoader

import gammalearn
from gammalearn.errors import CheckpointError, InputFileError, SettingsError
from gammalearn.nn import ReconstructionNetwork
from gammalearn.tasks import Task

#: Column here, and in ctapipe's table of events behind the name of the algorithm.
COLUMNS = {
    "reco_energy": "energy",
    "reco_alt": "alt",
    "reco_az": "az",
    "reco_core_x": "core_x",
    "reco_core_y": "core_y",
    "gammaness": "prediction",
}


def rows_of(events, table, *keys):
    """For each event the row of a table that has its ids."""
    row = {tuple(map(int, ids)): number for number, ids in enumerate(table[list(keys)])}
    return [row[tuple(map(int, ids))] for ids in events[list(keys)]]


def check_same(ours, theirs, name):
    """Values and units are those of a file, which holds some in single precision."""
    theirs = u.Quantity(theirs.data, theirs.unit)
    np.testing.assert_allclose(u.Quantity(ours), theirs, rtol=2e-5, err_msg=name)


def test_a_table_has_what_ctapipe_reads_in_the_dl2_file(reconstructed, dl2_files):
    assert isinstance(reconstructed, QTable)
    for number, path in enumerate(dl2_files):
        mine = reconstructed[np.asarray(reconstructed["file"]) == number]
        with TableLoader(path, dl2=True) as loader:
            events = loader.read_subarray_events(dl2=True, simulated=True)
        assert 20 < len(mine) == np.sum(events["GammaLearn_is_valid"])
        events = events[rows_of(mine, events, "obs_id", "event_id")]
        assert np.all(events["GammaLearn_is_valid"])
        truth = ("true_energy", "true_alt", "true_az", "true_core_x", "true_core_y")
        columns = {name: f"GammaLearn_{column}" for name, column in COLUMNS.items()}
        for name, column in (columns | dict(zip(truth, truth, strict=True))).items():
            check_same(mine[name], events[column], name)
        n_telescopes = np.sum(events["GammaLearn_telescopes"], axis=1)
        np.testing.assert_array_equal(mine["multiplicity"], n_telescopes)


def test_columns_have_units(reconstructed):
    units = {"reco_energy": u.TeV, "reco_alt": u.deg, "reco_az": u.deg, "reco_core_x": u.m}
    for name, unit in units.items():
        assert reconstructed[name].unit == unit
    assert set(reconstructed["particle"]) == {"gamma", "proton"}
    assert np.all(reconstructed["energy_is_valid"])


def test_mono_events_have_their_telescope(data_dir, tmp_path):
    path = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    network = gammalearn.load("lst4-mono")
    events = network.predict(path, progress=False)
    (dl2,) = network.write_dl2(path, tmp_path, progress=False)
    with TableLoader(dl2, dl2=True) as loader:
        images = loader.read_telescope_events(dl2=True, simulated=True)
    assert 0 < len(events) == np.sum(images["GammaLearn_tel_is_valid"])
    images = images[rows_of(events, images, "obs_id", "event_id", "tel_id")]
    check_same(events["reco_energy"], images["GammaLearn_tel_energy"], "energy")
    check_same(events["reco_alt"], images["GammaLearn_tel_alt"], "altitude")
    check_same(events["gammaness"], images["GammaLearn_tel_prediction"], "gammaness")


def test_chosen_events_come_row_by_row(network, reconstructed, simulated_files):
    events = gammalearn.read_events(simulated_files)
    chosen = events[10:30]
    table = network.predict(chosen, progress=False)
    assert len(table) == 20
    for name in ("file", "obs_id", "event_id"):
        np.testing.assert_array_equal(table[name], chosen.table[name])
    expected = reconstructed[rows_of(table, reconstructed, "file", "obs_id", "event_id")]
    np.testing.assert_allclose(table["reco_energy"], expected["reco_energy"], rtol=2e-5)


def test_what_the_network_has_no_use_for_is_nan(network, simulated_files):
    """It was trained on images of more than 50 p.e. and on two of them or more."""
    events = gammalearn.read_events(
        simulated_files, {"event": "multiplicity >= 1"}, parameters=["hillas_intensity"]
    )
    images = events.images
    bright = np.asarray(images["event"])[np.asarray(images["hillas_intensity"]) > 50]
    enough = np.bincount(bright, minlength=len(events)) >= 2
    table = network.predict(events, progress=False)
    assert len(table) == len(events)
    np.testing.assert_array_equal(table["energy_is_valid"], enough)
    np.testing.assert_array_equal(np.isfinite(table["reco_energy"]), enough)


def test_chosen_events_may_be_cut_harder(network, simulated_files):
    events = gammalearn.read_events(simulated_files, min_multiplicity=4)
    table = network.predict(events, progress=False)
    assert len(table) == len(events) and np.all(table["multiplicity"] == 4)


def test_a_network_tells_what_it_is(network):
    assert network.settings.data.grouping == "stereo"
    assert [camera.name for camera in network.cameras] == ["LSTCam"]
    assert set(network.tasks) == {"energy", "direction", "particle_type", "impact"}
    assert all(isinstance(task, Task) for task in network.tasks.values())
    assert isinstance(network.module, ReconstructionNetwork) and not network.module.training
    assert "lst4-stereo" in repr(network) and "LSTCam" in repr(network)


def test_simtel_files_are_taken_too(data_dir, tmp_path, network):
    path = data_dir / "simtel" / "gamma_lsts_run7_7.0.0.simtel.zst"
    events = network.predict(path, progress=False)
    assert np.all(events["particle"] == "gamma")
    results = gammalearn.evaluate(events)
    assert results.metrics["n_events"] == len(events)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("lst4-sterio", CheckpointError, "did you mean 'lst4-stereo'?"),
        ("nothing.ckpt", CheckpointError, "does not exist"),
    ],
)
def test_networks_that_are_not_there(name, error, sentence):
    with pytest.raises(error, match=sentence.replace("?", r"\?")):
        gammalearn.load(name)


def test_what_cannot_be_reconstructed(network, simulated_files, tmp_path):
    images = gammalearn.read_events(simulated_files[:1], grouping="mono")
    with pytest.raises(SettingsError, match="give grouping='stereo' to read_events"):
        network.predict(images)
    events = gammalearn.read_events(simulated_files[:1])
    with pytest.raises(SettingsError, match="give telescopes to read_events"):
        network.predict(events, telescopes=[1])
    with pytest.raises(SettingsError, match="batch_size: .* greater than or equal to 1"):
        network.predict(events, batch_size=0)
    with pytest.raises(InputFileError, match="does not exist"):
        network.predict(tmp_path / "nothing.dl1.h5")
    with pytest.raises(SettingsError, match="No files to reconstruct was given"):
        network.predict([])
