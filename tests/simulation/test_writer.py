"""Simulated DL1 files: what ctapipe-process makes of the same events, written faster."""

import numpy as np
import pytest
import tables
import yaml
from ctapipe.core import Provenance, run_tool
from ctapipe.io import TableLoader
from ctapipe.tools.merge import MergeTool
from ctapipe.tools.process import ProcessorTool

from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.image.processing import image_processing
from gammalearn.inspection.info import describe_file
from gammalearn.simulation import simulate
from gammalearn.simulation.record import read_record
from gammalearn.simulation.run import SimulatedRun
from gammalearn.simulation.writer import FIXED_POINT, DL1Writer

pytestmark = pytest.mark.usefixtures("toy_showers")

#: What tells one making of a file from another.
PROVENANCE = ("CTA ACTIVITY", "CTA PRODUCT CREATION TIME", "CTA PRODUCT ID", "GAMMALEARN")

#: ctapipe adds up charges and times in single precision, and describes the skewness so.
RTOL, ATOL = 1e-5, 1e-4

#: ctapipe's fit of the time gradient begins at random, anew with every file.
RANDOM = ("timing_slope", "timing_intercept", "timing_deviation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("writer")


@pytest.fixture(scope="module")
def ours(folder, toy_settings, toy_showers):
    return simulate(toy_settings(folder / "ours.dl1.h5"), progress=False)


@pytest.fixture(scope="module")
def by_ctapipe(folder, toy_settings, toy_simulation, toy_showers):
    """The same request by ctapipe-process."""
    request, config = folder / "toy.simulation.yaml", folder / "config.yaml"
    settings = toy_settings()
    request.write_text(yaml.safe_dump(settings.shower_settings()))
    subarray = toy_simulation(settings).array.subarray
    config.write_text(yaml.safe_dump({**image_processing(subarray), "DataWriter": FIXED_POINT}))
    path = folder / "ctapipe.dl1.h5"
    files = [f"--input={request}", f"--output={path}", f"--config={config}"]
    run_tool(ProcessorTool(), [*files, "--write-images", "--write-parameters"], raises=True)
    return path


@pytest.fixture(scope="module")
def files(ours, by_ctapipe):
    with tables.open_file(ours) as one, tables.open_file(by_ctapipe) as other:
        yield one, other


def attributes(node):
    values = {name: node._v_attrs[name] for name in node._v_attrs._v_attrnamesuser}
    return {name: v for name, v in values.items() if not name.startswith(PROVENANCE)}


def tables_of(file):
    return {node._v_pathname: node for node in file.walk_nodes("/", "Table")}


def test_has_the_tables_of_ctapipe(files):
    one, other = ({node._v_pathname for node in file.walk_nodes()} for file in files)
    assert one == other


def test_has_the_columns_and_metadata_of_ctapipe(files):
    one, other = (tables_of(file) for file in files)
    assert attributes(files[0].root) == attributes(files[1].root)
    for path, table in one.items():
        assert table.colnames == other[path].colnames
        assert table.title == other[path].title
        mine, theirs = attributes(table), attributes(other[path])
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            np.testing.assert_array_equal(value, theirs[name], err_msg=f"{path} {name}")


def test_has_the_values_of_ctapipe(files):
    one, other = (tables_of(file) for file in files)
    for path, table in one.items():
        assert table.nrows == other[path].nrows > 0
        for name in set(table.colnames) - set(RANDOM):
            mine, theirs = table.col(name), other[path].col(name)
            assert mine.dtype.kind == theirs.dtype.kind
            what = f"{path} {name}"
            if mine.dtype.kind == "f":
                np.testing.assert_allclose(mine, theirs, RTOL, ATOL, err_msg=what)
            else:
                np.testing.assert_array_equal(mine, theirs, err_msg=what)


def test_has_a_time_gradient_where_ctapipe_has(files):
    """Mostly the same one, whatever pixels the fits began at."""
    same, total = 0, 0
    for tel_id in (1, 2, 5):
        path = f"/dl1/event/telescope/parameters/tel_{tel_id:03d}"
        mine, theirs = (file.get_node(path).col("timing_slope") for file in files)
        np.testing.assert_array_equal(np.isfinite(mine), np.isfinite(theirs))
        known = np.isfinite(mine)
        same += np.isclose(mine[known], theirs[known]).sum()
        total += known.sum()
    assert same > total / 2


def test_leaves_out_telescopes_that_saw_nothing(ours):
    """As ctapipe does; they are still part of the array."""
    with tables.open_file(ours) as file:
        assert not [path for path in tables_of(file) if path.endswith("tel_007")]
    with CtapipeDL1Reader(ours) as reader:
        assert set(reader.subarray.tel) == {1, 2, 5, 7}
        assert reader.telescopes_with_images() == [1, 2, 5]


def test_holds_the_events_of_the_simulation(ours, toy_simulation, toy_settings):
    block = toy_simulation(toy_settings()).block(1, 13)
    with CtapipeDL1Reader(ours) as reader:
        events = reader.events
        np.testing.assert_array_equal(events["event_id"], block.events["event_id"])
        np.testing.assert_allclose(events["true_core_x"], block.events["core_x"])
        assert set(events["particle"]) == {"proton"}
        for tel_id in (1, 2, 5):
            kind = reader.subarray.tel[tel_id].name
            images = block.telescopes[kind]
            mine = images.tel_id == tel_id
            pixels = reader.pixels(tel_id, np.arange(mine.sum()), ["charge", "peak_time"])
            np.testing.assert_array_equal(pixels["charge"], images.image[mine])
            np.testing.assert_array_equal(pixels["peak_time"], images.peak_time[mine])
            pointing = reader.images(tel_id, ["hillas_intensity"])
            np.testing.assert_allclose(pointing["pointing_alt"], 70)
            np.testing.assert_allclose(pointing["pointing_az"], 180)


def test_says_how_it_was_made(ours, toy_settings):
    assert read_record(ours) == toy_settings().shower_settings()
    with tables.open_file(ours) as file:
        attributes = file.root._v_attrs
        assert attributes["CTA ACTIVITY NAME"] == "gammalearn-simulate"
        assert attributes["CTA PRODUCT DATA LEVELS"] == "DL1_IMAGES,DL1_PARAMETERS"
        assert attributes["CTA PROCESS TYPE"] == "Simulation"
    assert "proton" in describe_file(ours)


def test_is_loaded_by_ctapipe(ours):
    with TableLoader(ours) as loader:
        events = loader.read_subarray_events(observation_info=True, simulated=True)
        images = loader.read_telescope_events(
            [1, 2], dl1_images=True, true_images=True, true_parameters=True
        )
        thrown = loader.read_shower_distribution()
    assert set(images["event_id"]) <= set(events["event_id"])
    assert thrown["n_entries"].sum() == 36
    assert np.all(images["true_impact_distance"] > 0)


def test_is_merged_by_ctapipe(folder, ours, toy_settings):
    other = simulate(toy_settings(folder / "other.dl1.h5", run=5, seed=2), progress=False)
    merged = folder / "merged.dl1.h5"
    run_tool(MergeTool(), [str(ours), str(other), f"--output={merged}"], raises=True)
    with TableLoader(merged) as loader:
        assert set(loader.read_subarray_events()["obs_id"]) == {4, 5}
        assert loader.read_shower_distribution()["n_entries"].sum() == 72


def test_an_error_ends_the_activity(tmp_path, toy_simulation, toy_settings):
    """ctapipe's record of what is going on is in order after it."""
    settings = toy_settings()
    run = SimulatedRun(settings, toy_simulation(settings).array)
    before = Provenance().current_activity
    with pytest.raises(ZeroDivisionError), DL1Writer(tmp_path / "x.dl1.h5", run):
        raise ZeroDivisionError
    assert Provenance().current_activity is before
