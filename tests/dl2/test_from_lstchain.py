"""DL2 in ctapipe's data model of lstchain DL1: compared with what lstchain's file holds, read as
it is, and with the DL1 that ctapipe itself made of the same simulation."""

import shutil

import astropy.units as u
import numpy as np
import pytest
import tables
from ctapipe.containers import CoordinateFrameType
from ctapipe.core import run_tool
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import EventSource, TableLoader, metadata, read_table
from ctapipe.tools.merge import MergeTool

from gammalearn.cli import main
from gammalearn.data import EventIndex
from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.data.readers.lstchain_dl1 import LstchainDL1Reader
from gammalearn.dl2 import write_dl2
from gammalearn.errors import InputFileError
from gammalearn.evaluation import evaluate
from gammalearn.evaluation.events.reading import read_events
from gammalearn.evaluation.performance.production import read_productions
from gammalearn.inspection.info import describe
from gammalearn.io.lstchain_tables import DL2_EVENTS, IMAGES, PARAMETERS
from gammalearn.run.options import RunOptions
from gammalearn.run.reconstruction import predict
from gammalearn.settings import EvaluationSettings, Experiment
from gammalearn.tasks import build_tasks

GAMMAS, PROTONS = "gamma_lsts_run7_7.0.0", "proton_run202_prod5"
OTHER_PROTONS = "proton_run1_7.0.0"

GROUPINGS = pytest.mark.parametrize("grouping", ["mono", "stereo"])
NAMES = pytest.mark.parametrize("name", [GAMMAS, PROTONS])

KEYS = ["obs_id", "event_id", "tel_id"]


@pytest.fixture
def make_dl2(lstchain, tmp_path):
    """The DL2 file of a perfect network, and the DL1 file it is of."""

    def make(name, grouping, source=None, output=None, network=None, **data):
        source = source or lstchain(f"{name}_4tel")
        experiment = Experiment.model_validate(
            {
                "data": {"grouping": grouping, **data},
                "output": output or {},
                "network": network or {},
            }
        )
        index = EventIndex.build([source], experiment.data)
        tasks = build_tasks(experiment.tasks)
        outputs = {name: task.truth(index.events) for name, task in tasks.items()}
        outputs["particle_type"] = 10.0 * outputs["particle_type"] - 5
        outputs = {name: np.nan_to_num(values) for name, values in outputs.items()}
        made = tmp_path / f"{name}_{grouping}.dl2.h5"
        write_dl2(index, tasks, outputs, made, experiment)
        return source, made

    return make


@pytest.fixture
def observed(lstchain, tmp_path):
    """An lstchain file of the gammas as it would be of LST-1: no truth, and a moving telescope."""

    def make(moves=True, times=True):
        path = tmp_path / "dl1_LST-1.Run02008.0000.h5"
        shutil.copyfile(lstchain(f"{GAMMAS}_4tel"), path)
        path.chmod(0o644)
        with tables.open_file(path, "a") as file:
            table = file.get_node(PARAMETERS)
            left_out = ("mc_", "disp_", "src_", "trigger_time")
            kept = [n for n in table.colnames if not n.startswith(left_out)]
            rows = table.read()
            dtypes = [(name, rows.dtype[name]) for name in kept]
            dtypes += [("dragon_time", float)] if times else []
            new = np.empty(len(rows), dtype=dtypes)
            for name in kept:
                new[name] = rows[name]
            _, number = np.unique(rows["event_id"], return_inverse=True)
            if times:
                new["dragon_time"] = 1.6e9 + number
            if moves:
                new["alt_tel"] += np.float32(0.01) * number
            file.remove_node(PARAMETERS)
            file.create_table(*PARAMETERS.rsplit("/", 1), obj=new)
            file.remove_node("/simulation", recursive=True)
            file.remove_node("/dl1/event/subarray", recursive=True)
        return path

    return make


def load(path, level, **options):
    """Events by ctapipe's TableLoader."""
    with TableLoader(path) as loader:
        return getattr(loader, f"read_{level}_events")(**options)


def lstchain_images(path, table=PARAMETERS):
    """The rows of lstchain's table of images, as PyTables has them, sorted."""
    with tables.open_file(path) as file:
        return np.sort(file.get_node(table).read(), order=KEYS)


def in_order(table, keys):
    return table[np.lexsort([table[key] for key in reversed(keys)])]


