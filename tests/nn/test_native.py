"""The native backend: compiled convolutions, against sums over neighbours written out."""

import copy
import io

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numba import carray
from torch import library

from gammalearn.camera import PixelGrid
from gammalearn.camera.lattice import LatticeError
from gammalearn.nn import native
from gammalearn.nn.attention import DualAttention
from gammalearn.nn.encoders import build_encoder
from gammalearn.nn.encoders.gammaphysnet import GammaPhysNet
from gammalearn.nn.indexed import IndexedAveragePool, IndexedConv, IndexedMaxPool
from gammalearn.nn.layout import CellsToPixels, PixelsToRow, on_row
from gammalearn.nn.native.loops import Loop, count, integers
from gammalearn.nn.normalisation import IndexedBatchNorm
from gammalearn.settings import NetworkSettings

pytestmark = pytest.mark.skipif(not native.is_available(), reason="no vectors wide enough")

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


@st.composite
def grids(draw):
    """Any index matrix, of one row too."""
    n_rows, n_cols = draw(st.integers(1, 12)), draw(st.integers(2, 12))
    n_pixels = draw(st.integers(1, n_rows * n_cols))
    cells = np.random.default_rng(draw(st.integers(0, 99))).permutation(n_rows * n_cols)
    matrix = np.full(n_rows * n_cols, -1)
    matrix[cells[:n_pixels]] = np.arange(n_pixels)
    return PixelGrid(matrix.reshape(n_rows, n_cols))


def leaves_pixels(grid, *options):
    """Whether any pixel is on the rows and columns that a stride keeps."""
    try:
        return grid.pooled(*options).n_pixels > 0
    except LatticeError:
        return False


def assert_same(ours, theirs, dtype=torch.float64):
    scale = max(1e-30, theirs.abs().max().item()) if theirs.numel() else 1
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE[dtype] * scale)


def assert_all_same(ours, theirs, dtype=torch.float64):
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine, other, dtype)


def with_gradients(layer, images, cotangent_of):
    """Output, gradient of the images and of each parameter."""
    images = images.clone().requires_grad_()
    out = layer(images)
    layer.zero_grad()
    out.backward(cotangent_of(out))
    return [out, images.grad, *(p.grad for p in layer.parameters())]


# One set of channels, as each is compiled: a whole vector, many, a part of one, an odd number.
CHANNELS = [(2, 16), (16, 80), (5, 24), (3, 7)]


@pytest.mark.parametrize("dtype", TOLERANCE)
@settings(deadline=None, max_examples=25)
@given(
    grid=grids(),
    channels=st.sampled_from(CHANNELS),
    n_images=st.integers(0, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
)
def test_convolution_is_the_sum_over_neighbours(
    dtype, grid, channels, n_images, stride, dilation, bias
):
    """Output and gradients are those of the gather backend, on pixels and in a row."""
    assume(leaves_pixels(grid, stride))
    torch.manual_seed(0)
    ours, theirs = (
        IndexedConv(*channels, grid, 1, stride, dilation, bias, backend=backend).to(dtype)
        for backend in ("native", "gather")
    )
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(n_images, channels[0], grid.n_pixels, dtype=dtype)
    cotangent = torch.randn(n_images, channels[1], ours.out_grid.n_pixels, dtype=dtype)
    expected = with_gradients(theirs, images, lambda _: cotangent)
    assert_all_same(with_gradients(ours, images, lambda _: cotangent), expected, dtype)

    row = torch.nn.Sequential(PixelsToRow(grid), ours, CellsToPixels(ours.out_grid))
    assert_all_same(with_gradients(row, images, lambda _: cotangent), expected, dtype)
    # The cell behind the last pixel stays zero, which absent neighbours count as.
    assert not ours(PixelsToRow(grid)(images)).flatten(2)[..., -1].any()


@settings(deadline=None, max_examples=25)
@given(grid=grids(), kernel=st.sampled_from(["hex", "square", "pool"]))
@pytest.mark.parametrize("layer", ["mean", "largest", "groups"])
def test_other_layers_are_those_of_other_backends(layer, grid, kernel):
    assume(leaves_pixels(grid, 2, kernel))
    torch.manual_seed(0)
    make = {
        "mean": lambda backend: IndexedAveragePool(grid, kernel=kernel, backend=backend),
        "largest": lambda backend: IndexedMaxPool(grid, kernel=kernel, backend=backend),
        "groups": lambda backend: IndexedConv(4, 4, grid, kernel=kernel, groups=2, backend=backend),
    }[layer]
    ours, theirs = make("native").double(), make("gather").double()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 4, grid.n_pixels, dtype=torch.float64)
    row = torch.nn.Sequential(PixelsToRow(grid), ours, CellsToPixels(ours.out_grid))
    expected = with_gradients(theirs, images, torch.ones_like)
    for module in (ours, row):
        assert_all_same(with_gradients(module, images, torch.ones_like), expected)


