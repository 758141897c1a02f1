"""DL3 of an observation, as gammapy reads it, compared with what is in the sky."""

import sys

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.time import Time
from gammapy.data import DataStore, PointingInfo
from gammapy.data.event_list import EventListChecker
from gammapy.irf import load_irf_dict_from_file

from gammalearn.cli import main
from gammalearn.dl3.making import make_dl3
from gammalearn.errors import (
    CutError,
    DataError,
    GammaLearnError,
    InputFileError,
    MissingPackageError,
    OutputError,
)
from gammalearn.io.lstchain_tables import DL2_EVENTS
from gammalearn.io.observed.dead_time import write_dead_time
from gammalearn.io.observed.target import Target, write_target

from ..small_subarray import small_subarray
from . import conftest as made

OBS_ID, DURATION, SOURCE, START = made.OBS_ID, made.DURATION, made.SOURCE, made.START


@pytest.fixture(scope="module")
def folder(observation, tmp_path_factory):
    """DL3 of the observation."""
    folder = tmp_path_factory.mktemp("dl3")
    make_dl3([observation["dl2"]], observation["irf"], folder, cuts=observation["cuts"])
    return folder


@pytest.fixture
def make(observation, tmp_path):
    """Function that makes DL3 of other events, and gives gammapy's observation."""

    def make(events=None, dl2=None, irf=None, cuts=None, **options):
        path = dl2 or made.write_dl2(tmp_path / "other.dl2.h5", events, **options.pop("file", {}))
        irf, cuts = irf or observation["irf"], cuts or observation["cuts"]
        make_dl3([path], irf, tmp_path / "dl3", cuts=cuts, **options)
        return DataStore.from_dir(tmp_path / "dl3").obs(OBS_ID)

    return make


@pytest.fixture(autouse=True)
def _without_a_fault_of_gammapy(monkeypatch):
    """gammapy 2.1 looks for the unit of times that it has read, which have none, and fails."""
    checks = {name: how for name, how in EventListChecker.CHECKS.items() if name != "columns"}
    monkeypatch.setattr(EventListChecker, "CHECKS", checks)


def problems(store):
    found = [record for record in store.check() if record["level"] in ("warning", "error")]
    for obs_id in store.obs_ids:
        location = store.hdu_table.hdu_location(obs_id, "events")
        table = Table.read(location.path(), hdu="EVENTS")
        found += [
            name
            for name, unit in EventListChecker.columns_required
            if u.Unit(unit) != (table[name].unit or "")
        ]
    return found


def test_gammapy_finds_no_fault(folder):
    store = DataStore.from_dir(folder)
    assert problems(store) == []
    assert store.obs_ids.tolist() == [OBS_ID]


def test_events_come_from_the_source_at_their_times(folder, observation):
    expected = observation["events"][made.passing(observation["events"])]
    events = DataStore.from_dir(folder).obs(OBS_ID).events
    assert 20 < len(events.table) == len(expected)
    assert events.table["EVENT_ID"].tolist() == expected["event_id"].tolist()
    assert events.radec.separation(SOURCE).deg.max() < 1e-4
    assert np.abs((events.time - expected["time"]).to_value(u.us)).max() < 2
    np.testing.assert_allclose(events.energy.to_value("TeV"), expected["energy"].to_value("TeV"))
    assert events.table["MULTIP"].tolist() == [2 - number % 2 for number in expected["event_id"]]


def test_good_times_and_pointing_are_those_of_the_run(folder):
    obs = DataStore.from_dir(folder).obs(OBS_ID)
    assert obs.gti.time_sum.to_value("s") == pytest.approx(DURATION, abs=1e-5)
    assert np.abs((obs.gti.time_start[0] - START).to_value("us")) < 2
    assert obs.pointing.fixed_icrs.separation(made.POINTING).deg < 1e-4
    table = PointingInfo.read(folder / "dl3_00007.fits.gz")
    assert table.radec.separation(made.POINTING).deg.max() < 1e-4
    # gammapy computes the horizontal coordinates from the others.
    assert table.altaz.separation(table.altaz_from_table).arcsec.max() < 1


