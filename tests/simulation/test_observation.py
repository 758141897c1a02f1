"""Mock observations: what arrives, what is recorded, and files as an observatory writes them."""

import astropy.units as u
import numpy as np
import pytest
import tables
import yaml
from astropy.coordinates import ICRS, AltAz, SkyCoord
from astropy.table import QTable
from astropy.time import Time
from ctapipe.containers import EventType, PointingMode
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import EventSource, TableLoader
from scipy.integrate import quad
from scipy.stats import kstest

from gammalearn.cli import main
from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.errors import EmptySelectionError, OutputError
from gammalearn.inspection.info import describe_file
from gammalearn.io.observed.dead_time import dead_time_fraction
from gammalearn.io.observed.target import read_target
from gammalearn.settings import ObservationSettings
from gammalearn.simulation import simulate_observation
from gammalearn.simulation.electronics import CameraElectronics, PixelState
from gammalearn.simulation.observation import FIRST_SLICE, ObservationSimulation, components
from gammalearn.simulation.telescopes import telescope_model

#: A bright source for some seconds, and few of the other particles: quick to simulate.
QUICK = {
    "duration": "2 s",
    "source": {"crab_units": 100, "energy": [0.3, 5], "scatter": 150},
    "proton": {"energy": [1, 5], "scatter": 150, "viewcone": 2},
    "helium": {"energy": [2, 5], "scatter": 150, "viewcone": 2},
    "electron": None,
    "pedestal_rate": 4,
    "dead_pixels": 0.02,
    "gain_spread": 0.1,
    "night_sky": 1.5,
    "reflectivity": 0.9,
    "run": 12,
}

#: Largest distance (deg) of directions that are the same.
SAME = 1e-4


