"""DL2 files: what the network said of each event, beside the triggers, as ctapipe has it."""

import resource
import shutil

import numpy as np
import pytest
import tables
from ctapipe.core import run_tool
from ctapipe.io import TableLoader
from ctapipe.tools.merge import MergeTool

from gammalearn.cli import main
from gammalearn.data import EventDataset, EventIndex
from gammalearn.dl2 import check_input, dl2_name, predict_outputs, write_dl2
from gammalearn.dl2.prediction import read_ahead
from gammalearn.errors import InputFileError, OutputError
from gammalearn.evaluation.events.reading import read_events
from gammalearn.evaluation.performance.production import read_productions
from gammalearn.nn import ReconstructionNetwork
from gammalearn.run.options import RunOptions
from gammalearn.run.reconstruction import predict
from gammalearn.settings import Experiment
from gammalearn.tasks import build_tasks


def experiment_for(grouping, tasks=None, **data):
    return Experiment.model_validate(
        {
            "data": {"grouping": grouping, **data},
            **({"tasks": tasks} if tasks else {}),
            "network": {"encoder": "conv4", "widths": [2, 2, 2, 2], "embedding": 8, "head": 4},
            "output": {"algorithm": "Net"},
        }
    )


@pytest.fixture
def make_dl2(data_dir, tmp_path):
    """Write the DL2 of a DL1 file with outputs that are known, one number an event and task."""

    def make(name, grouping, outputs=None, output=None, tasks=None, **data):
        source = data_dir / "dl1_ctapipe" / f"{name}.dl1.h5"
        experiment = experiment_for(grouping, tasks, **data)
        if output:
            experiment = experiment.model_copy(
                update={"output": experiment.output.model_copy(update=output)}
            )
        index = EventIndex.build([source], experiment.data, allow_empty=True)
        tasks = build_tasks(experiment.tasks)
        generator = np.random.default_rng(0)
        if outputs is None:
            outputs = {
                name: generator.normal(size=(len(index), task.n_outputs)).astype(np.float32)
                for name, task in tasks.items()
            }
        path = tmp_path / dl2_name(source)
        write_dl2(index, tasks, outputs, path, experiment)
        return source, path, index, outputs

    return make


def load(path, **options):
    return TableLoader(path, focal_length_choice="EQUIVALENT", **options)


@pytest.mark.parametrize(
    "name",
    [
        "proton_run202_prod5",
        "protons_prod5_merged",
        "gamma_lsts_run7_7.0.0",
        "lst_with_photons",
        "proton_run202_prod5.ctapipe0.19.3",
    ],
)
def test_every_event_of_the_dl1_has_its_row(make_dl2, name):
    source, path, _, _ = make_dl2(name, "stereo", min_multiplicity=2)
    with load(source) as dl1, load(path) as dl2:
        before, after = dl1.read_subarray_events(), dl2.read_subarray_events()
    for column in ("obs_id", "event_id", "true_energy", "true_alt"):
        assert np.array_equal(before[column], after[column])
    assert {"Net_energy", "Net_alt", "Net_az", "Net_prediction", "Net_core_x"} <= set(
        after.colnames
    )


def test_stereo_values_stand_with_their_event(make_dl2):
    _, path, index, outputs = make_dl2("proton_run202_prod5", "stereo", min_multiplicity=4)
    with load(path) as dl2:
        events = dl2.read_subarray_events()
        tel_ids = np.array(sorted(dl2.subarray.tel))
    assert 0 < len(index) < len(events)
    expected = {(int(row["obs_id"]), int(row["event_id"])): i for i, row in enumerate(index.events)}
    for event in events:
        row = expected.get((int(event["obs_id"]), int(event["event_id"])))
        assert event["Net_is_valid"] == (row is not None)
        if row is None:
            assert np.isnan(event["Net_energy"])
            assert np.isnan(event["Net_prediction"])
            assert not event["Net_telescopes"].any()
            continue
        assert event["Net_energy"] == pytest.approx(10 ** outputs["energy"][row, 0])
        gammaness = 1 / (1 + np.exp(-outputs["particle_type"][row, 0]))
        assert event["Net_prediction"] == pytest.approx(gammaness)
        used = index.images["tel_id"][index.images["event"] == row]
        assert set(tel_ids[event["Net_telescopes"]]) == set(used)