def test_the_response_is_that_of_the_file(folder, observation):
    obs = DataStore.from_dir(folder).obs(OBS_ID)
    expected = load_irf_dict_from_file(observation["irf"])
    for name, irf in expected.items():
        found = getattr(obs, name)
        np.testing.assert_array_equal(found.quantity, irf.quantity)
        assert found.axes.names == irf.axes.names
        for ours, theirs in zip(found.axes, irf.axes, strict=True):
            np.testing.assert_array_equal(ours.edges, theirs.edges)
    edges = obs.aeff.axes["energy_true"].edges
    np.testing.assert_allclose(edges.to_value("TeV"), made.TRUE_BINS.to_value("TeV"), rtol=1e-6)
    assert obs.aeff.quantity.max() > 0 * u.m**2


def test_dead_time_and_target_are_those_of_the_file(observation, tmp_path, make):
    path = made.write_dl2(tmp_path / "dead.dl2.h5", observation["events"])
    with tables.open_file(path, "a") as file:
        write_dead_time(file, 0.02)
        write_target(file, Target("Crab é\n", SOURCE.ra.deg, SOURCE.dec.deg))
    obs = make(dl2=path)
    fraction = 300 * 0.02 / DURATION
    assert obs.observation_dead_time_fraction == pytest.approx(fraction)
    live = obs.observation_live_time_duration.to_value("s")
    assert live == pytest.approx(DURATION * (1 - fraction), rel=1e-5)
    header = obs.events.table.meta
    assert obs.meta.target.name == "Crab ??"
    assert obs.target_radec.separation(SOURCE).deg < 1e-6
    assert header["LIVETIME"] == pytest.approx(live) and header["ONTIME"] == pytest.approx(DURATION)


def test_a_pause_is_no_good_time(make):
    events = made.make_events(n=3000)
    pause = (events["seconds"] > 40) & (events["seconds"] < 60)
    left = events[~pause]
    gti = make(left).gti
    ends = [
        left["seconds"][left["seconds"] < 50].max(),
        left["seconds"][left["seconds"] > 50].min(),
    ]
    assert gti.time_sum.to_value("s") == pytest.approx(DURATION - np.diff(ends)[0], abs=1e-5)
    assert len(gti.table) == 2


def test_slews_are_no_good_time_and_their_events_are_counted(observation, make, caplog):
    time = START + np.arange(-2, DURATION + 3) * u.s
    seconds = (time - START).sec
    away = made.POINTING.directional_offset_by(0 * u.deg, np.maximum(20 - seconds, 0) * 0.2 * u.deg)
    seen = made.in_altaz(away, time)
    pointing = QTable({"time": time, "altitude": seen.alt, "azimuth": seen.az})
    events = observation["events"]
    obs = make(events, file={"pointing": pointing})
    assert obs.gti.time_sum.to_value("s") == pytest.approx(DURATION - 20, abs=1e-5)
    assert obs.pointing.fixed_icrs.separation(made.POINTING).deg < 1e-3
    expected = made.passing(events) & (events["seconds"] >= 20)
    assert len(obs.events.table) == expected.sum()
    n_left_out = (events["is_shower"] & (events["seconds"] < 20)).sum()
    assert f"{n_left_out} shower(s) were left out (telescopes not on the target)" in caplog.text


def test_without_a_told_run_it_lasts_from_the_first_to_the_last_event(observation, make):
    seconds = observation["events"]["seconds"]
    obs = make(observation["events"], file={"run": False})
    assert obs.gti.time_sum.to_value("s") == pytest.approx(np.ptp(seconds), abs=2)
    assert len(obs.events.table) == made.passing(observation["events"]).sum()


