"""The event source: simulated showers for ctapipe, from a file of settings."""

from importlib.metadata import distributions

import astropy.units as u
import numpy as np
import pytest
import yaml
from ctapipe.containers import EventType
from ctapipe.coordinates import shower_impact_distance
from ctapipe.io import DataLevel, EventSource

from gammalearn.errors import SettingsError
from gammalearn.simulation.atmosphere import density, thickness
from gammalearn.simulation.source import GammaLearnEventSource

pytestmark = pytest.mark.usefixtures("toy_showers")


@pytest.fixture
def write(tmp_path, toy_settings):
    """Write the settings of a run, without its output."""

    def write(name="toy.simulation.yaml", **changes):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(toy_settings(**changes).shower_settings()))
        return path

    return write


@pytest.fixture
def block(toy_simulation, toy_settings):
    return toy_simulation(toy_settings()).block(1, 13)


def test_is_a_plugin_of_ctapipe():
    # An old gammalearn.egg-info beside the package may stand before what is installed.
    entries = [e for found in distributions(name="gammalearn") for e in found.entry_points]
    ours = {entry.load() for entry in entries if entry.group == "ctapipe_io"}
    assert ours == {GammaLearnEventSource}


def test_ctapipe_finds_it_for_settings(write):
    with EventSource(write()) as source:
        assert isinstance(source, GammaLearnEventSource)
        assert source.is_simulation
        assert source.datalevels == (DataLevel.DL1_IMAGES,)
    with EventSource(write(waveforms=True)) as source:
        assert source.datalevels == (DataLevel.R1, DataLevel.DL1_IMAGES)
        event = next(iter(source))
        assert set(event.r1.tel) == set(event.dl1.tel)