@NAMES
@GROUPINGS
def test_truth_is_that_of_lstchain_in_the_units_of_ctapipe(make_dl2, name, grouping):
    source, path = make_dl2(name, grouping)
    images = lstchain_images(source)
    events = in_order(load(path, "telescope"), KEYS)
    for key in KEYS:
        assert events[key].tolist() == images[key].tolist()
    units = {"energy": u.TeV, "alt": u.deg, "az": u.deg, "core_x": u.m, "core_y": u.m,
             "h_first_int": u.m, "x_max": u.g / u.cm**2}  # fmt: skip
    for name, unit in units.items():
        expected = images[f"mc_{name}"]
        if unit == u.deg:
            expected = np.rad2deg(expected)
        column = events[f"true_{name}"]
        assert column.unit == unit
        np.testing.assert_allclose(column, expected, rtol=1e-12)
    assert events["true_shower_primary_id"].tolist() == images["mc_type"].tolist()
    for name, angle in (("altitude", "alt_tel"), ("azimuth", "az_tel")):
        pointing = events[f"telescope_pointing_{name}"].quantity.to_value(u.rad)
        np.testing.assert_allclose(pointing, images[angle], rtol=1e-6)


@NAMES
@GROUPINGS
def test_tables_are_those_that_ctapipe_makes_of_the_same_simulation(
    make_dl2, data_dir, name, grouping
):
    """Names, units and values of triggers, truth and configuration; lstchain has the events that
    an LST sees."""
    _, path = make_dl2(name, grouping)
    theirs = data_dir / "dl1_ctapipe" / f"{name}.dl1.h5"
    ours = load(path, "subarray", observation_info=True)
    expected = load(theirs, "subarray", observation_info=True)
    expected = expected[np.isin(expected["event_id"], ours["event_id"])]
    assert len(ours) == len(expected) > 0
    for column in expected.colnames:
        if column in ("tels_with_trigger", "true_starting_grammage") or "time" in column:
            continue
        assert ours[column].unit == expected[column].unit, column
        assert ours[column].dtype.kind == expected[column].dtype.kind
        if expected[column].dtype.kind == "f":
            np.testing.assert_allclose(ours[column], expected[column], rtol=1e-6)
        else:
            assert ours[column].tolist() == expected[column].tolist(), column
    assert np.array_equal(ours["tels_with_trigger"], expected["tels_with_trigger"][:, :4])
    np.testing.assert_allclose((ours["time"] - expected["time"]).sec, 0, atol=1e-9)

    ours, expected = (load(p, "telescope", telescopes=[1, 2, 3, 4]) for p in (path, theirs))
    assert ours[KEYS].as_array().tolist() == expected[KEYS].as_array().tolist()
    for column in ("true_impact_distance", "telescope_pointing_altitude"):
        np.testing.assert_allclose(ours[column], expected[column], rtol=1e-6)
    for column in set(expected.colnames) & set(ours.colnames):
        if not column.startswith("time"):
            assert ours[column].unit == expected[column].unit, column

    for table in ("/configuration/simulation/run", "/simulation/service/shower_distribution"):
        with tables.open_file(path) as a, tables.open_file(theirs) as b:
            ours, expected = (read_table(file, table) for file in (a, b))
        assert ours.colnames == expected.colnames
        for column in expected.colnames:
            assert ours[column].unit == expected[column].unit
            assert np.array_equal(ours[column], expected[column])


@NAMES
def test_the_telescopes_are_those_of_the_file(make_dl2, name):
    source, path = make_dl2(name, "mono")
    before, after = (SubarrayDescription.from_hdf(p) for p in (source, path))
    assert before == after and before.name == after.name
    assert len(after) == 4