def test_mono_values_stand_with_their_image(make_dl2):
    _, path, index, outputs = make_dl2(
        "proton_run202_prod5", "mono", cuts={"image": ["hillas_intensity > 100"]}
    )
    expected = {
        tuple(int(row[k]) for k in ("obs_id", "event_id", "tel_id")): i
        for i, row in enumerate(index.events)
    }
    with load(path) as dl2:
        images = dl2.read_telescope_events()
    assert 0 < len(index) < len(images)
    n_valid = 0
    for image in images:
        row = expected.get(tuple(int(image[k]) for k in ("obs_id", "event_id", "tel_id")))
        assert image["Net_tel_is_valid"] == (row is not None)
        if row is not None:
            n_valid += 1
            assert image["Net_tel_energy"] == pytest.approx(10 ** outputs["energy"][row, 0])
            assert image["hillas_intensity"] > 100
    assert n_valid == len(index)


def test_units_and_ranges_are_those_of_ctapipe(make_dl2):
    _, path, _, _ = make_dl2("gamma_lsts_run7_7.0.0", "stereo")
    with load(path) as dl2:
        events = dl2.read_subarray_events()
    units = {"energy": "TeV", "alt": "deg", "az": "deg", "core_x": "m", "core_y": "m"}
    assert {name: str(events[f"Net_{name}"].unit) for name in units} == units
    assert np.all((events["Net_az"] >= 0) & (events["Net_az"] < 360))
    assert np.all((events["Net_prediction"] > 0) & (events["Net_prediction"] < 1))


@pytest.mark.parametrize("grouping", ["stereo", "mono"])
def test_uncertainties_are_in_the_columns_of_ctapipe(make_dl2, grouping):
    """With the name, unit and description that ctapipe's containers give them."""
    tasks = {name: {"uncertainty": True} for name in ("energy", "direction", "impact")}
    _, path, index, outputs = make_dl2("gamma_lsts_run7_7.0.0", grouping, tasks=tasks)
    with load(path) as dl2:
        stereo = grouping == "stereo"
        events = dl2.read_subarray_events() if stereo else dl2.read_telescope_events()
        prefix = "Net" if stereo else "Net_tel"
    assert len(events) == len(index)
    energy = events[f"{prefix}_energy_uncert"]
    expected = events[f"{prefix}_energy"] * np.log(10) * np.exp(outputs["energy"][:, 1])
    assert np.sort(energy) == pytest.approx(np.sort(expected), rel=1e-3)
    assert energy.description == "reconstructed energy uncertainty"
    units = {"energy": "TeV", "ang_distance": "deg", "core_x": "m", "core_y": "m"}
    for name in ("energy_uncert", "ang_distance_uncert", "core_uncert_x", "core_uncert_y"):
        column = events[f"{prefix}_{name}"]
        assert str(column.unit) == units[name.replace("_uncert", "")] and np.all(column > 0)


def test_images_are_left_out_unless_asked_for(make_dl2):
    source, path, _, _ = make_dl2("gamma_lsts_run7_7.0.0", "stereo")
    with tables.open_file(path) as file:
        assert "/dl1/event/telescope/images" not in file
        assert file.root._v_attrs["CTA PRODUCT DATA LEVELS"] == "DL1_PARAMETERS,DL2"
    _, path, _, _ = make_dl2("gamma_lsts_run7_7.0.0", "stereo", output={"dl1_images": True})
    with load(source) as dl1, load(path) as dl2:
        before = dl1.read_telescope_events([1], dl1_images=True)
        after = dl2.read_telescope_events([1], dl1_images=True)
    assert np.array_equal(before["image"], after["image"])


