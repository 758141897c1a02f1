"""DL2 in lstchain's layout: what lstchain itself says of the true source, for its place in the
camera, and the columns that its tools read."""

import shutil

import astropy.units as u
import numpy as np
import pytest
import tables
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import read_table

from gammalearn.data import EventIndex
from gammalearn.dl2 import check_input, write_dl2
from gammalearn.errors import EvaluationError, InputFileError
from gammalearn.evaluation import evaluate
from gammalearn.evaluation.events.reading import read_events
from gammalearn.evaluation.performance.production import read_productions
from gammalearn.inspection.info import describe
from gammalearn.io.lstchain_tables import DL2_EVENTS, PARAMETERS
from gammalearn.settings import EvaluationSettings, Experiment
from gammalearn.tasks import build_tasks

GAMMAS, DIFFUSE, PROTONS = (
    "gamma_lsts_run7_7.0.0_4tel",
    "gamma_diffuse_run10_6.0.0_4tel",
    "proton_run202_prod5_4tel",
)

LAYOUT = {"output": {"dl2_format": "lstchain"}}


@pytest.fixture
def make_dl2(tmp_path):
    """The DL2 file of a perfect network."""

    def make(path, **data):
        experiment = Experiment.model_validate({"data": {"grouping": "mono", **data}, **LAYOUT})
        index = EventIndex.build([path], experiment.data)
        tasks = build_tasks(experiment.tasks)
        outputs = {name: task.truth(index.events) for name, task in tasks.items()}
        outputs["particle_type"] = 10.0 * outputs["particle_type"] - 5
        made = tmp_path / f"{path.stem}.dl2.h5"
        write_dl2(index, tasks, outputs, made, experiment)
        return made, index

    return make