@GROUPINGS
def test_results_stand_with_their_events(make_dl2, grouping):
    """Of a perfect network they are the truth, NaN and invalid where a cut left an event out."""
    least = 1 if grouping == "mono" else 3
    _, path = make_dl2(
        GAMMAS, grouping, cuts={"image": ["hillas_intensity > 100"]}, min_multiplicity=least
    )
    level, prefix = ("telescope", "_tel") if grouping == "mono" else ("subarray", "")
    events = load(path, level, dl2=True, simulated=True)
    with TableLoader(path) as loader:
        parameters = loader.read_telescope_events()
    bright = parameters[parameters["hillas_intensity"] > 100]
    if grouping == "mono":
        chosen = np.asarray(events["hillas_intensity"] > 100)
    else:
        chosen = np.array([np.sum(bright["event_id"] == i) >= least for i in events["event_id"]])
    assert 0 < chosen.sum() < len(events)
    for name in ("energy", "alt", "az"):
        reconstructed = events[f"GammaLearn{prefix}_{name}"]
        assert reconstructed.unit == events[f"true_{name}"].unit
        np.testing.assert_allclose(reconstructed[chosen], events[f"true_{name}"][chosen], rtol=1e-6)
        assert np.isnan(reconstructed[~chosen]).all()
    np.testing.assert_allclose(
        events[f"GammaLearn{prefix}_prediction"][chosen], 1 / (1 + np.exp(-5)), rtol=1e-6
    )
    if grouping == "stereo":
        used = events["GammaLearn_telescopes"][chosen].sum(axis=1)
        counts = [np.sum(bright["event_id"] == i) for i in events["event_id"][chosen]]
        assert used.tolist() == counts


def test_image_parameters_are_those_that_ctapipe_has(make_dl2):
    """What means the same stays; places, angles and lengths are in the telescope frame."""
    source, path = make_dl2(GAMMAS, "mono")
    images = lstchain_images(source)
    events = in_order(load(path, "telescope"), KEYS)
    same = ["leakage_pixels_width_2", "leakage_intensity_width_1", "concentration_core"]
    names = {name: name for name in same} | {
        f"hillas_{name}": name for name in ("intensity", "kurtosis")
    }
    names |= {f"morphology_{name}": name for name in ("n_pixels", "n_islands")}
    for ours, theirs in names.items():
        np.testing.assert_array_equal(events[ours], images[theirs])
    optics = SubarrayDescription.from_hdf(source).tel[1].optics
    effective = optics.effective_focal_length.to_value(u.m)
    equivalent = optics.equivalent_focal_length.to_value(u.m)
    for ours, theirs in (("fov_lon", "y"), ("fov_lat", "x")):
        assert events[f"hillas_{ours}"].unit == u.deg
        expected = np.rad2deg(images[theirs] / effective)
        np.testing.assert_allclose(events[f"hillas_{ours}"], expected, rtol=1e-6)
    # lstchain has them by the equivalent focal length.
    for name in ("length", "width"):
        assert events[f"hillas_{name}"].unit == u.deg
        expected = images[name] * equivalent / effective
        np.testing.assert_allclose(events[f"hillas_{name}"], expected, rtol=1e-4)
    # ctapipe has the axis of an image within ±90 deg of fov_lon; what has a sign turns with it.
    way = np.stack([np.sin(images["psi"]), np.cos(images["psi"])])
    psi = events["hillas_psi"].quantity.to_value(u.rad)
    known = np.isfinite(psi)
    assert 0 < known.sum() < len(known) and np.all(np.abs(psi[known]) <= np.pi / 2)
    for ours, theirs in (
        ("hillas_skewness", images["skewness"]),
        ("timing_slope", images["time_gradient"] * np.deg2rad(effective)),
    ):
        np.testing.assert_allclose(
            events[ours] * np.stack([np.cos(psi), np.sin(psi)]), theirs * way, rtol=1e-5, atol=1e-6
        )
    assert events["timing_slope"].unit == 1 / u.deg


def test_images_are_there_where_they_are_asked_for(make_dl2):
    _, path = make_dl2(GAMMAS, "mono")
    with tables.open_file(path) as file:
        assert "/dl1/event/telescope/images" not in file
        assert file.root._v_attrs["CTA PRODUCT DATA LEVELS"] == "DL1_PARAMETERS,DL2"
    source, path = make_dl2(GAMMAS, "mono", output={"dl1_images": True})
    events = load(path, "telescope", dl1_images=True)
    with tables.open_file(source) as file:
        rows, keys = file.get_node(IMAGES).read(), file.get_node(PARAMETERS).read()
    order = np.lexsort([keys["tel_id"], keys["event_id"]])
    for name in ("image", "peak_time", "image_mask"):
        assert np.array_equal(events[name], rows[name][order])
    with tables.open_file(path) as file:
        levels = "DL1_IMAGES,DL1_PARAMETERS,DL2"
        assert file.root._v_attrs["CTA PRODUCT DATA LEVELS"] == levels


