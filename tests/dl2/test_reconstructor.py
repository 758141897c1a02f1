"""The plug-in within ctapipe-process gives what `gammalearn predict` gives, value by value."""

import shutil

import astropy.units as u
import numpy as np
import pytest
import torch
import yaml
from astropy.table import Table
from astropy.time import Time
from ctapipe.core import ToolConfigurationError, run_tool
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import EventSource, TableLoader, write_table
from ctapipe.reco import Reconstructor
from ctapipe.tools.process import ProcessorTool

from gammalearn.checkpoint.trained import KEY, add_event_classes, load_checkpoint
from gammalearn.data import EventIndex
from gammalearn.data.readers.bad_pixels import COEFFICIENTS
from gammalearn.data.readers.ctapipe_event import CtapipeEventReader
from gammalearn.dl2 import predict_outputs
from gammalearn.dl2.reconstructor import GammaLearnReconstructor
from gammalearn.errors import InputFileError
from gammalearn.run.options import RunOptions
from gammalearn.run.reconstruction import predict
from gammalearn.tasks import EventClasses

#: Of float32: a batch of many events is summed in another order than one event alone.
RTOL, ATOL = 2e-4, 1e-5


@pytest.fixture(scope="module")
def dl1(data_dir):
    return data_dir / "dl1_ctapipe" / "proton_run202_prod5.dl1.h5"


@pytest.fixture(scope="module")
def lsts(data_dir):
    return data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


@pytest.fixture
def process(tmp_path, pytestconfig):
    """Function that runs ctapipe-process with a shipped configuration."""

    def run(source, checkpoint, *words, shipped="stereo"):
        output = tmp_path / "process.dl2.h5"
        argv = ["--config", pytestconfig.rootpath / "docs" / "ctapipe" / f"{shipped}.yaml"]
        argv += [f"--GammaLearnReconstructor.checkpoint={checkpoint}"]
        argv += ["--input", source, "--output", output, *words]
        run_tool(ProcessorTool(), [str(word) for word in argv], cwd=tmp_path, raises=True)
        return output

    return run


def events_of(path, level="subarray"):
    with TableLoader(path, focal_length_choice="EQUIVALENT") as loader:
        if level == "subarray":
            return loader.read_subarray_events(dl2=True)
        return loader.read_telescope_events(dl2=True)


def assert_same(ours, theirs, keys, prefix="Net", other="Net"):
    """The same rows and values by ``prefix`` in one table and ``other`` in the other."""
    for key in keys:
        assert np.array_equal(ours[key], theirs[key])
    for name in ("energy", "alt", "az", "core_x", "core_y", "prediction"):
        one, two = u.Quantity(ours[f"{prefix}_{name}"]), u.Quantity(theirs[f"{other}_{name}"])
        assert one.unit == two.unit
        np.testing.assert_allclose(one.value, two.value, rtol=RTOL, atol=ATOL, err_msg=name)
    # Each of the three quantities has such a column; loaders number them.
    valid = [name for name in theirs.colnames if name.startswith(f"{other}_is_valid")]
    for name in valid:
        assert np.array_equal(ours[name.replace(other, prefix)], theirs[name])


def test_predictions_for_events_are_those_of_predict(lsts, checkpoint, process, tmp_path):
    cuts = {
        "image": ["hillas_intensity > 60"],
        "telescope": {"LST": ["leakage_pixels_width_2 < 1"]},
    }
    file = checkpoint(lsts, cuts=cuts, min_multiplicity=3)
    (expected,) = predict(file, [str(lsts)], tmp_path / "predict", RunOptions(progress=False))
    ours, theirs = events_of(process(lsts, file)), events_of(expected)
    assert_same(ours, theirs, ["obs_id", "event_id"])
    assert np.array_equal(ours["Net_telescopes"], theirs["Net_telescopes"])
    for kind in ("energy", "geometry", "particle_type"):
        # By which ctapipe's tools for instrument responses tell the quantities apart.
        for events in (ours, theirs):
            assert np.array_equal(events[f"Net_{kind}_telescopes"], events["Net_telescopes"])
    assert 0 < np.sum(theirs["Net_is_valid"]) < len(theirs)


def test_predictions_for_images_are_those_of_predict(lsts, checkpoint, process, tmp_path):
    file = checkpoint(lsts, grouping="mono", cuts={"image": ["hillas_intensity > 60"]})
    (expected,) = predict(file, [str(lsts)], tmp_path / "predict", RunOptions(progress=False))
    ours = events_of(process(lsts, file, shipped="mono"), "telescope")
    theirs = events_of(expected, "telescope")
    assert_same(ours, theirs, ["obs_id", "event_id", "tel_id"], "Net_tel", "Net_tel")
    assert 0 < np.sum(theirs["Net_tel_is_valid"]) < len(theirs)