def test_a_file_without_selected_events_has_all_rows_invalid(make_dl2):
    for grouping, column in (("stereo", "Net_is_valid"), ("mono", "Net_tel_is_valid")):
        _, path, index, _ = make_dl2(
            "proton_run202_prod5", grouping, cuts={"event": ["true_energy > 1000"]}
        )
        assert len(index) == 0
        with load(path) as dl2:
            read = dl2.read_subarray_events if grouping == "stereo" else dl2.read_telescope_events
            events = read()
        assert len(events) == (6 if grouping == "stereo" else 36)
        assert not events[column].any()


def test_an_output_that_is_not_finite_is_invalid(make_dl2, data_dir):
    source = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    experiment = experiment_for("stereo")
    n_events = len(EventIndex.build([source], experiment.data))
    outputs = {
        name: np.zeros((n_events, task.n_outputs), dtype=np.float32)
        for name, task in build_tasks(experiment.tasks).items()
    }
    outputs["energy"][1] = np.nan
    _, path, _, _ = make_dl2("gamma_lsts_run7_7.0.0", "stereo", outputs=outputs)
    with tables.open_file(path) as file:
        energy = file.root.dl2.event.subarray.energy.Net
        assert energy.col("Net_is_valid").tolist() == [i != 1 for i in range(n_events)]
        assert file.root.dl2.event.subarray.geometry.Net.col("Net_is_valid").all()


def test_three_classes_have_their_probabilities(make_dl2):
    tasks = {"particle_type": {"classes": 3}}
    _, path, _, outputs = make_dl2("proton_run202_prod5", "stereo", tasks=tasks)
    with load(path) as dl2:
        events = dl2.read_subarray_events()
    odds = np.exp(outputs["particle_type"])
    names = ("Net_prediction", "Net_prediction_proton", "Net_prediction_electron")
    for column, name in enumerate(names):
        expected = odds[:, column] / odds.sum(axis=1)
        np.testing.assert_allclose(events[name], expected, rtol=1e-5)


ALL_TASKS = ["particle_type", "energy", "direction", "impact", "depth_of_maximum"]


def test_what_ctapipe_has_no_container_for_is_read_and_merged(make_dl2, tmp_path):
    """Beside all that it has one for."""
    made = {}
    for name in ("proton_run201_prod5", "proton_run202_prod5"):
        _, made[name], index, outputs = make_dl2(name, "stereo", tasks=ALL_TASKS)
    merged = tmp_path / "merged.dl2.h5"
    inputs = [str(path) for path in made.values()]
    assert run_tool(MergeTool(), [*inputs, "-o", str(merged)], cwd=tmp_path) == 0
    with load(merged) as dl2:
        events = dl2.read_subarray_events()
    assert events["Net_x_max"].unit == "g / cm2"
    expected = 100 * outputs["depth_of_maximum"][:, 0]
    np.testing.assert_allclose(events["Net_x_max"][-len(index) :], expected)
    assert events["Net_depth_of_maximum_is_valid"].all()
    assert events["Net_depth_of_maximum_telescopes"].any(axis=1).all()


def test_so_it_is_for_each_telescope(make_dl2):
    _, path, index, outputs = make_dl2("proton_run202_prod5", "mono", tasks=ALL_TASKS)
    with load(path) as dl2:
        images = dl2.read_telescope_events()
    valid = images["Net_tel_depth_of_maximum_is_valid"]
    assert np.isfinite(images["Net_tel_x_max"][valid]).all() and valid.sum() == len(index)
    expected = np.sort(100 * outputs["depth_of_maximum"][:, 0])
    np.testing.assert_allclose(np.sort(images["Net_tel_x_max"][valid]), expected)


