"""Networks on a GPU, against the IndexedConv package's layers on the CPU in double precision."""

import copy

import pytest
import torch

from gammalearn.nn import for_inference
from gammalearn.nn.encoders import build_encoder
from gammalearn.settings import NetworkSettings

from .test_encoders import hexagon

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

N_CHANNELS, N_IMAGES = 2, 8


@pytest.fixture(autouse=True)
def single_precision():
    """Convolutions in single precision and not in TF32, which torch takes on a GPU."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


def on_both(encoder, backend):
    """The network of the package on the CPU, the same on a GPU, and images."""
    torch.manual_seed(1)
    grid = hexagon(9)
    reference = build_encoder(
        NetworkSettings(encoder=encoder, backend="indexedconv"), grid, N_CHANNELS
    )
    network = build_encoder(NetworkSettings(encoder=encoder, backend=backend), grid, N_CHANNELS)
    network.load_state_dict(reference.state_dict())
    images = torch.randn(N_IMAGES, N_CHANNELS, grid.n_pixels)
    return reference.double(), network.cuda(), images


def relative(ours, expected):
    return ((ours.double().cpu() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("backend", ["auto", "dense", "gather", "indexedconv"])
@pytest.mark.parametrize("encoder", ["conv4", "gammaphysnet", "transformer"])
def test_outputs_and_gradients_are_those_of_the_cpu(encoder, backend):
    reference, network, images = on_both(encoder, backend)
    expected, ours = reference(images.double()), network(images.cuda())
    assert relative(ours, expected) < 1e-5
    expected.square().sum().backward()
    ours.square().sum().backward()
    gradients = dict(reference.named_parameters())
    largest = max(parameter.grad.norm() for parameter in gradients.values())
    for name, parameter in network.named_parameters():
        difference = (parameter.grad.double().cpu() - gradients[name].grad).norm()
        assert difference < 1e-4 * max(gradients[name].grad.norm(), 1e-2 * largest), name


@pytest.mark.parametrize("encoder", ["conv4", "gammaphysnet"])
def test_folded_networks_give_the_same_in_evaluation(encoder):
    reference, network, images = on_both(encoder, "auto")
    for _ in range(3):  # so that the statistics of normalisations are no longer 0 and 1
        reference(images.double() + 1)
    network.load_state_dict(reference.state_dict())
    with torch.inference_mode():
        expected = reference.eval()(images.double())
        assert relative(for_inference(network)(images.cuda()), expected) < 1e-5


@pytest.mark.parametrize("mode", [None, "default", "reduce-overhead"])
def test_half_precision_and_compilation_change_no_more_than_rounding(mode):
    reference, network, images = on_both("gammaphysnet", "auto")
    expected = copy.deepcopy(reference)(images.double())
    model = torch.compile(network, mode=mode) if mode else network
    with torch.autocast("cuda", torch.bfloat16):
        ours = model(images.cuda())
    assert ours.dtype == torch.bfloat16
    assert relative(ours, expected) < 5e-2