def test_conditions_and_event_classes_are_those_of_predict(lsts, checkpoint, process, tmp_path):
    direction = {"uncertainty": True, "event_classes": 2}
    tasks = {"particle_type": {}, "energy": {}, "direction": direction, "impact": {}}
    file = checkpoint(lsts, condition=["nsb", "bad_pixels", "pointing"], tasks=tasks)
    add_event_classes(file, EventClasses.fit(None, np.linspace(0.1, 3, 50), [0.5]))
    (expected,) = predict(file, [str(lsts)], tmp_path / "predict", RunOptions(progress=False))
    ours, theirs = events_of(process(lsts, file)), events_of(expected)
    assert_same(ours, theirs, ["obs_id", "event_id"])
    error, found = ours["Net_ang_distance_uncert"].quantity.to_value("deg"), ours["Net_event_class"]
    by_hand = np.where(np.isfinite(error), error <= 1.55, -1)
    # Of float32: an error next to the limit may be on either side.
    clear = ~(np.abs(error - 1.55) < 1e-3)
    np.testing.assert_array_equal(found[clear], by_hand[clear])
    np.testing.assert_array_equal(found[clear], theirs["Net_event_class"][clear])
    (plain,) = predict(
        checkpoint(lsts), [str(lsts)], tmp_path / "plain", RunOptions(progress=False)
    )
    assert not np.allclose(events_of(plain)["Net_energy"], theirs["Net_energy"], equal_nan=True)


@pytest.mark.parametrize(
    "data",
    [
        {"telescopes": ["LST"]},
        {"cuts": {"event": ["true_energy > 1", "multiplicity_MST > 1"]}},
        {"channels": ["charge", "absolute_peak_time", "has_charge"], "peak_time_threshold": 5},
        {"channels": ["charge", "cleaning_mask"], "cleaning": {"applied_to": ["charge"]}},
        {
            "channels": ["charge", "cleaning_mask"],
            "cleaning": {"method": "tailcuts_clean", "parameters": {"picture_thresh": 8}},
        },
    ],
)
def test_settings_of_the_data_act_as_in_predict(dl1, checkpoint, data):
    trained = load_checkpoint(checkpoint(dl1, **data))
    index = EventIndex.build([dl1], trained.experiment.data, trained.cameras)
    outputs = predict_outputs(
        trained.network, trained.tasks, index, trained.experiment.data, 8, progress=False
    )
    expected = dict(zip(index.events["event_id"], outputs["energy"][:, 0], strict=True))
    with EventSource(dl1) as source:
        reconstruct = GammaLearnReconstructor(source.subarray, checkpoint=checkpoint(dl1, **data))
        for event in source:
            reconstruct(event)
            found = event.dl2.stereo.energy["Net"]
            known = expected.get(event.index.event_id, np.nan)
            assert found.is_valid == np.isfinite(known)
            np.testing.assert_allclose(np.log10(found.energy.value), known, rtol=RTOL, atol=ATOL)
    assert np.isfinite(list(expected.values())).all() and expected


def test_parameters_that_the_events_lack_are_computed(dl1, checkpoint):
    """As where files lack them: here of events without any parameters."""
    file = checkpoint(dl1, cuts={"image": ["hillas_intensity > 100"]})
    with EventSource(dl1) as source:
        reconstruct = GammaLearnReconstructor(source.subarray, checkpoint=file)
        for event in source:
            reconstruct(event)
            with_parameters = event.dl2.stereo.energy["Net"]
            for tel in event.dl1.tel.values():
                tel.parameters = None
            reconstruct(event)
            # Of the same images, cleaned by ctapipe with about the same settings.
            assert event.dl2.stereo.energy["Net"].is_valid == with_parameters.is_valid


def test_raw_and_simulated_events_are_reconstructed(data_dir, checkpoint, process, tmp_path):
    """What ctapipe makes of raw waveforms is at once what it wrote to the DL1 file."""
    pytest.importorskip("eventio")
    simtel = data_dir / "simtel" / "gamma_lsts_run7_7.0.0.simtel.zst"
    file = checkpoint(simtel)
    # Another name: what is there already would be predicted anew.
    named = ["--write-images", "--GammaLearnReconstructor.prefix=Process"]
    found = process(simtel, file, *named)
    (expected,) = predict(file, [str(found)], tmp_path / "predict", RunOptions(progress=False))
    ours = events_of(found)
    assert len(ours) and np.all(ours["Process_is_valid_1"])
    assert_same(ours, events_of(expected), ["event_id"], "Process")

    settings = {"particle": "gamma", "array": "lst4", "n_showers": 3, "energy": [0.5, 1]}
    simulation = tmp_path / "gamma.simulation.yaml"
    simulation.write_text(yaml.safe_dump({**settings, "seed": 2}))
    found = process(simulation, file, *named, "--overwrite")
    (expected,) = predict(file, [str(found)], tmp_path / "again", RunOptions(progress=False))
    ours = events_of(found)
    assert len(ours) and np.all(ours["Process_is_valid_1"])
    assert_same(ours, events_of(expected), ["event_id"], "Process")


