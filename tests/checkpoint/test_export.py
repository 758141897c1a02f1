"""Networks as ONNX, run by onnxruntime."""

import json

import numpy as np
import pytest
import torch

from gammalearn.camera import CameraType
from gammalearn.checkpoint.export import export_onnx
from gammalearn.checkpoint.trained import TrainedNetwork, build_network
from gammalearn.data import CameraImages
from gammalearn.errors import MissingPackageError, OutputError
from gammalearn.nn import IndexedConv
from gammalearn.settings import DataSettings, Experiment, NetworkSettings
from gammalearn.tasks import build_tasks

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the packages onnx and onnxruntime")

CHANNELS = ["charge", "peak_time", "has_charge"]
TASKS = ["particle_type", "energy", "direction", "impact"]


def camera(name, radius):
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    inside = np.abs(col - row) <= radius
    x, y = 0.05 * (col - row / 2)[inside], -0.05 * np.sqrt(0.75) * row[inside]
    return CameraType(name, x, y, "hexagonal", focal_length=28.0)


CAMERAS = [camera("LSTCam", 5), camera("NectarCam", 4)]


def untrained(**settings):
    torch.manual_seed(0)
    network = NetworkSettings(embedding=16, head=8, **settings)
    experiment = Experiment(network=network, data=DataSettings(channels=CHANNELS), tasks=TASKS)
    tasks = build_tasks(experiment.tasks)
    network = build_network(experiment, CAMERAS, tasks)
    # Statistics that folding has to take into account.
    for module in network.modules():
        if hasattr(module, "running_var"):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    if network.conditioning is not None:
        torch.nn.init.normal_(network.conditioning.modulation[-1].weight)
    return TrainedNetwork(network.eval(), tasks, CAMERAS, experiment, {}, {}, 0)


CONV4 = {"encoder": "conv4", "widths": [2, 4, 4, 4], "fusion": "mean"}

WITH_GEOMETRY = "gammaphysnet with geometry"

#: Each is translated once, which takes longer than all else here.
NETWORKS = {
    "conditioned conv4": {**CONV4, "condition": ["nsb", "bad_pixels", "pointing"]},
    "transformer": {"encoder": "transformer", "widths": [8], "blocks": 1, "fusion": "mean"},
    WITH_GEOMETRY: {
        **{"widths": [4, 8], "blocks": 1, "keypoints": 3},
        **{"parameters": "all", "geometry": True},
    },
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] * (name == WITH_GEOMETRY)) for name in NETWORKS
    ],
)
def exported(request, tmp_path_factory):
    trained = untrained(**NETWORKS[request.param])
    path = export_onnx(trained, tmp_path_factory.mktemp("onnx") / "network.onnx")
    return trained, onnxruntime.InferenceSession(path)


@pytest.mark.parametrize(
    "events",
    [
        ([0, 1, 1, 2], [0, 0, 2, 2, 1]),
        ([0], []),
        ([], [0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ([4, 1, 0, 2, 3], [4]),
    ],
    ids=["five cameras", "one image", "one camera", "mono"],
)
def test_output_is_that_of_the_network(exported, events):
    """For any number of events, images and cameras."""
    trained, session = exported
    torch.manual_seed(1)
    images = {}
    for one, event in zip(CAMERAS, events, strict=True):
        n = len(event)
        images[one.name] = CameraImages(
            torch.randn(n, len(CHANNELS), one.n_pixels),
            torch.tensor(event, dtype=torch.int64),
            100 * torch.randn(n, 3),
            0.1 * torch.randn(n, 2),
        )
        if trained.network.image_parameters:
            images[one.name].scalars = torch.randn(n, trained.network.n_scalars)
            vectors = torch.randn(n, len(trained.network.vectors), 2)
            vectors[:1] = torch.nan
            images[one.name].vectors = vectors
        if trained.network.with_pointing:
            images[one.name].sky = 0.3 * torch.randn(n, 3)
    n_events = 1 + max(max(event, default=0) for event in events)
    with torch.no_grad():
        present = {name: image for name, image in images.items() if len(image.event)}
        expected = trained.network(present, n_events)
    inputs = {
        f"{name}_{part}": tensor.numpy()
        for name, image in images.items()
        for part, tensor in vars(image).items()
        if tensor is not None
    }
    outputs = session.run(list(expected), {**inputs, "events": np.arange(n_events)})
    for name, output in zip(expected, outputs, strict=True):
        np.testing.assert_allclose(output, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_file_says_what_it_was_made_for(exported):
    trained, session = exported
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["gammalearn_settings"] == trained.experiment.to_yaml()
    cameras = [CameraType.from_dict(c) for c in json.loads(metadata["gammalearn_cameras"])]
    for one, other in zip(cameras, CAMERAS, strict=True):
        np.testing.assert_array_equal(one.pix_x, other.pix_x)
    assert [output.name for output in session.get_outputs()] == TASKS


@pytest.mark.parametrize("groups", [1, 4])
def test_convolutions_of_pixels_leave_the_native_loops_here(groups):
    """Which no other program has."""
    conv = IndexedConv(4, 4, CAMERAS[0].grid, groups=groups, backend="native").eval()
    program = torch.export.export(conv, (torch.zeros(2, 4, CAMERAS[0].n_pixels),), strict=False)
    operators = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert any("conv2d" in name for name in operators)
    assert not any("gammalearn" in name for name in operators)


def test_replaces_nothing_unasked(tmp_path):
    path = tmp_path / "network.onnx"
    path.write_text("years of work")
    with pytest.raises(OutputError, match="network.onnx' exists"):
        export_onnx(untrained(**CONV4), path)
    assert path.read_text() == "years of work"


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingPackageError, match="pip install onnx onnxscript"):
        export_onnx(untrained(**CONV4), tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())
