"""A network of waveforms from the command line: trained, shown, used, exported, refused."""

import numpy as np
import pytest
import tables
import yaml

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.cli import main
from gammalearn.data import EventDataset, EventIndex
from gammalearn.errors import SettingsError
from gammalearn.settings import Experiment
from gammalearn.settings.reading import override

NAME = "gamma_lsts_run7_7.0.0"


@pytest.fixture(scope="module")
def simtel(data_dir):
    return data_dir / "simtel" / f"{NAME}.simtel.zst"


@pytest.fixture(scope="module")
def experiment(simtel, tmp_path_factory):
    """Settings file of a tiny network, and the folder of its run."""
    folder = tmp_path_factory.mktemp("waveforms")
    values = {
        "data": {
            "train": [str(simtel)],
            "test": [str(simtel)],
            "input": "waveforms",
            "samples": 40,
            "augmentation": {"rotations": True, "pixel_dropout": 0.1},
        },
        "network": {
            "encoder": "conv4",
            "widths": [2] * 4,
            "embedding": 8,
            "head": 8,
            "temporal_channels": 2,
            "condition": ["nsb"],
        },
        "tasks": ["energy"],
        "training": {"epochs": 2, "accelerator": "cpu", "batch_size": 2, "workers": 0},
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(values))
    return folder / "my.yaml", folder / "run"


@pytest.fixture(scope="module")
def best(experiment):
    settings, output = experiment
    assert main(["-q", "run", str(settings), "--output", str(output)]) == 0
    return output / "checkpoints" / "best.ckpt"


@pytest.mark.usefixtures("blank_pictures")
def test_the_network_sees_the_samples(best):
    trained = load_checkpoint(best)
    (encoder,) = trained.network.encoders.values()
    assert encoder.temporal.n_samples == 40
    index = EventIndex.build(trained.trained_on.files, trained.experiment.data, trained.cameras)
    (images,) = EventDataset(index, trained.experiment.data)[[0]].images.values()
    pixels = images.pixels.requires_grad_()
    encoder(pixels).sum().backward()
    assert pixels.grad[:, 2:].abs().sum() > 0


@pytest.mark.usefixtures("blank_pictures")
def test_is_told_by_check_and_info(experiment, best, capsys):
    assert main(["check", str(experiment[0])]) == 0
    assert main(["info", str(best)]) == 0
    assert "40 samples, as 2 channels" in capsys.readouterr().out


@pytest.mark.usefixtures("blank_pictures")
def test_prediction_gives_dl2_without_waveforms(best, simtel, tmp_path):
    assert main(["-q", "predict", str(best), str(simtel), "-o", str(tmp_path)]) == 0
    with tables.open_file(tmp_path / f"{NAME}.dl2.h5") as file:
        energy = file.root.dl2.event.subarray.energy.GammaLearn.col("GammaLearn_energy")
        assert np.isfinite(energy).all() and len(energy) == 4
        assert "/r1" not in file
        assert "R1" not in file.root._v_attrs["CTA PRODUCT DATA LEVELS"].split(",")


@pytest.mark.usefixtures("blank_pictures")
def test_a_file_without_waveforms_is_refused(best, dl1, tmp_path, capsys):
    assert main(["-q", "predict", str(best), str(dl1(NAME)), "-o", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "holds no waveforms (R1) of telescope" in told and "Traceback" not in told


@pytest.mark.slow
@pytest.mark.usefixtures("blank_pictures")
def test_onnx_gives_the_same(best, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "my.onnx"
    assert main(["-q", "export", str(best), "-o", str(path)]) == 0
    trained = load_checkpoint(best)
    index = EventIndex.build(trained.trained_on.files, trained.experiment.data, trained.cameras)
    batch = EventDataset(index, trained.experiment.data)[np.arange(len(index))]
    session = runtime.InferenceSession(str(path))
    inputs = {"events": np.arange(batch.n_events)}
    for name, images in batch.images.items():
        inputs |= {f"{name}_{k}": v.numpy() for k, v in vars(images).items() if v is not None}
    wanted = {one.name for one in session.get_inputs()}
    (found,) = session.run(None, {k: v for k, v in inputs.items() if k in wanted})
    expected = trained.network(batch.images, batch.n_events)["energy"].detach()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("data.augmentation.nsb=1", "not the samples of waveforms"),
        ("data.augmentation.time_jitter=1", "not the samples of waveforms"),
    ],
)
def test_what_cannot_be_done_with_samples_is_refused(assignment, words):
    with pytest.raises(SettingsError, match=words):
        override(Experiment(data={"input": "waveforms"}), [assignment])


def test_a_network_of_parameters_alone_sees_no_samples():
    values = {"encoder": "none", "parameters": "all"}
    with pytest.raises(ValueError, match="sees no pixels"):
        Experiment(data={"input": "waveforms", "channels": []}, network=values)