def test_an_observation_in_two_files(observation, tmp_path):
    events = observation["events"]
    parts = [
        made.write_dl2(tmp_path / f"part{n}.dl2.h5", events[rows])
        for n, rows in enumerate((slice(None, 100), slice(100, None)))
    ]
    paths = make_dl3(parts[::-1], observation["irf"], tmp_path / "dl3", cuts=observation["cuts"])
    assert [path.name for path in paths] == ["dl3_00007.fits.gz"]
    store = DataStore.from_dir(tmp_path / "dl3")
    assert problems(store) == []
    assert len(store.obs(OBS_ID).events.table) == made.passing(events).sum()
    with pytest.raises(DataError, match="both have event 1 of observation 7"):
        make_dl3(
            [parts[0], observation["dl2"]], observation["irf"], tmp_path / "other",
            cuts=observation["cuts"],
        )  # fmt: skip


def test_more_observations_join_the_tables_of_contents(observation, tmp_path):
    give = {"cuts": observation["cuts"]}
    make_dl3([observation["dl2"]], observation["irf"], tmp_path, **give)
    other = made.write_dl2(tmp_path / "b.dl2.h5", made.make_events(seed=2), obs_id=8)
    make_dl3([other], observation["irf"], tmp_path, **give)
    store = DataStore.from_dir(tmp_path)
    assert store.obs_ids.tolist() == [7, 8] and problems(store) == []
    with pytest.raises(OutputError, match="exists"):
        make_dl3([other], observation["irf"], tmp_path, **give)
    make_dl3([other], observation["irf"], tmp_path, overwrite=True, **give)


def test_point_like_responses_bring_their_radius(observation, tmp_path, make):
    radius = [0.1, 0.2]
    irf = made.write_irf(tmp_path / "irf.fits", radius)
    obs = make(
        observation["events"], irf=irf, cuts=made.write_cuts(tmp_path / "cuts.fits", radius=radius)
    )
    assert obs.aeff.is_pointlike
    np.testing.assert_allclose(np.ravel(obs.rad_max.quantity.to_value("deg")), radius)
    # Their event list has the events around the source too, by which the background is measured.
    assert len(obs.events.table) == made.passing(observation["events"]).sum()


def test_criteria_of_the_cuts_hold(observation, tmp_path, make):
    criteria = [("stereo", "np.count_nonzero(Net_energy_telescopes, axis=1) >= 2")]
    obs = make(
        observation["events"], cuts=made.write_cuts(tmp_path / "cuts.fits", criteria=criteria)
    )
    events = observation["events"]
    expected = made.passing(events) & (events["event_id"] % 2 == 0)
    assert obs.events.table["EVENT_ID"].tolist() == events["event_id"][expected].tolist()


@pytest.mark.parametrize(
    "expression",
    [
        "np.lib.format.os.system('touch /tmp/x')",
        "np.load('x')",
        "().__class__",
        "[x for x in (1,)]",
        "9**9**9",
        "(lambda: True)()",
        "Net_energy > ",
    ],
)
def test_criteria_are_conditions_and_nothing_else(observation, tmp_path, make, expression):
    cuts = made.write_cuts(tmp_path / "cuts.fits", criteria=[("bad", expression)])
    with pytest.raises(CutError, match="more than arithmetic"):
        make(observation["events"], cuts=cuts)


def test_cuts_beside_the_response_count_too(observation, tmp_path):
    """As lstchain writes them: by energy in a table, or one for all energies in the header."""
    table = fits.BinTableHDU(made.cut_table(), name="GH_CUTS")
    irf = made.write_irf(tmp_path / "irf.fits", extra=[table])
    make_dl3([observation["dl2"]], irf, tmp_path / "a")
    events = DataStore.from_dir(tmp_path / "a").obs(OBS_ID).events
    assert len(events.table) == made.passing(observation["events"]).sum()
    with pytest.raises(InputFileError, match="are not those in"):
        cuts = made.write_cuts(tmp_path / "cuts.fits", [0.4, 0.8])
        make_dl3([observation["dl2"]], irf, tmp_path / "b", cuts=cuts)

    one = made.write_irf(tmp_path / "one.fits")
    fits.setval(one, "GH_CUT", value=0.7, ext=1)
    make_dl3([observation["dl2"]], one, tmp_path / "c")
    table = DataStore.from_dir(tmp_path / "c").obs(OBS_ID).events.table
    mine = observation["events"]
    assert len(table) == (mine["is_shower"] & (mine["gammaness"] >= 0.7)).sum()


