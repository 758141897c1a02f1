"""Indexed convolution and pooling: what the IndexedConv package computes, on any camera."""

import copy
from functools import cache

import astropy.units as u
import numpy as np
import pytest
import torch
from ctapipe.instrument import CameraGeometry, PixelShape, SubarrayDescription
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gammalearn.camera import LatticeError, PixelGrid
from gammalearn.nn import CellsToPixels, IndexedBatchNorm, PixelsToCells, native
from gammalearn.nn.indexed import IndexedAveragePool, IndexedConv, IndexedMaxPool
from gammalearn.nn.layout import PixelsToRow

reference = pytest.importorskip("indexedconv.engine", reason="indexedconv not installed")
reference_tables = pytest.importorskip("indexedconv.utils")

CAMERA_FILES = {
    "LSTCam": "proton_run202_prod5",
    "FlashCam": "proton_run202_prod5",
    "MSTx-NectarCam": "gamma_diffuse_run10_6.0.0",
    "HESS-1U": "gamma_with_obslevel_particles",
}

#: Largest difference from the package, relative to the largest value.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}

#: Ours; that of the package itself is tried on its own.
BACKENDS = ["native", "dense", "gather"]

PACKAGE_POOLS = {
    IndexedMaxPool: reference.IndexedMaxPool2d,
    IndexedAveragePool: reference.IndexedAveragePool2d,
}