@settings(deadline=None, max_examples=25)
@given(grid=grids().filter(lambda grid: grid.n_pixels > 1), relu=st.booleans())
def test_statistics_are_those_of_pixels(grid, relu):
    torch.manual_seed(0)
    ours = IndexedBatchNorm(3, grid, relu).double()
    theirs = copy.deepcopy(ours)
    images = torch.randn(2, 3, grid.n_pixels, dtype=torch.float64) + 5
    row = torch.nn.Sequential(PixelsToRow(grid), ours, CellsToPixels(grid))
    cotangent = torch.randn_like(images)
    for _ in ("training", "evaluation"):
        expected = with_gradients(theirs, images, lambda _: cotangent)
        assert_all_same(with_gradients(row, images, lambda _: cotangent), expected)
        ours.eval(), theirs.eval()
    with torch.no_grad():
        assert_same(row(images), expected[0])
    assert_same(ours.running_var, theirs.running_var)


@settings(deadline=None, max_examples=25)
@given(grid=grids(), channels=st.sampled_from([3, 16, 80]))
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_attention_is_that_on_pixels(dtype, grid, channels):
    torch.manual_seed(0)
    ours = DualAttention(channels, grid).to(dtype)
    # Sums of either sign may cancel to less than what single precision rounds away.
    draw = torch.rand if dtype == torch.float32 else torch.randn
    images = draw(2, channels, grid.n_pixels, dtype=dtype)
    row = torch.nn.Sequential(PixelsToRow(grid), ours, CellsToPixels(grid))
    cotangent = draw(*images.shape, dtype=dtype)
    expected = with_gradients(ours, images, lambda _: cotangent)
    assert_all_same(with_gradients(row, images, lambda _: cotangent), expected, dtype)
    assert not ours(PixelsToRow(grid)(images)).flatten(2)[..., -1].any()


def test_gradients_that_reach_absent_pixels_count_for_nothing():
    grid = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
    conv = IndexedConv(2, 3, grid, backend="native").double()
    images = torch.randn(2, 2, 7, dtype=torch.float64)
    on_pixels = with_gradients(conv, images, torch.ones_like)
    row = torch.nn.Sequential(PixelsToRow(grid), conv)
    assert_all_same(with_gradients(row, images, torch.ones_like)[1:], on_pixels[1:])


def test_each_thread_count_gives_the_same():
    torch.manual_seed(0)
    grid = PixelGrid(np.arange(400).reshape(20, 20))
    conv, images = IndexedConv(2, 16, grid, backend="native"), torch.randn(3, 2, 400)
    expected = with_gradients(conv, images, torch.ones_like)
    n_threads = torch.get_num_threads()
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        assert_all_same(with_gradients(conv, images, torch.ones_like), expected, torch.float32)
    torch.set_num_threads(n_threads)


def difference(pointer):
    """A loop of one unit: the number of a pixel less that of another."""
    job = carray(pointer, 1)[0]
    if count(pointer) == 0:
        carray(integers(job.out), 1)[0] = job.pixel - job.other