@GROUPINGS
def test_ctapipe_takes_the_files_for_its_own(make_dl2, tmp_path, grouping):
    """Its reader of headers, and ctapipe-merge."""
    files = [make_dl2(GAMMAS, grouping, output={"dl1_images": True})[1]]
    with tables.open_file(files[0]) as file:
        header = metadata._read_reference_metadata_hdf5(file)
    assert header.contact.organization == "LST Consortium"
    assert (header.product.data_category, header.process.id_) == ("Sim", "7")

    # Another run of the same telescopes.
    source, _ = make_dl2(GAMMAS, grouping)
    other = tmp_path / "dl1_other.h5"
    shutil.copyfile(source, other)
    other.chmod(0o644)
    with tables.open_file(other, "a") as file:
        for table in file.walk_nodes("/", "Table"):
            if "obs_id" in table.colnames:
                table.modify_column(colname="obs_id", column=table.col("obs_id") + 1)
    files.append(make_dl2("other", grouping, other, output={"dl1_images": True})[1])
    merged = tmp_path / "merged.dl2.h5"
    command = [*map(str, files), "-o", str(merged)]
    assert run_tool(MergeTool(), command, cwd=tmp_path) == 0
    column = f"GammaLearn{'_tel' if grouping == 'mono' else ''}_energy"
    level = "telescope" if grouping == "mono" else "subarray"
    both, one = load(merged, level), load(files[0], level)
    assert set(both["obs_id"]) == {7, 8} and len(both) == 2 * len(one)
    np.testing.assert_array_equal(both[column], [*one[column], *one[column]])


@pytest.mark.usefixtures("blank_pictures")
@GROUPINGS
def test_they_are_evaluated_like_any(make_dl2, tmp_path, grouping):
    made = [make_dl2(name, grouping) for name in (GAMMAS, PROTONS, OTHER_PROTONS)]
    paths = [path for _, path in made]
    events = read_events(paths)
    images = [lstchain_images(source) for source, _ in made]
    if grouping == "stereo":
        images = [rows[np.unique(rows["event_id"], return_index=True)[1]] for rows in images]
    for angle in ("alt", "az"):
        pointing = events[f"pointing_{angle}"].to_value(u.rad)
        expected = np.concatenate([rows[f"{angle}_tel"] for rows in images])
        np.testing.assert_allclose(pointing, expected, rtol=1e-6)
    found = read_productions(paths[1:2], read_events(paths[1:2]))
    productions, lacking = found.known, found.lacking
    assert lacking == {} and productions[0].showers.n_showers == 2000
    evaluate(paths, tmp_path / "evaluation", EvaluationSettings())
    assert (tmp_path / "evaluation" / "report.html").exists()
    assert ": DL1_PARAMETERS,DL2, " in describe(paths[:1])[0]


@GROUPINGS
def test_an_observation_has_no_truth_and_its_pointing_over_time(make_dl2, observed, grouping):
    """From the moving telescope on, as ctapipe reads it."""
    source, path = make_dl2("observed", grouping, observed(), output={"dl1_images": True})
    images = lstchain_images(source)
    with tables.open_file(path) as file:
        assert "/simulation" not in file and "/configuration/simulation" not in file
        assert file.root._v_attrs["CTA PROCESS TYPE"] == "Observation"
    events = in_order(load(path, "telescope"), KEYS)
    np.testing.assert_allclose(events["time"].unix, images["dragon_time"], atol=1e-6)
    pointing = events["telescope_pointing_altitude"].quantity.to_value(u.rad)
    assert len(np.unique(images["alt_tel"])) == 4
    np.testing.assert_allclose(pointing, images["alt_tel"], rtol=1e-6)
    with EventSource(path) as events:
        for event in events:
            mine = images[images["event_id"] == event.index.event_id]
            assert sorted(event.dl1.tel) == mine["tel_id"].tolist()
            assert event.dl1.tel[1].parameters.hillas.intensity == mine["intensity"][0]
    array = load(path, "subarray", observation_info=True)
    assert set(array["subarray_pointing_frame"]) == {CoordinateFrameType.UNKNOWN.value}
    found = read_events([path], observed=True)
    assert len(found) == (13 if grouping == "mono" else 4) and set(found["particle"]) == {"unknown"}
    assert np.isfinite(found["reco_energy"]).all()