def settings_of(output="crab.dl1.h5", **changes):
    return ObservationSettings(output=str(output), **{**QUICK, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("observation")


@pytest.fixture(scope="module")
def crab(folder):
    """The observed file."""
    return simulate_observation(settings_of(folder / "crab.dl1.h5"), progress=False)


@pytest.fixture(scope="module")
def truth(crab):
    return QTable.read(crab.with_name("crab.truth.ecsv"))


@pytest.fixture(scope="module")
def telescope_events(crab):
    with TableLoader(crab, dl1_images=True, pointing=True) as loader:
        return loader.read_telescope_events()


def location(path):
    return SubarrayDescription.from_hdf(path).reference_location


def to_icrs(alt, az, time, path):
    frame = AltAz(obstime=time, location=location(path))
    return SkyCoord(alt=alt, az=az, frame=frame).transform_to(ICRS())


# What arrives


def test_rates_are_flux_times_area_and_solid_angle():
    gamma, proton, *_ = components(
        ObservationSettings(
            output="a.h5",
            source={"energy": [0.03, 30], "scatter": 350},
            proton={"energy": [0.1, 50], "viewcone": 5, "scatter": 450, "flux_factor": 1.5},
        )
    )
    flux = 2.83e-7 / 1.62 * (0.03**-1.62 - 30**-1.62)
    assert gamma.rate == pytest.approx(flux * np.pi * 350**2, rel=1e-6)
    flux = 1.5 * 9.8e-2 / 1.62 * (0.1**-1.62 - 50**-1.62)
    cone = 2 * np.pi * (1 - np.cos(np.radians(5)))
    assert proton.rate == pytest.approx(flux * np.pi * 450**2 * cone, rel=1e-6)


def test_the_area_may_grow_with_the_energy():
    proton = {"energy": [0.1, 10], "scatter": [200, 400], "viewcone": 3}
    _, component, *_ = components(ObservationSettings(output="a.h5", proton=proton))

    def per_log_energy(x):
        radius = 200 + 200 * (x - np.log(0.1)) / np.log(100)
        return np.pi * radius**2 * 9.8e-2 * np.exp(x) ** -1.62

    expected, _ = quad(per_log_energy, np.log(0.1), np.log(10))
    cone = 2 * np.pi * (1 - np.cos(np.radians(3)))
    assert component.rate == pytest.approx(cone * expected, rel=1e-4)
    assert component.scatter(1.0) == pytest.approx(300)


@pytest.fixture(scope="module")
def arriving():
    simulation = ObservationSimulation(settings_of(duration="10 min", array="lst1"))
    slices = range(FIRST_SLICE, FIRST_SLICE + simulation.n_slices)
    return simulation, np.concatenate([simulation.arrivals(number) for number in slices])


def test_arrivals_are_a_poisson_process(arriving):
    simulation, arrivals = arriving
    assert np.all(np.diff(arrivals["seconds"]) >= 0)
    for place, component in enumerate(simulation.components):
        seconds = arrivals["seconds"][arrivals["component"] == place]
        expected = 600 * component.rate
        assert len(seconds) == pytest.approx(expected, abs=4 * np.sqrt(expected))
        assert kstest(seconds / 600, "uniform").pvalue > 0.001
        waits = np.diff(seconds) * component.rate
        assert kstest(waits, "expon").pvalue > 0.001


def test_a_clock_makes_pedestals(arriving):
    _, arrivals = arriving
    seconds = arrivals["seconds"][arrivals["component"] == -1]
    np.testing.assert_allclose(seconds, (np.arange(2400) + 0.5) / 4)


# Cameras in other conditions


def test_dead_pixels_and_wrong_gains():
    """Of the same light and the same noise."""
    model = telescope_model("LST")
    n_pixels = model.description.camera.geometry.n_pixels
    rng = np.random.default_rng(3)
    dead = rng.random(n_pixels) < 0.03
    gain = rng.uniform(0.8, 1.2, n_pixels).astype(np.float32)
    pixel = rng.choice(np.flatnonzero(~dead)[:300], 3000)
    time = rng.normal(0, 2, len(pixel))

    def read_out(pixels, light=pixel):
        camera = CameraElectronics(model, pixels)
        return camera.read_out(light, time, 1.0, np.random.default_rng(5))

    none = np.zeros(n_pixels, bool)
    right = read_out(None)
    high = read_out(PixelState(none, np.full(n_pixels, 1.25, np.float32)))
    np.testing.assert_allclose(high.image, 1.25 * right.image, rtol=1e-4, atol=1e-3)
    assert high.trigger_time == right.trigger_time
    noise, scaled = (
        CameraElectronics(model, pixels).noise(np.random.default_rng(6))
        for pixels in (None, PixelState(none, gain))
    )
    np.testing.assert_allclose(scaled, gain[:, None] * noise, rtol=1e-5, atol=1e-6)
    without = read_out(PixelState(dead, np.ones(n_pixels, np.float32)))
    assert not np.any(without.image[dead])
    assert np.all(without.image[~dead] != 0)
    lit = np.where(np.arange(len(pixel)) % 2, pixel, np.flatnonzero(dead)[0])
    assert read_out(PixelState(dead, gain), lit).true_image[dead].sum() == 0
    assert read_out(None, lit).true_image[dead].sum() > 1000
    camera = CameraElectronics(model, PixelState(dead, gain))
    assert not np.any(camera.pedestals(2, rng)[:, dead])


def test_sky_and_mirrors():
    dark, bright = (
        ObservationSimulation(settings_of(array="lst1", **changes)).array.models[0]
        for changes in ({"night_sky": 1, "reflectivity": 1}, {"night_sky": 2, "reflectivity": 0.8})
    )
    assert bright.nsb_rate == pytest.approx(1.6 * dark.nsb_rate)
    np.testing.assert_allclose(bright.efficiency, 0.8 * dark.efficiency)


# The file


def test_is_no_simulation(crab):
    with tables.open_file(crab) as file:
        assert "/simulation" not in file
        assert "/configuration/simulation" not in file
        assert "/configuration/telescope/pointing" not in file
        assert file.root._v_attrs["CTA PROCESS TYPE"] == "Observation"
        text = " ".join(f"{n} {file.root._v_attrs[n]}" for n in file.root._v_attrs._v_attrnames)
        assert "SIMULATION" not in text
        assert read_target(file) == ("Crab Nebula", 83.6331, 22.0145)


def test_ctapipe_reads_it(crab):
    with EventSource(crab) as source:
        assert not source.is_simulation
        (scheduling,) = source.scheduling_blocks.values()
        (block,) = source.observation_blocks.values()
        events = list(source)
    assert scheduling.pointing_mode is PointingMode.TRACK
    assert block.obs_id == 12
    assert block.actual_duration.to_value("s") == pytest.approx(2)
    assert block.actual_start_time.utc.isot == "2024-12-01T03:20:00.000"
    pointing = SkyCoord(block.subarray_pointing_lon, block.subarray_pointing_lat)
    crab_nebula = SkyCoord(83.6331 * u.deg, 22.0145 * u.deg)
    assert pointing.separation(crab_nebula).deg == pytest.approx(0.4, abs=1e-9)
    assert [event.index.event_id for event in events] == list(range(1, len(events) + 1))
    kinds = [event.trigger.event_type for event in events]
    assert kinds.count(EventType.SKY_PEDESTAL) == 8
    assert set(kinds) == {EventType.SKY_PEDESTAL, EventType.SUBARRAY}
    monitored = [event.monitoring.pointing.array_dec.to_value("deg") for event in events]
    np.testing.assert_allclose(monitored, pointing.dec.deg)
    seen = [
        (tel.pointing.altitude.to_value("rad"), tel.pointing.azimuth.to_value("rad"), time.mjd)
        for event in events
        for tel, time in zip(
            event.monitoring.tel.values(),
            (trigger.time for trigger in event.trigger.tel.values()),
            strict=True,
        )
    ]
    alt, az, mjd = np.transpose(seen)
    sky = to_icrs(alt * u.rad, az * u.rad, Time(mjd, format="mjd", scale="tai"), crab)
    assert sky.separation(pointing).deg.max() < SAME


def test_the_table_loader_reads_it(crab, telescope_events):
    alt = telescope_events["telescope_pointing_altitude"].quantity
    az = telescope_events["telescope_pointing_azimuth"].quantity
    sky = to_icrs(alt, az, telescope_events["time"], crab)
    assert np.ptp(alt.to_value("deg")) > 0.003  # they move
    assert sky.separation(sky[0]).deg.max() < SAME
    assert telescope_events["image"].shape[1] == 1855


def test_times_are_in_order_and_within_the_observation(crab):
    with TableLoader(crab) as loader:
        events = loader.read_subarray_events(observation_info=True)
    start = events["actual_start_time"][0]
    seconds = (events["time"] - start).to_value("s")
    assert np.all(np.diff(seconds) > 0)
    assert 0 <= seconds[0] < seconds[-1] <= 2


def test_our_reader_interpolates_the_pointing(crab):
    with CtapipeDL1Reader(crab) as reader:
        assert set(reader.events["particle"]) == {"", "calibration"}
        images = reader.images(1)
    with TableLoader(crab) as loader:
        events = loader.read_telescope_events([1])
    sky = to_icrs(
        np.asarray(images["pointing_alt"]) * u.deg,
        np.asarray(images["pointing_az"]) * u.deg,
        events["time"],
        crab,
    )
    assert sky.separation(SkyCoord(83.6331 * u.deg, 22.4145 * u.deg)).deg.max() < SAME


def test_dead_pixels_are_flagged_and_missing(crab, telescope_events):
    with CtapipeDL1Reader(crab) as reader:
        charge = reader.pixels(2, np.arange(5), ["charge"])["charge"]
    dead = np.isnan(charge)
    assert np.all(dead == dead[0])
    assert dead[0].sum() == round(0.02 * 1855)
    images = telescope_events["image"][telescope_events["tel_id"] == 2]
    assert not np.any(images[:, dead[0]])
    with CtapipeDL1Reader(crab) as reader:
        other = np.isnan(reader.pixels(3, np.arange(1), ["charge"])["charge"][0])
    assert np.any(other != dead[0])


def test_pedestals_are_of_the_night_sky(telescope_events):
    is_pedestal = telescope_events["event_type"] == EventType.SKY_PEDESTAL.value
    images = telescope_events["image"][is_pedestal]
    assert len(images) == 8 * 4
    mean, noise = np.mean(images[images != 0]), np.std(images[images != 0])
    assert mean == pytest.approx(0, abs=0.05)
    model = telescope_model("LST")
    dark = CameraElectronics(model).pedestals(20, np.random.default_rng(1)).std()
    # 1.5 times the sky in 0.9 of the mirror; electronics and spread gains add a little.
    assert noise / dark == pytest.approx(np.sqrt(1.5 * 0.9), rel=0.1)


def test_info_describes_it(crab):
    described = describe_file(crab)
    assert described is not None


@pytest.fixture(scope="module")
def dl2(crab, folder):
    """What a shipped network reconstructs."""
    assert main(["predict", "lst4-stereo", str(crab), "-o", str(folder / "dl2")]) == 0
    return folder / "dl2" / "crab.dl2.h5"


def test_reconstructed_photons_come_from_the_source(dl2, truth):
    with TableLoader(dl2) as loader:
        events = loader.read_subarray_events()
    seen = events[events["event_type"] == EventType.SUBARRAY.value]
    assert np.array_equal(seen["event_id"], truth["event_id"])
    sky = to_icrs(
        seen["GammaLearn_alt"].quantity, seen["GammaLearn_az"].quantity, seen["time"], dl2
    )
    away = sky.separation(SkyCoord(83.6331 * u.deg, 22.0145 * u.deg)).deg
    is_gamma = truth["particle"] == "gamma"
    assert np.median(away[is_gamma]) < 0.15
    assert np.median(away[~is_gamma]) > 0.5


def test_dl2_keeps_what_dl3_needs(crab, dl2):
    with tables.open_file(crab) as one, tables.open_file(dl2) as other:
        assert dead_time_fraction(other) == dead_time_fraction(one)
        n_events = one.get_node("/dl1/event/subarray/trigger").nrows
        assert dead_time_fraction(one) == pytest.approx({12: n_events * 7e-6 / 2})
        assert read_target(other) == read_target(one)
        for path in (
            "/dl0/monitoring/telescope/pointing/tel_004",
            "/dl1/monitoring/subarray/pointing",
        ):
            assert np.array_equal(one.get_node(path).read(), other.get_node(path).read())


# Truth


def test_photons_come_from_the_source(crab, truth):
    with TableLoader(crab) as loader:
        events = loader.read_subarray_events()
    assert np.all(np.isin(truth["event_id"], events["event_id"]))
    time = events["time"][np.searchsorted(events["event_id"], truth["event_id"])]
    sky = to_icrs(truth["true_alt"], truth["true_az"], time, crab)
    gammas = truth["particle"] == "gamma"
    assert gammas.sum() > 10
    source = SkyCoord(83.6331 * u.deg, 22.0145 * u.deg)
    assert sky[gammas].separation(source).deg.max() < SAME
    told = SkyCoord(truth["true_ra"], truth["true_dec"])
    assert sky.separation(told).deg.max() < SAME
    pointing = SkyCoord(83.6331 * u.deg, 22.4145 * u.deg)
    assert told[~gammas].separation(pointing).deg.max() < 2 + SAME
    assert {"proton", "gamma"} <= set(truth["particle"])


def test_truth_has_the_settings_and_what_was_thrown(truth):
    assert ObservationSettings(output="crab.dl1.h5", **truth.meta["settings"]) == settings_of()
    assert set(truth.meta["showers_thrown"]) == {"gamma", "proton", "helium"}
    assert truth.meta["showers_thrown"]["gamma"] >= np.sum(truth["particle"] == "gamma")


# How it is made


def same(one, other):
    for name in ("dl1/event/subarray/trigger", "dl1/event/telescope/images/tel_003"):
        with tables.open_file(one) as first, tables.open_file(other) as second:
            rows, others = (file.get_node(f"/{name}").read() for file in (first, second))
        if rows.tobytes() != others.tobytes():
            return False
    return True


def test_is_the_same_on_several_processes(crab, folder):
    again = simulate_observation(settings_of(folder / "again.dl1.h5"), processes=2, progress=False)
    assert same(crab, again)
    one, other = (path.with_name(f"{path.name[:-7]}.truth.ecsv") for path in (crab, again))
    assert one.read_text() == other.read_text()


def test_dead_time_loses_events(folder):
    changes = {"proton": None, "helium": None, "duration": "1.5 s", "pedestal_rate": 90}
    settings = settings_of(folder / "dead.dl1.h5", dead_time="9 ms", **changes)
    path = simulate_observation(settings, progress=False)
    with TableLoader(path) as loader:
        time = loader.read_subarray_events()["time"]
    assert np.diff((time - time[0]).to_value("s")).min() >= 0.009 - 1e-9
    lost = QTable.read(folder / "dead.truth.ecsv").meta["events_lost_in_dead_time"]
    assert lost > 5
    with tables.open_file(path) as file:
        assert dead_time_fraction(file) == pytest.approx({12: len(time) * 0.009 / 1.5})


def test_nothing_is_replaced_or_left_behind(folder, tmp_path, crab):
    with pytest.raises(OutputError, match="crab.dl1.h5' exists"):
        simulate_observation(settings_of(crab), progress=False)
    (tmp_path / "crab.truth.ecsv").touch()
    with pytest.raises(OutputError, match=r"crab.truth.ecsv' exists"):
        simulate_observation(settings_of(tmp_path / "crab.dl1.h5"), progress=False)

    class Interrupted(ObservationSimulation):
        def block(self, first, last):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_observation(
            settings_of(tmp_path / "new.dl1.h5"), progress=False, simulation=Interrupted
        )
    empty = settings_of(
        tmp_path / "new.dl1.h5",
        source={"crab_units": 1e-6},
        proton=None,
        helium=None,
        pedestal_rate=0,
    )
    with pytest.raises(EmptySelectionError, match="Nothing was recorded in 0.0333333 min"):
        simulate_observation(empty, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["crab.truth.ecsv"]


# On the command line


@pytest.fixture
def asked(monkeypatch):
    """What the command line asks for, without making it."""
    found = []

    def simulate_observation(settings, **how):
        found.append((settings, how))
        return settings.output

    monkeypatch.setattr("gammalearn.simulation.observe.simulate_observation", simulate_observation)
    return found


def test_the_command_line_takes_a_file_of_settings(asked, tmp_path, capsys):
    path = tmp_path / "crab.observation.yaml"
    path.write_text(yaml.safe_dump({**QUICK, "seed": 3}))
    words = ["simulate", "--observation", str(path), "--seed", "8", "-j", "2", "--overwrite"]
    assert main(words) == 0
    ((settings, how),) = asked
    assert settings == settings_of(tmp_path / "crab.dl1.h5", seed=8)
    assert how == {"processes": 2, "overwrite": True, "progress": True}
    assert capsys.readouterr().out == f"{tmp_path / 'crab.dl1.h5'}\n"


def test_options_of_other_simulations_are_refused(asked, tmp_path, capsys):
    path = tmp_path / "crab.observation.yaml"
    path.write_text("{}")
    assert main(["simulate", "--observation", str(path), "--n-showers", "5"]) == 2
    assert "--n-showers is not of an observation; leave it out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["simulate"])
    assert "required: -o/--output" in capsys.readouterr().err
    assert asked == []