def test_quality_criteria_leave_out_further_images(dl1, checkpoint):
    file = checkpoint(dl1, grouping="mono")
    config = {"quality_criteria": [("light", "parameters.hillas.intensity > 200")]}
    with EventSource(dl1) as source:
        reconstruct = GammaLearnReconstructor(source.subarray, checkpoint=file)
        reconstruct.quality_query = type(reconstruct.quality_query)(**config)
        n_valid = 0
        for event in source:
            reconstruct(event)
            for tel_id, tel in event.dl2.tel.items():
                bright = event.dl1.tel[tel_id].parameters.hillas.intensity > 200
                assert tel.energy["Net"].is_valid == bright
                n_valid += bright
    assert 0 < n_valid < 36


def test_the_results_may_have_another_name(dl1, checkpoint):
    with EventSource(dl1) as source:
        reconstruct = GammaLearnReconstructor(
            source.subarray, checkpoint=checkpoint(dl1), prefix="Other"
        )
        event = next(iter(source))
        reconstruct(event)
    assert list(event.dl2.stereo.energy) == ["Other"]
    assert event.dl2.stereo.energy["Other"].prefix == "Other"


def test_broken_pixels_of_observed_events_are_missing(dl1):
    with EventSource(dl1) as source:
        event = next(iter(source))
        tel_id = next(iter(event.dl1.tel))
        image = event.dl1.tel[tel_id].image
        mask = np.zeros((2, len(image)), dtype=bool)
        mask[1, 7] = True
        event.monitoring.tel[tel_id].camera.coefficients.outlier_mask = mask
        simulated = CtapipeEventReader(event, source.subarray).pixels(tel_id, [0], ["charge"])
        assert np.array_equal(simulated["charge"][0], image)
        event.simulation = None
        observed = CtapipeEventReader(event, source.subarray).pixels(tel_id, [0], ["charge"])
    assert np.flatnonzero(np.isnan(observed["charge"][0])).tolist() == [7]
    assert not np.isnan(image).any()


def test_broken_pixels_of_a_file_are_missing_as_in_predict(lsts, checkpoint, process, tmp_path):
    """A fifth of the pixels of one telescope, as ctapipe-merge would bring them into the file."""
    flagged = tmp_path / "flagged.dl1.h5"
    shutil.copyfile(lsts, flagged)
    flagged.chmod(0o644)
    mask = np.random.default_rng(0).uniform(size=(1, 1, 1855)) < 0.2
    coefficients = Table({"time": Time([0], format="unix_tai"), "outlier_mask": mask})
    write_table(coefficients, flagged, f"{COEFFICIENTS}/tel_001")

    file = checkpoint(lsts, grouping="mono")
    options = RunOptions(progress=False)
    expected, whole = predict(file, [str(flagged), str(lsts)], tmp_path / "predict", options)
    ours = events_of(process(flagged, file, shipped="mono"), "telescope")
    theirs, whole = events_of(expected, "telescope"), events_of(whole, "telescope")
    assert_same(ours, theirs, ["obs_id", "event_id", "tel_id"], "Net_tel", "Net_tel")
    changed = ~np.isclose(theirs["Net_tel_energy"], whole["Net_tel_energy"], rtol=RTOL)
    assert set(theirs["tel_id"][changed]) == {1}


def test_ctapipe_knows_the_plug_in_by_its_name():
    assert Reconstructor.non_abstract_subclasses()["GammaLearnReconstructor"] is (
        GammaLearnReconstructor
    )


def test_events_without_images_are_refused(data_dir, dl1, checkpoint, process):
    bare = data_dir / "dl1_ctapipe" / "proton_run202_prod5.params_only.dl1.h5"
    with pytest.raises(InputFileError, match="no DL1 images; give ctapipe a file with images"):
        process(bare, checkpoint(dl1))


def test_what_cannot_work_is_refused_before_the_first_event(lsts, dl1, checkpoint, tmp_path):
    subarray = SubarrayDescription.from_hdf(dl1, focal_length_choice="EQUIVALENT")
    with pytest.raises(ToolConfigurationError, match="checkpoint is not set"):
        GammaLearnReconstructor(subarray)
    with pytest.raises(ToolConfigurationError, match="camera of 1764 pixels .* not trained on"):
        GammaLearnReconstructor(subarray, checkpoint=checkpoint(lsts))
    with pytest.raises(ToolConfigurationError, match="no telescope 99"):
        file = checkpoint(dl1, telescopes=["LST"])
        state = torch.load(file, weights_only=True)
        state[KEY]["settings"] = state[KEY]["settings"].replace("- LST", "- 99")
        torch.save(state, file)
        GammaLearnReconstructor(subarray, checkpoint=file)
    with pytest.raises(ToolConfigurationError, match="does not exist"):
        GammaLearnReconstructor(subarray, checkpoint=tmp_path / "none.ckpt")
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(checkpoint(dl1).read_bytes()[:1000])
    with pytest.raises(ToolConfigurationError, match="damaged"):
        GammaLearnReconstructor(subarray, checkpoint=damaged)