def test_without_times_only_a_telescope_at_rest_has_a_pointing(make_dl2, observed):
    source = observed(moves=False, times=False)
    _, path = make_dl2("rest", "mono", source)
    events, images = in_order(load(path, "telescope"), KEYS), lstchain_images(source)
    pointing = events["telescope_pointing_altitude"].quantity.to_value(u.rad)
    np.testing.assert_allclose(pointing, images["alt_tel"], rtol=1e-6)
    with pytest.raises(InputFileError, match="no times of events .*--format lstchain"):
        make_dl2("moving", "mono", observed(times=False))


@pytest.mark.parametrize("images", [False, True])
def test_our_reader_reads_the_same_from_the_written_file(make_dl2, images):
    source, path = make_dl2(PROTONS, "mono", output={"dl1_images": images})
    names = ["hillas_psi", "hillas_fov_lat", "hillas_skewness", "leakage_intensity_width_2"]
    with LstchainDL1Reader(source) as before, CtapipeDL1Reader(path) as after:
        for name in before.events.colnames:
            if before.events[name].dtype.kind == "f":
                np.testing.assert_allclose(after.events[name], before.events[name], rtol=1e-12)
            else:
                assert np.array_equal(after.events[name], before.events[name])
        for tel_id in before.telescopes_with_images():
            old, new = before.images(tel_id, names), after.images(tel_id, names)
            for name in old.colnames:
                np.testing.assert_allclose(new[name], old[name], rtol=1e-6)
        assert after.has_pixels == images


def test_of_a_file_without_images_there_are_none(make_dl2, lstchain, tmp_path):
    """Though they are asked for; a network of parameters alone needs none."""
    alone = tmp_path / "alone.h5"
    shutil.copyfile(lstchain(f"{GAMMAS}_4tel"), alone)
    alone.chmod(0o644)
    with tables.open_file(alone, "a") as file:
        file.remove_node(IMAGES)
    _, path = make_dl2(
        "alone",
        "mono",
        alone,
        output={"dl1_images": True},
        network={"encoder": "none", "parameters": "all"},
        channels=[],
    )
    with tables.open_file(path) as file:
        assert "/dl1/event/telescope/images" not in file
        assert file.root._v_attrs["CTA PRODUCT DATA LEVELS"] == "DL1_PARAMETERS,DL2"
    assert np.isfinite(load(path, "telescope")["GammaLearn_tel_energy"]).any()


def test_the_layout_is_chosen_where_dl2_is_made(lstchain, checkpoint, tmp_path, capsys):
    """By an option or in the settings; a file of the other layout is another file."""
    source = lstchain(f"{GAMMAS}_4tel")
    file = checkpoint(source, grouping="mono")
    command = ["predict", str(file), str(source), "-q", "-o"]
    assert main([*command, str(tmp_path / "ctapipe")]) == 0
    assert main([*command, str(tmp_path / "lstchain"), "--format", "lstchain"]) == 0
    first, second = (tmp_path / n / f"dl1_{GAMMAS}_4tel.dl2.h5" for n in ("ctapipe", "lstchain"))
    ours = in_order(load(first, "telescope"), KEYS)
    theirs = lstchain_images(second, DL2_EVENTS)
    np.testing.assert_allclose(ours["Net_tel_energy"], theirs["reco_energy"], rtol=1e-6)
    np.testing.assert_allclose(ours["Net_tel_alt"], np.rad2deg(theirs["reco_alt"]), rtol=1e-6)
    np.testing.assert_allclose(ours["Net_tel_prediction"], theirs["gammaness"], rtol=1e-6)
    # Done in this layout, not in the other.
    assert main([*command, str(tmp_path / "lstchain"), "--format", "lstchain"]) == 0
    capsys.readouterr()
    assert main([*command, str(tmp_path / "lstchain")]) == 2
    assert "this layout" in capsys.readouterr().err


def test_a_stereo_network_reconstructs_whole_events(lstchain, checkpoint, tmp_path):
    source = lstchain(f"{PROTONS}_4tel")
    file = checkpoint(source, grouping="stereo", min_multiplicity=2)
    (path,) = predict(file, [str(source)], tmp_path / "dl2", RunOptions(progress=False))
    events = load(path, "subarray")
    assert events["event_id"].tolist() == [913, 3906]
    assert events["Net_is_valid"].all() and np.isfinite(events["Net_energy"]).all()
    assert events["Net_telescopes"].tolist() == events["tels_with_trigger"].tolist()