@pytest.mark.parametrize("names", [("pixel", "other", "out"), ("out", "other", "pixel")])
def test_loops_read_their_job_by_name(names):
    """In any order, also where numba has kept the function compiled for another one."""
    out = torch.zeros(1, dtype=torch.int32)
    for _ in range(2):
        Loop(difference, names).run(out=out.zero_(), pixel=7, other=2)
        assert out.item() == 5


@pytest.mark.parametrize("arguments", [{"pixel": 7}, {"pixel": 7, "other": 2, "others": 3}])
def test_a_job_has_each_name_of_its_loop_and_no_other(arguments):
    loop = Loop(difference, ("pixel", "other", "out"))
    with pytest.raises(TypeError, match=r"takes .*'pixel', 'other', 'out'.*not .*'pixel'"):
        loop.run(out=torch.zeros(1, dtype=torch.int32), **arguments)


def test_operators_keep_the_rules_of_torch():
    """Shapes for tracing, no change of inputs, gradients: what torch.compile builds on."""
    grid = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
    backend = IndexedConv(2, 3, grid, stride=2, backend="native").backend
    x, weight = torch.randn(4, 8, 2, requires_grad=True), torch.randn(7, 2, 3, requires_grad=True)
    tables = (backend.seen, backend.seen_by, backend.neighbours)
    library.opcheck(native.convolve, (x, weight, None, None, False, *tables))
    plus = torch.randn(4, len(backend.neighbours) + 1, 3, requires_grad=True)
    library.opcheck(native.convolve, (x, weight, None, plus, True, *tables))
    scale, offset = (torch.randn(2, requires_grad=True) for _ in range(2))
    statistics = (x.detach(), scale.detach(), offset.detach(), 1e-5, True)
    library.opcheck(torch.ops.gammalearn.normalise.default, statistics)
    library.opcheck(native.affine, (x.detach(), scale.detach(), offset.detach(), False))
    of_pixel = torch.randn(4, 8, requires_grad=True)
    of_channel = torch.randn(4, 2, requires_grad=True)
    library.opcheck(native.weigh, (x, of_pixel, of_channel))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    grid = PixelGrid(np.arange(144).reshape(12, 12))
    return grid, GammaPhysNet(grid, 2, 8, widths=(4, 8), blocks=1, backend="native")


def test_network_is_that_of_the_dense_backend(network):
    grid, ours = network
    theirs = GammaPhysNet(grid, 2, 8, widths=(4, 8), blocks=1, backend="dense")
    theirs.load_state_dict(ours.state_dict())
    ours, theirs = copy.deepcopy(ours).double(), theirs.double()
    images = torch.randn(3, 2, 144, dtype=torch.float64)
    assert on_row(ours[1](ours[0](images)), (1, 145))
    # Weights alone: the largest value of each differs by orders of magnitude.
    expected = with_gradients(theirs, images, torch.ones_like)
    scale = max(gradient.abs().max() for gradient in expected[2:])
    for mine, other in zip(with_gradients(ours, images, torch.ones_like), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-10 * scale)
    assert_same(ours.eval()(images), theirs.eval()(images))


def test_network_in_half_precision_is_dense(network):
    grid, ours = network
    images = torch.randn(3, 2, 144)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert ours[1](ours[0](images)).shape[2:] == (12, 12)
        half = ours(images)
    assert half.dtype == torch.bfloat16


def test_network_saved_and_copied_computes_the_same(network):
    _, ours = network
    images = torch.randn(3, 2, 144)
    file = io.BytesIO()
    torch.save(ours.eval(), file)
    file.seek(0)
    with torch.no_grad():
        expected = ours(images)
        for other in (copy.deepcopy(ours), torch.load(file, weights_only=False)):
            assert torch.equal(other(images), expected)


@pytest.mark.parametrize("encoder", ["conv4", "conv5"])
def test_plain_networks(encoder):
    torch.manual_seed(0)
    grid = PixelGrid(np.arange(144).reshape(12, 12))
    ours, theirs = (
        build_encoder(NetworkSettings(encoder=encoder, backend=backend), grid, 2).double().eval()
        for backend in ("native", "gather")
    )
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 2, 144, dtype=torch.float64)
    with torch.no_grad():
        assert_same(ours(images), theirs(images))