@pytest.mark.parametrize("name", [GAMMAS, DIFFUSE, PROTONS])
def test_the_true_direction_is_where_lstchain_sees_it(lstchain, make_dl2, name):
    """In DL1 with the equivalent focal length, in DL2 with the effective one."""
    path, _ = make_dl2(lstchain(name))
    events = read_table(path, DL2_EVENTS)
    optics = SubarrayDescription.from_hdf(path).tel[int(events["tel_id"][0])].optics
    assert len(events) == len(read_table(lstchain(name), PARAMETERS))
    scale = float(optics.effective_focal_length / optics.equivalent_focal_length)
    assert scale > 1.04
    for axis in "xy":
        expected = scale * events[f"src_{axis}"]
        np.testing.assert_allclose(events[f"reco_src_{axis}"], expected, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(
            events[f"reco_disp_d{axis}"], events[f"reco_src_{axis}"] - events[axis], rtol=1e-12
        )


def test_disp_is_that_of_lstchain(lstchain, make_dl2):
    """On axis, where no focal length matters."""
    path, _ = make_dl2(lstchain(GAMMAS))
    events = read_table(path, DL2_EVENTS)
    for name in ("disp_dx", "disp_dy", "disp_norm", "disp_sign"):
        seen = np.isfinite(events["x"])
        np.testing.assert_allclose(events[f"reco_{name}"][seen], events[name][seen], atol=1e-7)
    along = events["disp_dx"] * np.cos(events["psi"]) + events["disp_dy"] * np.sin(events["psi"])
    for name in ("skewness", "time_gradient"):
        np.testing.assert_array_equal(events[f"signed_{name}"], -np.sign(along) * events[name])


def test_values_stand_with_their_image(lstchain, make_dl2):
    path, index = make_dl2(lstchain(PROTONS), cuts={"image": ["hillas_intensity > 100"]})
    events = read_table(path, DL2_EVENTS)
    chosen = np.asarray(events["intensity"]) > 100
    assert 0 < chosen.sum() == len(index) < len(events)
    np.testing.assert_allclose(events["reco_energy"][chosen], events["mc_energy"][chosen])
    np.testing.assert_allclose(
        10 ** events["log_reco_energy"][chosen], events["reco_energy"][chosen]
    )
    for angle in ("alt", "az"):
        np.testing.assert_allclose(
            events[f"reco_{angle}"][chosen], events[f"mc_{angle}"][chosen], atol=1e-7
        )
    np.testing.assert_allclose(events["gammaness"][chosen], 1 / (1 + np.exp(5)))
    assert events["reco_type"][chosen].tolist() == [101] * len(index)
    for name in ("reco_energy", "reco_alt", "reco_disp_dx", "gammaness"):
        assert np.isnan(events[name][~chosen]).all()
    assert set(events["reco_type"][~chosen]) == {-1}


def test_the_rest_of_the_file_is_copied(lstchain, make_dl2):
    source = lstchain(GAMMAS)
    path, _ = make_dl2(source)
    with tables.open_file(source) as before, tables.open_file(path) as after:
        old, new = (
            {leaf._v_pathname: leaf[:] for leaf in file.walk_nodes("/", "Leaf")}
            for file in (before, after)
        )
        assert set(old) - set(new) == {PARAMETERS, "/dl1/event/telescope/image/LST_LSTCam"}
        assert set(new) - set(old) == {DL2_EVENTS}
        for name in set(old) & set(new):
            assert old[name].tobytes() == new[name].tobytes()
        for name in old[PARAMETERS].dtype.names:
            assert old[PARAMETERS][name].tobytes() == new[DL2_EVENTS][name].tobytes()
        units = {k: v for k, v in before.get_node(PARAMETERS).attrs.__dict__.items() if "UNIT" in k}
        assert units.items() <= after.get_node(DL2_EVENTS).attrs.__dict__.items()


def test_observation_of_lst1(lstchain, tmp_path):
    """No truth, nothing simulated; it cannot be evaluated."""
    path = tmp_path / "dl1_LST-1.Run02008.0000.h5"
    shutil.copyfile(lstchain(GAMMAS), path)
    path.chmod(0o644)
    with tables.open_file(path, "a") as file:
        table = file.get_node(PARAMETERS)
        kept = [n for n in table.colnames if not n.startswith(("mc_", "disp_", "src_"))]
        rows = table.read()
        dtypes = [*((name, rows.dtype[name]) for name in kept), ("dragon_time", float)]
        observed = np.empty(len(rows), dtype=dtypes)
        for name in kept:
            observed[name] = rows[name]
        observed["dragon_time"] = np.arange(len(rows))
        file.remove_node(PARAMETERS)
        file.create_table(*PARAMETERS.rsplit("/", 1), obj=observed)
        file.remove_node("/simulation", recursive=True)
    experiment = Experiment.model_validate({"data": {"grouping": "mono"}, **LAYOUT})
    index = EventIndex.build([path], experiment.data)
    tasks = build_tasks(experiment.tasks)
    outputs = {name: np.full((len(index), task.n_outputs), 0.1) for name, task in tasks.items()}
    made = tmp_path / "dl2.h5"
    write_dl2(index, tasks, outputs, made, experiment)
    events = read_table(made, DL2_EVENTS)
    np.testing.assert_allclose(events["reco_energy"], 10**0.1)
    assert events["dragon_time"].tolist() == list(range(13))
    assert not any(name.startswith("mc_") for name in events.colnames)
    # 0.1 deg along both axes of the sky, from where the telescope points.
    np.testing.assert_allclose(events["reco_alt"] - events["alt_tel"], np.deg2rad(0.1), rtol=2e-3)
    with pytest.raises(EvaluationError, match="no simulated truth"):
        read_events([made])


def test_info(lstchain, make_dl2):
    path, _ = make_dl2(lstchain(PROTONS), cuts={"image": ["hillas_intensity > 100"]})
    title, *lines = describe([path])[0].splitlines()
    assert title == f"{path}: lstchain DL2"
    said = {" ".join(line.split()) for line in lines}
    n_chosen = (read_table(path, DL2_EVENTS)["intensity"] > 100).sum()
    assert {"telescopes 1-4", "images 6", "proton 6 images"} <= said
    assert f"DL2 reco_energy {n_chosen} images" in said


def test_what_has_no_such_layout_is_refused(lstchain, data_dir):
    """Whole events, and files of other formats; ctapipe's DL2 is made of them all."""
    ctapipe = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    mono, stereo = ({"data": {"grouping": grouping}} for grouping in ("mono", "stereo"))
    for path in (ctapipe, lstchain(GAMMAS)):
        for data in (mono, stereo):
            check_input(path, Experiment.model_validate(data))
    check_input(lstchain(GAMMAS), Experiment.model_validate({**mono, **LAYOUT}))
    with pytest.raises(InputFileError, match="single telescopes: .*data.grouping=mono"):
        check_input(lstchain(GAMMAS), Experiment.model_validate({**stereo, **LAYOUT}))
    with pytest.raises(InputFileError, match="is ctapipe DL1, .*--format, output.dl2_format"):
        check_input(ctapipe, Experiment.model_validate({**mono, **LAYOUT}))


class TestEvaluation:
    def test_reads_what_was_written(self, lstchain, make_dl2):
        paths = [make_dl2(lstchain(name))[0] for name in (GAMMAS, PROTONS)]
        events = read_events(paths, parameters=["hillas_intensity"])
        assert len(events) == 19 and events.meta["level"] == "telescope"
        assert set(events.meta["algorithms"].values()) == {"GammaLearn"}
        assert events["particle"].tolist() == ["gamma"] * 13 + ["proton"] * 6
        for name in ("energy", "alt", "az"):
            true, reco = events[f"true_{name}"], events[f"reco_{name}"]
            np.testing.assert_allclose(reco.value, true.to_value(reco.unit), rtol=1e-6)
        dl1 = read_table(lstchain(PROTONS), PARAMETERS)
        np.testing.assert_array_equal(events["hillas_intensity"][13:], dl1["intensity"])
        np.testing.assert_allclose(
            events["pointing_alt"][13:].to_value(u.rad), dl1["alt_tel"], rtol=1e-6
        )
        # Four showers of gammas and two of protons.
        assert len(np.unique(events["shower"])) == 6

    def test_it_is_known_what_was_simulated(self, lstchain, make_dl2):
        """100 protons, 20 times each, from within 10 deg, on a circle of 2 km."""
        path, _ = make_dl2(lstchain(PROTONS))
        found = read_productions([path], read_events([path]))
        (production,), lacking = found.known, found.lacking
        assert lacking == {}
        assert production.particle == "proton"
        showers = production.showers
        assert (showers.n_showers, showers.spectral_index) == (2000, -2)
        assert (showers.max_impact, showers.viewcone_max) == (2000 * u.m, 10 * u.deg)
        np.testing.assert_allclose(
            [showers.energy_min.value, showers.energy_max.value], [0.03, 600]
        )

    @pytest.mark.usefixtures("blank_pictures")
    def test_of_random_forests_of_lstchain(self, lstchain, make_dl2, tmp_path):
        """Their files do not name an algorithm, and have no rows of events that were cut."""
        path, _ = make_dl2(lstchain(GAMMAS))
        with tables.open_file(path, "a") as file:
            for name in [n for n in file.root._v_attrs._f_list() if "GAMMALEARN" in n]:
                del file.root._v_attrs[name]
            file.get_node(DL2_EVENTS).remove_rows(0, 3)
        assert set(read_events([path]).meta["algorithms"].values()) == {"lstchain"}
        metrics = evaluate([path], tmp_path / "evaluation", EvaluationSettings())
        assert metrics and (tmp_path / "evaluation" / "report.html").exists()