def square_camera():
    """Modules of 8 x 8 square pixels with wide gaps, without those in the corners, shuffled."""
    row, col = np.mgrid[:40, :40].reshape(2, -1)
    corner = np.isin(row // 8, [0, 4]) & np.isin(col // 8, [0, 4])
    order = np.random.default_rng(0).permutation(np.flatnonzero(~corner))
    x, y = (0.006 * (index + 0.9 * (index // 8)) for index in (col[order], -row[order]))
    return CameraGeometry(
        name="SquareCam",
        pix_id=np.arange(len(x)),
        pix_x=x * u.m,
        pix_y=y * u.m,
        pix_area=np.full(len(x), 36e-6) * u.m**2,
        pix_type=PixelShape.SQUARE,
    )


@pytest.fixture(scope="module", params=[*CAMERA_FILES, "SquareCam"])
def grid(request, data_dir):
    if request.param == "SquareCam":
        return PixelGrid.from_geometry(square_camera())
    path = data_dir / "dl1_ctapipe" / f"{CAMERA_FILES[request.param]}.dl1.h5"
    if not path.exists():
        pytest.skip(f"no {path.name} in the test data")
    cameras = {c.name: c.geometry for c in SubarrayDescription.from_hdf(path).camera_types}
    return PixelGrid.from_geometry(cameras[request.param])


@cache
def package_table(grid, kernel, radius, stride, dilation):
    matrix = torch.tensor(grid.index_matrix[np.newaxis, np.newaxis], dtype=torch.float)
    kernel = {"hexagonal": "Hex", "square": "Square"}[grid.lattice] if kernel is None else kernel
    return reference_tables.neighbours_extraction(matrix, kernel.title(), radius, stride, dilation)


def random_images(grid, n_channels, dtype=torch.float32):
    images = torch.randn(2, n_channels, grid.n_pixels, dtype=dtype)
    return images.requires_grad_()


def assert_same(ours, theirs, dtype):
    scale = theirs.abs().max().item()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE[dtype] * scale)


def assert_same_function(ours, theirs, images, out_order, dtype):
    """Same output, same gradient of everything; ``out_order`` sorts our pixels as the package's."""
    theirs_images = images.detach().clone().requires_grad_()
    ours_out = ours(images)[..., out_order]
    theirs_out = theirs(theirs_images)
    assert_same(ours_out, theirs_out, dtype)

    cotangent = torch.randn_like(theirs_out)
    ours_out.backward(cotangent)
    theirs_out.backward(cotangent)
    assert_same(images.grad, theirs_images.grad, dtype)
    for (name, parameter), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert parameter.grad is not None, name
        assert_same(parameter.grad, other.grad, dtype)


def package_order(layer):
    """Our output's pixels in the order of the package's, that of the matrix."""
    matrix = layer.out_grid.index_matrix
    return torch.from_numpy(matrix[matrix >= 0])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("radius", [1, 2])
def test_convolution_is_that_of_the_package(grid, radius, stride, dilation, backend, dtype):
    torch.manual_seed(0)
    ours = IndexedConv(3, 4, grid, radius, stride, dilation, backend=backend).to(dtype)
    theirs = reference.IndexedConv(3, 4, package_table(grid, None, radius, stride, dilation))
    theirs = theirs.to(dtype)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    assert_same_function(ours, theirs, random_images(grid, 3, dtype), package_order(ours), dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kernel", ["hex", "square", "pool"])
@pytest.mark.parametrize("pool", PACKAGE_POOLS)
def test_pooling_is_that_of_the_package(grid, pool, kernel, backend):
    torch.manual_seed(0)
    ours = pool(grid, kernel=kernel, backend=backend)
    theirs = PACKAGE_POOLS[pool](package_table(grid, kernel, 1, 2, 1))
    # Whole numbers, so that the largest is often there twice: one only gets the gradient.
    images = random_images(grid, 3).detach().round().requires_grad_()
    assert_same_function(ours, theirs, images, package_order(ours), torch.float32)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])
@pytest.mark.parametrize("pool", PACKAGE_POOLS)
@pytest.mark.parametrize(
    ("radius", "stride", "dilation"), [(1, 2, 1), (2, 2, 1), (1, 2, 2), (1, 1, 1), (2, 1, 2)]
)
def test_pooling_over_any_kernel_is_that_of_the_package(
    grid, pool, radius, stride, dilation, dtype
):
    torch.manual_seed(0)
    ours = pool(grid, radius, stride, dilation)
    theirs = PACKAGE_POOLS[pool](package_table(grid, None, radius, stride, dilation)).to(dtype)
    images = random_images(grid, 2, dtype)
    assert_same_function(ours, theirs, images, package_order(ours), dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kernel", ["hex", "square", "pool"])
def test_convolution_with_any_kernel_is_that_of_the_package(grid, kernel, backend):
    torch.manual_seed(0)
    ours = IndexedConv(2, 3, grid, stride=2, kernel=kernel, bias=False, backend=backend)
    theirs = reference.IndexedConv(2, 3, package_table(grid, kernel, 1, 2, 1), bias=False)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    images = random_images(grid, 2)
    assert_same_function(ours, theirs, images, package_order(ours), torch.float32)


def test_convolution_of_the_pixel_alone(grid):
    torch.manual_seed(0)
    ours = IndexedConv(2, 3, grid, radius=0, stride=2)
    theirs = reference.IndexedConv(2, 3, package_table(grid, None, 0, 2, 1))
    theirs.load_state_dict(ours.state_dict(), strict=False)
    images = random_images(grid, 2)
    assert_same_function(ours, theirs, images, package_order(ours), torch.float32)

    everywhere = IndexedConv(2, 3, grid, radius=0)
    expected = torch.nn.functional.conv1d(images, everywhere.weight, everywhere.bias)
    assert_same(everywhere(images), expected, torch.float32)


def test_layers_follow_one_another_as_in_the_package(grid):
    """A small network, its input in the camera's order, its output in that of the last matrix."""
    torch.manual_seed(0)
    conv1 = IndexedConv(2, 4, grid)
    pool = IndexedAveragePool(conv1.out_grid)
    conv2 = IndexedConv(4, 4, pool.out_grid, radius=2)
    last = IndexedMaxPool(conv2.out_grid, kernel="pool")
    images = random_images(grid, 2)
    ours = last(conv2(pool(conv1(images))))

    # The package numbers pixels anew after its first convolution.
    renumbered = reference_tables.pool_index_matrix(
        torch.tensor(grid.index_matrix[np.newaxis, np.newaxis], dtype=torch.float),
        kernel_type="Hex", stride=1,
    )  # fmt: skip
    renumbered = PixelGrid.from_index_matrix(renumbered, grid.lattice)
    theirs1 = reference.IndexedConv(2, 4, package_table(grid, None, 1, 1, 1))
    theirs1.load_state_dict(conv1.state_dict(), strict=False)
    theirs2 = reference.IndexedConv(4, 4, package_table(renumbered.pooled(), None, 2, 1, 1))
    theirs2.load_state_dict(conv2.state_dict(), strict=False)
    theirs = theirs1(images)
    theirs = reference.IndexedAveragePool2d(package_table(renumbered, None, 1, 2, 1))(theirs)
    theirs = theirs2(theirs)
    theirs = reference.IndexedMaxPool2d(package_table(renumbered.pooled(), "pool", 1, 2, 1))(theirs)
    assert_same(ours, theirs, torch.float32)


def round_grid(n_pixels, orientation):
    """The pixels of a lattice that are nearest to a point, in shuffled order."""
    reach = int(np.sqrt(n_pixels)) + 2
    col, row = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    z = (col + row * np.exp(-2j * np.pi / 3)) * np.exp(1j * np.deg2rad(orientation))
    nearest = np.argsort(np.abs(z), kind="stable")[:n_pixels]
    nearest = np.random.default_rng(n_pixels).permutation(nearest)
    return PixelGrid.from_positions(z.real[nearest], z.imag[nearest])


@settings(deadline=None, max_examples=25)
@given(
    n_pixels=st.one_of(st.integers(7, 400), st.sampled_from([2000, 8000])),
    orientation=st.floats(-180, 180),
    radius=st.integers(0, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    kernel=st.sampled_from([None, "square", "pool"]),
    groups=st.sampled_from([1, 2, 4]),
    n_images=st.integers(0, 3),
)
def test_backends_agree_on_any_grid(
    n_pixels, orientation, radius, stride, dilation, kernel, groups, n_images
):
    """The package does not know groups: there they are convolutions of some of the channels."""
    grid = round_grid(n_pixels, orientation)
    if kernel == "pool":
        radius, stride, dilation = 1, 2, 1
    try:
        grid.pooled(stride, kernel, radius)
    except LatticeError:
        return  # too small a grid for such a stride
    torch.manual_seed(0)
    options = (grid, radius, stride, dilation)
    convs = [
        IndexedConv(4, 8, *options, kernel=kernel, groups=groups, backend=backend).double()
        for backend in BACKENDS
    ]
    for conv in convs[1:]:
        conv.load_state_dict(convs[0].state_dict())
    parts = [
        IndexedConv(4 // groups, 8 // groups, *options, kernel=kernel, backend="indexedconv")
        for _ in range(groups)
    ]
    for number, part in enumerate(part.double() for part in parts):
        mine = slice(number * 8 // groups, (number + 1) * 8 // groups)
        part.load_state_dict(
            {name: value[mine] for name, value in convs[0].state_dict().items()}, strict=False
        )
    images = torch.randn(n_images, 4, grid.n_pixels, dtype=torch.float64)
    if n_images:
        split = images.chunk(groups, dim=1)
        expected = torch.cat([part(x) for part, x in zip(parts, split, strict=True)], dim=1)
        for conv in convs:
            assert_same(conv(images), expected, torch.float64)
    for pool in PACKAGE_POOLS:
        pools = [pool(*options, kernel=kernel, backend=b) for b in (*BACKENDS, "indexedconv")]
        for layer in pools[:-1]:
            torch.testing.assert_close(layer(images), pools[-1].double()(images))


@pytest.mark.parametrize("layer", [IndexedMaxPool, IndexedAveragePool])
def test_empty_cells_stay_zero(layer):
    """Features stay on cells from layer to layer and are those on pixels."""
    torch.manual_seed(0)
    grid = round_grid(200, 10.0)
    conv, pool = IndexedConv(2, 3, grid, backend="dense"), layer(grid, backend="dense")
    images = torch.randn(2, 2, grid.n_pixels)
    cells = pool(conv(PixelsToCells(grid)(images)))
    assert cells.shape[2:] == pool.out_grid.index_matrix.shape
    assert not cells[..., torch.from_numpy(pool.out_grid.index_matrix < 0)].any()
    torch.testing.assert_close(CellsToPixels(pool.out_grid)(cells), pool(conv(images)))


@pytest.mark.parametrize("available", [True, False], ids=["vectors", "no vectors"])
def test_automatic_backend(seven, available, monkeypatch):
    monkeypatch.setattr(native, "is_available", lambda: available)

    def kind(grid):
        return type(IndexedConv(1, 1, grid).backend).__name__

    diagonal = np.full((40, 40), -1)
    diagonal[np.arange(40), np.arange(40)] = np.arange(40)
    assert kind(seven) == ("NativeBackend" if available else "DenseBackend")
    assert kind(PixelGrid(diagonal)) == "GatherBackend", "most of the matrix is empty"
    with pytest.raises(ValueError, match="'auto', .* 'dense', 'native', not 'fast'"):
        IndexedConv(1, 1, seven, backend="fast")


# -- by hand ---------------------------------------------------------------------------------------


@pytest.fixture
def seven():
    return PixelGrid.from_index_matrix([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])


def test_weights_are_in_the_order_of_the_kernel(seven):
    conv = IndexedConv(1, 1, seven)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[1.0, 2, 3, 4, 5, 6, 7]]]))
        conv.bias.fill_(100.0)
        only_the_middle = torch.zeros(1, 1, 7)
        only_the_middle[..., 3] = 1
        # Seen from pixel 0, the middle is the last of the kernel.
        assert conv(only_the_middle).flatten().tolist() == [107, 106, 105, 104, 103, 102, 101]


def test_a_turned_kernel_sees_the_turned_image_turned(seven):
    """With each of the twelve turns and mirrors, which the kernel has as the camera does."""
    torch.manual_seed(0)
    col, row = np.mgrid[-4:5, -4:5].reshape(2, -1)
    inside = np.abs(col - row) <= 4
    grid = PixelGrid.from_positions((col - row / 2)[inside], (-np.sqrt(0.75) * row)[inside])
    conv, of_turned = (IndexedConv(2, 3, grid, bias=False).double() for _ in range(2))
    image = torch.randn(1, 2, grid.n_pixels, dtype=torch.float64)
    assert len(grid.symmetries) == len(seven.symmetries) == 12
    for camera, kernel in zip(grid.symmetries, seven.symmetries, strict=True):
        assert (camera.turn, camera.mirrored) == (kernel.turn, kernel.mirrored)
        pixels, members = torch.tensor(camera.pixels), torch.tensor(kernel.pixels)
        of_turned.weight.data = conv.weight.data[..., members]
        torch.testing.assert_close(of_turned(image[..., pixels]), conv(image)[..., pixels])


def test_absent_neighbours_count_as_zero(seven):
    negative = -torch.ones(1, 1, 7)
    # Pixel 0 has 3 of 6 neighbours, and so has pixel 6.
    assert IndexedMaxPool(seven)(negative).flatten().tolist() == [0, 0]
    torch.testing.assert_close(
        IndexedAveragePool(seven)(negative).flatten(), torch.tensor([-4 / 7, -4 / 7])
    )


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    ("backend", "laid_out"),
    [
        *((backend, nn.Identity) for backend in ("indexedconv", *BACKENDS)),
        *((backend, PixelsToCells) for backend in ("native", "dense")),
        ("native", PixelsToRow),
    ],
)
def test_what_is_added_and_the_relu_after_it(seven, backend, relu, laid_out):
    """As the sum and the ReLU of torch, with all gradients."""
    torch.manual_seed(0)
    conv = IndexedConv(2, 3, seven, backend=backend, relu=relu).double()
    plain = IndexedConv(2, 3, seven, backend="gather").double()
    plain.load_state_dict(conv.state_dict())
    images, plus = (torch.randn(4, n, 7, dtype=torch.float64) for n in (2, 3))
    layout = nn.Identity() if laid_out is nn.Identity else laid_out(seven)
    to_pixels = CellsToPixels(seven)
    ours = [x.clone().requires_grad_() for x in (images, plus)]
    theirs = [x.clone().requires_grad_() for x in (images, plus)]
    out = to_pixels(conv(layout(ours[0]), plus=layout(ours[1])))
    expected = plain(theirs[0]) + theirs[1]
    expected = torch.relu(expected) if relu else expected
    torch.testing.assert_close(out, expected)
    cotangent = torch.randn_like(out)
    out.backward(cotangent), expected.backward(cotangent)
    for mine, other in zip([*ours, conv.weight], [*theirs, plain.weight], strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_no_number_does_not_become_zero(seven, backend):
    images = torch.full((1, 2, 7), torch.nan)
    layer = IndexedConv(2, 16, seven, backend=backend, relu=True)
    norm = IndexedBatchNorm(16, seven, relu=True)
    layout = PixelsToRow(seven) if backend == "native" else nn.Identity()
    assert CellsToPixels(seven)(layer(layout(images))).isnan().all()
    assert CellsToPixels(seven)(norm(layer(layout(images)))).isnan().all()


def test_a_bad_pixel_spoils_its_neighbours_only(seven):
    images = torch.zeros(1, 1, 7)
    images[..., 0] = torch.nan
    spoilt = IndexedConv(1, 1, seven)(images).isnan().flatten()
    assert spoilt.tolist() == [True, True, True, True, False, False, False]


# -- as modules ------------------------------------------------------------------------------------


def test_state_is_weight_and_bias_under_the_names_of_the_package(seven):
    conv = IndexedConv(2, 5, seven)
    assert {name: tuple(t.shape) for name, t in conv.state_dict().items()} == {
        "weight": (5, 2, 7),
        "bias": (5,),
    }
    assert list(IndexedConv(2, 5, seven, bias=False).state_dict()) == ["weight"]
    assert not IndexedMaxPool(seven).state_dict()


def test_weights_begin_as_in_the_package(seven):
    torch.manual_seed(0)
    ours = IndexedConv(16, 64, seven)
    torch.manual_seed(0)
    theirs = reference.IndexedConv(16, 64, torch.from_numpy(seven.neighbours()))
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    assert ours.weight.abs().max() <= 1 / np.sqrt(16 * 7)


def test_grids_of_outputs(seven):
    assert IndexedConv(1, 1, seven).out_grid is seven
    assert IndexedConv(1, 1, seven, stride=2).out_grid == seven.pooled()
    assert IndexedMaxPool(seven).out_grid == seven.pooled()
    assert IndexedAveragePool(seven, kernel="pool").out_grid == seven.pooled(kernel="pool")


def test_no_images_give_no_images(seven):
    assert IndexedConv(2, 3, seven)(torch.zeros(0, 2, 7)).shape == (0, 3, 7)
    assert IndexedMaxPool(seven)(torch.zeros(0, 2, 7)).shape == (0, 2, 2)
    assert IndexedAveragePool(seven)(torch.zeros(0, 2, 7)).shape == (0, 2, 2)


def test_copies_compute_the_same(seven):
    conv = IndexedConv(2, 3, seven)
    images = torch.randn(4, 2, 7)
    assert torch.equal(copy.deepcopy(conv)(images), conv(images))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 3, 7), r"2 channels, got 3 in shape \(4, 3, 7\)"),
        ((4, 2, 8), r"\(n_images, n_channels, 7\), got \(4, 2, 8\)"),
        ((2, 7), r"\(n_images, n_channels, 7\), got \(2, 7\)"),
    ],
)
def test_images_of_another_shape_are_refused(seven, shape, message):
    with pytest.raises(ValueError, match=message):
        IndexedConv(2, 3, seven)(torch.zeros(shape))


def test_pooling_refuses_images_of_another_camera(seven):
    with pytest.raises(ValueError, match=r"IndexedMaxPool expects .* 7\), got \(4, 2, 8\)"):
        IndexedMaxPool(seven)(torch.zeros(4, 2, 8))


def test_what_layers_print(seven):
    assert str(IndexedConv(2, 3, seven, bias=False)) == (
        "IndexedConv(2, 3, 7 -> 7 pixels, radius=1, stride=1, dilation=1, bias=False)"
    )
    assert str(IndexedMaxPool(seven, kernel="pool")) == (
        "IndexedMaxPool(7 -> 1 pixels, radius=1, stride=2, dilation=1, kernel='pool')"
    )