def test_ctapipe_merges_the_files(make_dl2, tmp_path):
    _, first, _, _ = make_dl2("proton_run202_prod5", "stereo")
    _, second, _, _ = make_dl2("proton_run201_prod5", "stereo")
    merged = tmp_path / "merged.dl2.h5"
    assert run_tool(MergeTool(), [str(first), str(second), "-o", str(merged)], cwd=tmp_path) == 0
    with load(first) as a, load(second) as b, load(merged) as both:
        expected = [
            *a.read_subarray_events()["Net_energy"],
            *b.read_subarray_events()["Net_energy"],
        ]
        np.testing.assert_array_equal(both.read_subarray_events()["Net_energy"], expected)


def linked_and_copied(make_dl2, name="proton_run202_prod5"):
    """Two DL2 files of one DL1 file."""
    source, path, _, _ = make_dl2(name, "stereo", output={"truth": "link"})
    linked = path.rename(path.with_name(f"{name}.linked.dl2.h5"))
    return source, linked, make_dl2(name, "stereo")[1]


def test_linked_truth_is_read_and_merged_like_a_copy(make_dl2, tmp_path):
    _, linked, copied = linked_and_copied(make_dl2)
    assert linked.stat().st_size < 0.7 * copied.stat().st_size
    _, other, _ = linked_and_copied(make_dl2, "proton_run201_prod5")
    merged = tmp_path / "merged.dl2.h5"
    assert run_tool(MergeTool(), [str(linked), str(other), "-o", str(merged)], cwd=tmp_path) == 0
    with load(linked) as a, load(copied) as b, load(merged) as both:
        for read in ("read_subarray_events", "read_telescope_events"):
            ours, expected, of_both = (getattr(loader, read)() for loader in (a, b, both))
            assert ours.colnames == expected.colnames
            for column in ("event_id", "true_energy", "true_az"):
                assert np.array_equal(ours[column], expected[column])
            found = of_both[of_both["obs_id"] == 202]
            assert np.array_equal(found["true_energy"], expected["true_energy"])
            assert len(of_both) > len(found)
        for read in ("read_simulation_configuration", "read_shower_distribution"):
            assert getattr(a, read)().colnames == getattr(b, read)().colnames
    events = read_events([linked])
    assert np.array_equal(events["true_energy"], read_events([copied])["true_energy"])
    (production,) = read_productions([linked], events).known
    assert production.showers.n_showers == 2000


def test_truth_is_linked_by_an_option(data_dir, checkpoint, tmp_path):
    source = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    file = checkpoint(source)
    command = ["predict", str(file), str(source), "-q", "--link-truth", "-o", str(tmp_path)]
    assert main(command) == 0
    with tables.open_file(tmp_path / dl2_name(source)) as made:
        for group in ("/simulation", "/configuration/simulation"):
            assert made.get_node(group).target == f"{source.resolve()}:{group}"


def test_truth_that_is_linked_and_gone_is_missed(data_dir, make_dl2, tmp_path):
    """What has no truth of ctapipe's is refused beforehand."""
    source, linked, _ = linked_and_copied(make_dl2)
    with tables.open_file(linked, "a") as file:
        file.remove_node("/simulation")
        file.create_external_link("/", "simulation", f"{tmp_path}/gone.h5:/simulation")
    with pytest.raises(InputFileError, match="its truth in '.*gone.h5', which is not there"):
        read_events([linked])
    experiment = Experiment.model_validate({"output": {"truth": "link"}})
    check_input(source, experiment)
    lstchain = data_dir / "dl1_lstchain" / "dl1_proton_run202_prod5_4tel.h5"
    with pytest.raises(InputFileError, match="is lstchain DL1: .*--link-truth, output.truth"):
        check_input(lstchain, experiment)


