"""Waveforms of simulated files: ctapipe reads what was simulated, and finds its charges in it."""

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.coordinates import EarthLocation
from ctapipe.image.extractor import ImageExtractor
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import DataLevel, EventSource

from gammalearn.cli import main
from gammalearn.simulation import simulate
from gammalearn.simulation.block import DIGIT
from gammalearn.simulation.electronics import CameraElectronics
from gammalearn.simulation.production import EVENTS_PER_BLOCK, _Pieces
from gammalearn.simulation.record import read_record
from gammalearn.simulation.run import images_of
from gammalearn.simulation.telescopes import TELESCOPE_TYPES, telescope_model


@pytest.fixture(scope="module")
def with_waveforms(tmp_path_factory, toy_settings, toy_showers):
    path = tmp_path_factory.mktemp("waveforms") / "toy.dl1.h5"
    return simulate(toy_settings(path, waveforms=True), progress=False)


def test_ctapipe_reads_the_waveforms_that_were_simulated(
    with_waveforms, toy_simulation, toy_settings
):
    block = toy_simulation(toy_settings(waveforms=True)).block(1, 13)
    with EventSource(with_waveforms) as source:
        assert DataLevel.R1 in source.datalevels
        for row, event in enumerate(source):
            images = images_of(block, row)
            assert sorted(event.r1.tel) == [tel_id for tel_id, _, _ in images]
            for tel_id, of_type, i in images:
                r1 = event.r1.tel[tel_id]
                np.testing.assert_array_equal(r1.waveform, of_type.waveform[i][np.newaxis])
                np.testing.assert_array_equal(r1.selected_gain_channel, 0)
                np.testing.assert_array_equal(event.dl1.tel[tel_id].image, of_type.image[i])
    assert row + 1 == len(block.events)


def test_nothing_is_said_of_columns_that_a_simulation_does_not_have(
    tmp_path, toy_settings, toy_showers, caplog
):
    simulate(toy_settings(tmp_path / "quiet.dl1.h5", waveforms=True), progress=False)
    assert "not writable" not in caplog.text


def test_all_else_is_as_without_waveforms(with_waveforms, tmp_path, toy_settings, toy_showers):
    plain = simulate(toy_settings(tmp_path / "plain.dl1.h5"), progress=False)
    assert "waveforms" not in read_record(plain)
    with tables.open_file(plain) as one, tables.open_file(with_waveforms) as other:
        names = {node._v_pathname for node in one.walk_nodes("/", "Table")}
        more = {node._v_pathname for node in other.walk_nodes("/", "Table")} - names
        assert more == {f"/r1/event/telescope/tel_{tel_id:03d}" for tel_id in (1, 2, 5)}
        images = "/dl1/event/telescope/images/tel_001"
        for column in ("image", "peak_time"):
            np.testing.assert_array_equal(
                one.get_node(images).col(column), other.get_node(images).col(column)
            )


@pytest.mark.parametrize("name", TELESCOPE_TYPES)
def test_ctapipe_finds_the_charges_of_the_images_in_the_waveforms(name):
    model = telescope_model(name)
    rng = np.random.default_rng(3)
    pixel, time = rng.integers(100, size=3000), rng.normal(0, 2, 3000)
    readout = CameraElectronics(model, waveforms=True).read_out(pixel, time, 1.0, rng)
    extract = ImageExtractor.from_name(
        "FlashCamExtractor" if "FlashCam" in name else "NeighborPeakWindowSum",
        subarray=_subarray(model.description),
    )
    n_pixels = len(readout.image)
    found = extract(
        readout.waveform[np.newaxis],
        tel_id=1,
        selected_gain_channel=np.zeros(n_pixels, dtype=int),
        broken_pixels=np.zeros((model.description.camera.readout.n_channels, n_pixels), bool),
    )
    # Each sample is rounded: in noise another peak may then be the highest.
    same = np.abs(np.squeeze(found.image) - readout.image) < 10 * DIGIT
    assert same.mean() > 0.9
    bright = readout.true_image > 20
    np.testing.assert_allclose(np.squeeze(found.image)[bright], readout.image[bright], atol=1)


def _subarray(description):
    return SubarrayDescription(
        name="one",
        tel_positions={1: np.zeros(3) * u.m},
        tel_descriptions={1: description},
        reference_location=EarthLocation.from_geodetic(0 * u.deg, 0 * u.deg, 0 * u.m),
    )


def test_blocks_hold_as_much_as_without_waveforms():
    """An LST has some 22 kB of an image and 300 kB of a waveform."""
    pieces = _Pieces(10_000, waveforms=True)
    for _ in range(5):
        first, last = pieces.take()
        assert last - first <= EVENTS_PER_BLOCK / 10
        pieces.learn(last - first, 4 * (last - first))


def test_an_observation_has_none(tmp_path, capsys):
    observation = tmp_path / "night.yaml"
    observation.write_text("output: night.dl1.h5")
    assert main(["simulate", "--observation", str(observation), "--waveforms"]) == 2
    assert "--waveforms is not of an observation" in capsys.readouterr().err