def refused(events, **changes):
    events = events.copy()
    for name, values in changes.items():
        events[name] = values
    return events


def test_what_is_refused(observation, tmp_path):
    events, cuts, irf = (observation[name] for name in ("events", "cuts", "irf"))
    later = np.asarray(events["seconds"]) + np.where(np.arange(300) % 7 == 0, 50.0, 0)
    fixed = QTable({"time": START + [0, 120] * u.s, "altitude": [60, 60] * u.deg})
    fixed["azimuth"] = [100, 100] * u.deg
    none = fixed[:0]
    twice = np.minimum(events["event_id"], 299)
    unknown = Time(np.zeros(300), format="mjd", scale="tai")
    wrong = {
        "event(s) more than once": {"events": refused(events, event_id=twice)},
        "clock of observation 7 jumps": {"events": refused(events, time=START + later * u.s)},
        "no times of its events": {"events": refused(events, time=unknown)},
        "where the telescopes pointed": {"pointing": none},
        "do not follow one place": {"pointing": fixed},
        "where the array is": {"location": made.EarthLocation.from_geodetic(0, 0, 2200)},
    }  # fmt: skip
    for number, (message, given) in enumerate(wrong.items()):
        path = tmp_path / f"{number}.dl2.h5"
        made.write_dl2(path, given.pop("events", events), **given)
        with pytest.raises(GammaLearnError) as raised:
            make_dl3([path], irf, tmp_path / "dl3", cuts=cuts)
        assert message in str(raised.value)
    for message, given in {
        "--cuts": {},
        "are for the gammaness by Other": {
            "cuts": made.write_cuts(tmp_path / "c", classifier="Other")
        },
    }.items():
        with pytest.raises(DataError, match=message):
            make_dl3([observation["dl2"]], irf, tmp_path / "dl3", **given)
    with pytest.raises(InputFileError, match="no effective area"):
        make_dl3([observation["dl2"]], cuts, tmp_path / "dl3", cuts=cuts)
    assert not (tmp_path / "dl3").exists()


def test_an_event_with_a_wrong_time_is_left_out(observation, make, caplog):
    events = observation["events"].copy()
    time = np.array(events["seconds"])
    time[[20, 22]] = 119.0, 1.0
    events["time"] = START + time * u.s
    events["gammaness"] = 1.0
    obs = make(events)
    kept = made.passing(events)
    kept[[20, 22]] = False
    assert obs.events.table["EVENT_ID"].tolist() == events["event_id"][kept].tolist()
    assert "2 shower(s) were left out (time missing or not in order)" in caplog.text


def test_events_outside_of_the_run_are_left_out(observation, make):
    events = observation["events"].copy()
    time = np.array(events["seconds"])
    time[-2:] = DURATION + 1.0, DURATION + 1.5
    events["time"], events["gammaness"] = START + time * u.s, 1.0
    kept = made.passing(events)[:-2]
    table = make(events).events.table
    assert table["EVENT_ID"].tolist() == events["event_id"][:-2][kept].tolist()