def test_nothing_is_half_written(make_dl2, data_dir, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr("gammalearn.dl2.writer.write_table", fail)
    with pytest.raises(OutputError, match="No space left"):
        make_dl2("gamma_lsts_run7_7.0.0", "stereo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("node", "name", "value"),
    [
        ("/simulation/event/telescope/images/tel_002", "CTAFIELD_3_NAME", b"\xff\xfe"),
        ("/simulation/event/telescope/impact", "CLASS", np.nan),
        ("/dl1/event/telescope/parameters/tel_004", "FIELD_10_FILL", np.arange(5)),
    ],
)
def test_damage_that_shows_as_it_is_copied_is_one_sentence(
    data_dir, tmp_path, capfd, node, name, value
):
    """Attributes that ctapipe and PyTables stumble over, of tables that nothing else reads."""
    path = tmp_path / "odd.dl1.h5"
    shutil.copyfile(data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5", path)
    with tables.open_file(path, "a") as file:
        file.get_node(node)._v_attrs[name] = value
    assert main(["predict", "lst4-stereo", str(path), "-o", str(tmp_path / "out"), "-q"]) == 2
    said = capfd.readouterr().err
    assert f"gammalearn: '{path}' is damaged: " in said and "Traceback" not in said
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("share", [0.1, 0.9, 0.9999])
def test_a_full_disk_is_one_sentence(data_dir, tmp_path, share):
    """While DL1 is copied, by another process, when the events are added, or at the very end."""
    source = data_dir / "dl1_ctapipe" / "proton_run202_prod5.dl1.h5"
    experiment = experiment_for("stereo")
    index = EventIndex.build([source], experiment.data)
    tasks = build_tasks(experiment.tasks)
    outputs = {name: np.zeros((len(index), task.n_outputs)) for name, task in tasks.items()}
    whole, path = tmp_path / "whole.h5", tmp_path / "a.dl2.h5"
    write_dl2(index, tasks, outputs, whole, experiment)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = int(share * whole.stat().st_size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"a.dl2.h5' cannot be written \(.*disk full"):
            write_dl2(index, tasks, outputs, path, experiment)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [whole]


@pytest.mark.parametrize(
    ("dl1", "dl2"),
    [
        ("gamma.dl1.h5", "gamma.dl2.h5"),
        ("a/b/gamma_6.0.0.dl1.h5", "gamma_6.0.0.dl2.h5"),
        ("gamma.h5", "gamma.dl2.h5"),
        ("gamma.hdf5", "gamma.dl2.h5"),
    ],
)
def test_names(dl1, dl2):
    assert dl2_name(dl1) == dl2


def test_read_ahead_gives_the_same():
    """One batch before it is asked for, and an error in its place."""
    read = []

    def batches():
        for number in range(5):
            read.append(number)
            yield number
        raise InputFileError("damaged")

    used = []
    with pytest.raises(InputFileError, match="damaged"):
        for batch in read_ahead(batches()):
            used.append(batch)
    assert read == used == list(range(5))
    assert list(read_ahead(iter("abc"))) == ["a", "b", "c"]
    assert list(read_ahead([])) == []


@pytest.mark.parametrize("batch_size", [1, 4, 5, 7, 100])
def test_every_event_is_predicted_whatever_the_batch_size(data_dir, batch_size):
    """The last batch, which may be smaller, too; each event by itself gives the reference."""
    experiment = experiment_for("stereo")
    source = data_dir / "dl1_ctapipe" / "protons_prod5_merged.dl1.h5"
    index = EventIndex.build([source], experiment.data)
    tasks = build_tasks(experiment.tasks)
    sizes = {name: task.n_outputs for name, task in tasks.items()}
    network = ReconstructionNetwork(index.cameras, 2, sizes, experiment.network).eval()
    outputs = predict_outputs(network, tasks, index, experiment.data, batch_size, progress=False)
    dataset = EventDataset(index, experiment.data)
    for row in range(len(index)):
        batch = dataset[row]
        for name, value in network(batch.images, 1).items():
            np.testing.assert_allclose(
                outputs[name][row], value.detach().numpy()[0], rtol=1e-4, atol=1e-5
            )
    dataset.close()


@pytest.mark.parametrize(("grouping", "multiplicity"), [("stereo", 2), ("mono", 1)])
def test_files_have_each_trigger_once_whatever_the_batch_size(
    data_dir, tmp_path, checkpoint, grouping, multiplicity
):
    """Of sizes that do not divide the number: 3 of 4 events, or 10 of 13 images, have results."""
    source = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    cuts = {"cuts": {"image": ["hillas_intensity > 80"]}, "min_multiplicity": multiplicity}
    found = []
    for batch_size in (1, 2, 100):
        file = checkpoint(source, batch_size=batch_size, grouping=grouping, **cuts)
        folder = tmp_path / str(batch_size)
        (path,) = predict(file, [str(source)], folder, RunOptions(progress=False))
        with load(source) as dl1, load(path) as dl2:
            read = f"read_{'subarray' if grouping == 'stereo' else 'telescope'}_events"
            triggers, events = getattr(dl1, read)(), getattr(dl2, read)()
        keys = [name for name in ("obs_id", "event_id", "tel_id") if name in events.colnames]
        assert np.array_equal(events[keys], triggers[keys])
        assert len(np.unique(np.asarray(events[keys]))) == len(events)
        found.append(events)
    prefix = "Net" if grouping == "stereo" else "Net_tel"
    for events in found:
        valid = np.isfinite(events[f"{prefix}_energy"])
        assert (valid.sum(), len(events)) == ((3, 4) if grouping == "stereo" else (10, 13))
        assert np.all(events[f"{prefix}_prediction"][valid] > 0), "no row is left as it was made"
        for name in ("energy", "prediction", "alt", "core_x"):
            column = f"{prefix}_{name}"
            np.testing.assert_allclose(events[column], found[0][column], rtol=2e-4, atol=1e-4)


class TestInputsThatCannotBeUsed:
    """`predict --set data.on_error=skip` leaves them out by name, and goes on."""

    GAMMAS = "gamma_lsts_run7_7.0.0"

    @pytest.fixture
    def dl1(self, data_dir):
        return lambda name: data_dir / "dl1_ctapipe" / f"{name}.dl1.h5"

    def test_files(self, dl1, checkpoint, tmp_path, capsys):
        """No HDF5, and without the telescopes of the network."""
        good, others = dl1(self.GAMMAS), dl1("proton_run201_prod5")
        text = tmp_path / "text.dl1.h5"
        text.write_text("no HDF5")
        file = checkpoint(good, telescopes=["LSTS-design"])
        command = ["predict", file, text, good, others, "-o", tmp_path / "dl2"]
        assert main([str(word) for word in command]) == 2
        assert not (tmp_path / "dl2").exists()
        capsys.readouterr()
        assert main([*(str(word) for word in command), "--set", "data.on_error=skip"]) == 0
        told = capsys.readouterr()
        made = tmp_path / "dl2" / dl2_name(good)
        assert told.out == f"{made}\n" and list(made.parent.iterdir()) == [made]
        for path in (text, others):
            assert (
                f"Skipped: '{path}'" in told.err
                or f"no telescope 'LSTS-design' in '{path}'" in told.err
            )

    def test_events_of_a_file_that_ends_too_early(self, dl1, checkpoint, tmp_path, capsys):
        """DL2 of the other events can be evaluated."""
        path = tmp_path / "cut.dl1.h5"
        shutil.copyfile(dl1(self.GAMMAS), path)
        path.chmod(0o644)
        with tables.open_file(path, "a") as file:
            file.root.simulation.event.subarray.shower.remove_rows(3, 4)
        network = checkpoint(dl1(self.GAMMAS))
        command = ["predict", str(network), str(path), "-q", "-o", str(tmp_path / "dl2")]
        assert main(command) == 2
        assert "1 of 4 events without a row" in capsys.readouterr().err
        assert main([*command, "--set", "data.on_error=skip"]) == 0
        events = read_events([tmp_path / "dl2" / dl2_name(path)])
        assert len(events) == 3 and events["energy_is_valid"].all()
        assert "1 of 4 events of cut.dl2.h5 lack their truth" in events.meta["notes"][0]