@pytest.mark.parametrize(
    "name, text",
    [
        ("other.yaml", "data: {train: x}"),
        ("list.yaml", "[particle, n_showers, energy]"),
        ("broken.yml", "{"),
        ("gamma.simtel.zst", "{particle: gamma, n_showers: 1, energy: [1, 2]}"),
    ],
)
def test_leaves_other_files_alone(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert not GammaLearnEventSource.is_compatible(tmp_path / name)
    assert not GammaLearnEventSource.is_compatible(tmp_path / "missing.yaml")


def test_refuses_wrong_settings(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("{particle: gamma, n_showers: 1, energy: [1, 2], scater: 5}")
    with pytest.raises(SettingsError, match="scater: no such setting; did you mean 'scatter'"):
        EventSource(path)


def test_events_are_those_of_the_simulation(write, block):
    with EventSource(write()) as source:
        events = list(source)
    assert [event.index.event_id for event in events] == list(block.events["event_id"])
    assert [event.count for event in events] == list(range(len(events)))
    seen = 0
    for row, event in enumerate(events):
        shower, truth = event.simulation.shower, block.showers[block.events["row"][row]]
        assert event.index.obs_id == 4
        assert shower.energy == truth["energy"] * u.TeV
        assert shower.alt.rad == truth["alt"]
        assert shower.az.rad == truth["az"]
        assert shower.core_x == block.events["core_x"][row] * u.m
        assert shower.shower_primary_id == 101
        assert event.trigger.event_type == EventType.SUBARRAY
        assert list(event.trigger.tels_with_trigger) == sorted(event.dl1.tel)
        for images in block.telescopes.values():
            for i in np.flatnonzero(images.event == row):
                tel_id = images.tel_id[i]
                after = event.trigger.tel[tel_id].time - event.trigger.time
                assert after.to_value("ns") == pytest.approx(images.trigger_time[i], abs=0.01)
                np.testing.assert_array_equal(event.dl1.tel[tel_id].image, images.image[i])
                np.testing.assert_array_equal(event.dl1.tel[tel_id].peak_time, images.peak_time[i])
                simulated = event.simulation.tel[tel_id]
                np.testing.assert_array_equal(simulated.true_image, images.true_image[i])
                assert simulated.true_image_sum == images.true_image[i].sum()
                seen += 1
    assert seen == sum(len(images.image) for images in block.telescopes.values())


def test_impact_distances_are_those_of_ctapipe(write):
    with EventSource(write()) as source:
        event = next(iter(source))
        distances = shower_impact_distance(event.simulation.shower, source.subarray)
        for tel_id, camera in event.simulation.tel.items():
            expected = distances[source.subarray.tel_index_array[tel_id]]
            assert u.isclose(camera.impact.distance, expected)


def test_telescopes_point_where_they_were_asked_to(write):
    with EventSource(write(zenith=30, azimuth=-45)) as source:
        event = next(iter(source))
        (observation,) = source.observation_blocks.values()
    for pointing in (event.monitoring.tel[1].pointing, event.monitoring.tel[2].pointing):
        assert u.isclose(pointing.altitude, 60 * u.deg)
        assert u.isclose(pointing.azimuth, 315 * u.deg)
    assert u.isclose(event.monitoring.pointing.array_altitude, 60 * u.deg)
    assert observation.subarray_pointing_lat == 60 * u.deg


def test_stops_after_as_many_events_as_asked_for(write):
    with EventSource(write(), max_events=3) as source:
        assert len(list(source)) == 3
        # What was thrown for them is not known.
        assert source.simulated_shower_distributions == {}


def test_only_has_the_telescopes_that_are_allowed(write):
    with EventSource(write(), allowed_tels={1, 5}) as source:
        assert set(source.subarray.tel) == {1, 5}
        for event in source:
            seen = set(event.dl1.tel)
            assert len(seen) > 0 and seen <= {1, 5}
            assert seen == set(event.trigger.tels_with_trigger) == set(event.simulation.tel)


def test_says_what_was_thrown(write, block):
    with EventSource(write(viewcone=5)) as source:
        assert len(list(source)) > 0
        (config,) = source.simulation_config.values()
        (thrown,) = source.simulated_shower_distributions.values()
    assert (config.n_showers, config.shower_reuse, config.spectral_index) == (12, 3, -2)
    assert config.energy_range_min == 0.1 * u.TeV
    assert config.energy_range_max == 1 * u.TeV
    assert config.max_viewcone_radius == 5 * u.deg
    assert config.min_viewcone_radius == 0 * u.deg
    assert config.max_scatter_range == 300 * u.m
    assert u.isclose(config.max_alt, 70 * u.deg)
    assert thrown.n_entries == thrown.histogram.sum() == 36
    energy, _ = np.histogram(block.showers["energy"] * u.TeV, thrown.bins_energy)
    np.testing.assert_array_equal(thrown.histogram.sum(axis=1), 3 * energy)
    distance, _ = np.histogram(block.core_distance, thrown.bins_core_dist.to_value(u.m))
    np.testing.assert_array_equal(thrown.histogram.sum(axis=0), distance)


def test_a_point_source_beside_the_pointing_is_a_ring(write):
    """pyirf takes a view cone without an inside for a point source."""
    with EventSource(write(offset=0.5)) as source:
        (config,) = source.simulation_config.values()
    assert config.min_viewcone_radius == config.max_viewcone_radius == 0.5 * u.deg


def test_magnetic_field_has_its_usual_angles(write):
    with EventSource(write()) as source:
        (config,) = source.simulation_config.values()
    # 30 µT to the North, 2 to the West and 24 downwards.
    assert u.isclose(config.prod_site_B_total, np.sqrt(30**2 + 2**2 + 24**2) * u.uT)
    assert u.isclose(config.prod_site_B_declination, -np.arctan(2 / 30) * u.rad)
    assert u.isclose(config.prod_site_B_inclination, np.arctan(24 / np.hypot(30, 2)) * u.rad)


@pytest.mark.parametrize("height", [2158.0, 5000.0, 12000.0, 50000.0])
def test_atmosphere_is_that_of_the_simulation(write, height):
    with EventSource(write()) as source:
        profile = source.atmosphere_density_profile
    assert u.isclose(profile(height * u.m), density(height) * u.g / u.cm**2 / u.m)
    assert u.isclose(profile.integral(height * u.m), thickness(height) * u.g / u.cm**2)