def test_files_in_the_layout_of_lstchain(observation, tmp_path):
    """Times of the dragon boards, a moving telescope, angles in rad; the dead time by delta_t."""
    events = observation["events"]
    seen = made.in_altaz(made.POINTING, events["time"])
    random = np.random.default_rng(3)
    rows = Table(
        {
            "obs_id": np.full(300, OBS_ID),
            "event_id": events["event_id"],
            "tel_id": np.ones(300, dtype=int),
            "dragon_time": events["time"].unix,
            "delta_t": 1e-3 + random.exponential(4e-3, 300),
            "alt_tel": seen.alt.rad,
            "az_tel": seen.az.rad,
            "event_type": np.where(events["is_shower"], 32, 2),
            "reco_energy": events["energy"].to_value(u.TeV),
            "reco_alt": events["alt"].to_value(u.rad),
            "reco_az": events["az"].to_value(u.rad),
            "gammaness": events["gammaness"],
        }
    )
    path = tmp_path / "dl2_LST-1.Run00007.h5"
    small_subarray(1, made.SITE).to_hdf(path)
    with tables.open_file(path, "a") as file:
        file.create_table(*DL2_EVENTS.rsplit("/", 1), obj=rows.as_array(), createparents=True)
    cuts = made.write_cuts(tmp_path / "cuts.fits", criteria=(), classifier="lstchain")
    make_dl3([path], observation["irf"], tmp_path / "dl3", cuts=cuts)
    store = DataStore.from_dir(tmp_path / "dl3")
    assert problems(store) == []
    obs = store.obs(OBS_ID)
    assert obs.events.table["EVENT_ID"].tolist() == (
        events["event_id"][made.passing(events)].tolist()
    )
    assert obs.events.radec.separation(SOURCE).deg.max() < 1e-4
    assert obs.pointing.fixed_icrs.separation(made.POINTING).deg < 1e-4
    expected = 1e-3 / np.mean(rows["delta_t"])
    assert obs.observation_dead_time_fraction == pytest.approx(expected, abs=0.01)


def test_nothing_is_downloaded(observation, tmp_path, monkeypatch):
    def download(*_, **__):
        raise AssertionError("a download")

    monkeypatch.setattr("astropy.utils.data.download_file", download)
    monkeypatch.setattr("astropy.utils.iers.iers.download_file", download, raising=False)
    late = made.make_events()
    late["time"] = Time("2040-01-01T03:00:00", scale="utc") + late["seconds"] * u.s
    time = Time("2040-01-01T03:00:00", scale="utc") + np.arange(0, 121.0) * u.s
    from gammalearn.dl3.sky import seconds_of, to_icrs

    sky = to_icrs(np.full(121, 60.0), np.full(121, 100.0), seconds_of(time), made.SITE)
    assert np.all(np.isfinite(sky.ra.deg))


def test_the_command(observation, tmp_path, capsys):
    words = [str(observation[name]) for name in ("dl2", "irf", "cuts")]
    output = tmp_path / "dl3"
    command = ["dl3", words[0], "--irf", words[1], "--cuts", words[2], "-o", str(output)]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == str(output / "dl3_00007.fits.gz")
    assert problems(DataStore.from_dir(output)) == []
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err


def test_the_command_from_dl1(observation, tmp_path, monkeypatch, dl1):
    """The reconstruction is that of `predict`, whose files are then made into DL3."""
    asked = []

    def predict(checkpoint, inputs, output, options, assignments=()):
        asked.append((checkpoint, list(inputs), output))
        return [observation["dl2"]]

    monkeypatch.setattr("gammalearn.run.observation.predict", predict)
    source, output = str(dl1("gamma_lsts_run7_7.0.0")), tmp_path / "dl3"
    words = ["observe", source, "lst4-stereo", "--irf", str(observation["irf"])]
    assert main([*words, "--cuts", str(observation["cuts"]), "-o", str(output)]) == 0
    assert asked == [("lst4-stereo", [source], output / "dl2")]
    assert DataStore.from_dir(output).obs_ids.tolist() == [OBS_ID]


def test_gammapy_is_named_where_it_is_missing(observation, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gammapy.data", None)
    with pytest.raises(MissingPackageError, match="pip install gammapy"):
        make_dl3([observation["dl2"]], observation["irf"], tmp_path / "dl3")
