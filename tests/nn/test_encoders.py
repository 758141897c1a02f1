"""Encoders, against networks built from the IndexedConv package's layers with the same weights."""

import copy
import typing
from functools import cache

import numpy as np
import pytest
import torch
from ctapipe.instrument import SubarrayDescription
from torch import nn
from torch.nn import functional as F

from gammalearn.camera import PixelGrid
from gammalearn.nn.attention import (
    DualAttention,
    PointwiseConv,
    SpatialAttention,
    SqueezeExcitation,
)
from gammalearn.nn.encoders import available_encoders, build_encoder
from gammalearn.nn.encoders.gammaphysnet import GammaPhysNet
from gammalearn.nn.encoders.plain import PlainConvNet
from gammalearn.nn.image_head import N_SKY
from gammalearn.nn.normalisation import IndexedBatchNorm
from gammalearn.settings import NetworkSettings

engine = pytest.importorskip("indexedconv.engine", reason="indexedconv not installed")
package = pytest.importorskip("indexedconv.utils")

#: Where pixels look, by row, column and in the middle.
SKY = np.array([[0.02, -0.09], [0.1, 0.01], [-0.4, 0.3]])

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def hexagon(radius):
    """A hexagonal camera, its pixels in shuffled order."""
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    inside = np.abs(col - row) <= radius
    col, row = col[inside], row[inside]
    order = np.random.default_rng(1).permutation(len(col))
    return PixelGrid.from_positions((col - row / 2)[order], (-np.sqrt(0.75) * row)[order])


@pytest.fixture(scope="module", params=["hexagon", "LSTCam"])
def grid(request):
    if request.param == "hexagon":
        return hexagon(9)  # 271 pixels
    data_dir = request.getfixturevalue("data_dir")
    path = data_dir / "dl1_ctapipe" / "proton_run202_prod5.dl1.h5"
    if not path.exists():
        pytest.skip(f"no {path.name} in the test data")
    cameras = {c.name: c.geometry for c in SubarrayDescription.from_hdf(path).camera_types}
    return PixelGrid.from_geometry(cameras["LSTCam"])


# -- the same networks of the package's layers -----------------------------------------------------


class PackageNet(nn.Module):
    """Layers of the package one after the other, with the weights of one of our encoders.

    The package numbers the outputs of each layer row by row of the index matrix, so that pixels
    are in the camera's order only before the first.
    """

    def __init__(self, ours, grid):
        super().__init__()
        self.matrix = torch.tensor(grid.index_matrix[None, None], dtype=torch.float)
        self.parts = nn.ModuleList()
        self.build(list(ours))

    def table(self, stride):
        return package_table(tuple(map(tuple, self.matrix[0, 0].int().tolist())), stride)

    def step(self, stride):
        self.matrix = package.pool_index_matrix(self.matrix, kernel_type="Hex", stride=stride)

    def conv(self, ours, stride=1):
        theirs = engine.IndexedConv(ours.in_channels, ours.out_channels, self.table(stride), False)
        theirs.load_state_dict({"weight": ours.weight.detach().clone()}, strict=False)
        return theirs

    def pool(self):
        return engine.IndexedAveragePool2d(self.table(stride=2))

    @staticmethod
    def copy(ours):
        theirs = {
            IndexedBatchNorm: lambda: nn.BatchNorm1d(ours.num_features),
            nn.Linear: lambda: nn.Linear(ours.in_features, ours.out_features),
            PointwiseConv: lambda: nn.Conv1d(ours.in_channels, ours.out_channels, 1, bias=False),
            # Formulas on pixels, which tests/nn/test_attention.py has.
            DualAttention: lambda: copy.deepcopy(ours),
            SqueezeExcitation: lambda: copy.deepcopy(ours),
            nn.Identity: nn.Identity,
        }[type(ours)]()
        theirs.load_state_dict(ours.state_dict())
        return theirs


@cache
def package_table(matrix, stride):
    return package.neighbours_extraction(torch.tensor(matrix)[None, None], "Hex", 1, stride)


class PackagePlain(PackageNet):
    def build(self, ours):
        _, *layers, readout = ours
        for conv, norm, _ in zip(*[iter(layers)] * 3, strict=True):
            conv = self.conv(conv)
            self.step(1)
            self.parts.append(nn.ModuleList([conv, self.copy(norm), self.pool()]))
            self.step(2)
        self.linear = self.copy(readout.linear)

    def forward(self, x):
        for conv, norm, pool in self.parts:
            x = pool(F.relu(norm(conv(x))))
        return self.linear(x.flatten(1))


class PackageGammaPhysNet(PackageNet):
    """3 stages of 3 blocks, each stage followed by its attention."""

    def build(self, ours):
        _, first, *stages, norm, readout = ours
        self.first = self.conv(first)
        self.step(1)
        for number, (*blocks, attention) in enumerate(zip(*[iter(stages)] * 4, strict=True)):
            for place, block in enumerate(blocks):
                stride = 2 if number > 0 and place == 0 else 1
                self.parts.append(self.block(block, stride))
            self.parts.append(self.copy(attention))
        self.norm, self.linear = self.copy(norm), self.copy(readout.linear)

    def block(self, ours, stride):
        parts = {"norm1": self.copy(ours.norm1), "conv1": self.conv(ours.conv1, stride)}
        if stride > 1:
            parts["pool"], parts["project"] = self.pool(), self.copy(ours.shortcut[1])
        self.step(stride)
        parts |= {"norm2": self.copy(ours.norm2), "conv2": self.conv(ours.conv2)}
        return nn.ModuleDict(parts)

    def forward(self, x):
        x = self.first(x)
        for part in self.parts:
            if isinstance(part, nn.ModuleDict):
                y = part["conv1"](F.relu(part["norm1"](x)))
                y = part["conv2"](F.relu(part["norm2"](y)))
                x = y + (part["project"](part["pool"](x)) if "pool" in part else x)
            else:
                x = part(x)
        return self.linear(F.relu(self.norm(x)).flatten(1))


PACKAGE = {
    "gammaphysnet": PackageGammaPhysNet,
    "conv4": PackagePlain,
    "conv5": PackagePlain,
}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize("backend", ["native", "dense", "gather"])
@pytest.mark.parametrize("encoder", PACKAGE)
def test_encoder_is_that_of_the_package(grid, encoder, backend, dtype):
    """In training, with the gradient of each weight, then with the statistics learnt in it."""
    torch.manual_seed(0)
    ours = build_encoder(NetworkSettings(encoder=encoder, embedding=32, backend=backend), grid, 2)
    theirs = PACKAGE[encoder](ours, grid)
    ours, theirs = ours.to(dtype), theirs.to(dtype)
    images = torch.randn(3, 2, grid.n_pixels, dtype=dtype)

    def assert_same(ours, theirs):
        scale = theirs.abs().max().item()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE[dtype] * scale)

    ours_out, theirs_out = ours(images), theirs(images)
    assert ours_out.shape == (3, 32)
    assert_same(ours_out, theirs_out)
    if dtype == torch.float64:
        ours_out.square().sum().backward()
        theirs_out.square().sum().backward()
        ours_grad = sorted((p.grad for p in ours.parameters()), key=by_content)
        theirs_grad = sorted((p.grad for p in theirs.parameters()), key=by_content)
        largest = max(g.abs().max().item() for g in theirs_grad)
        for mine, other in zip(ours_grad, theirs_grad, strict=True):
            torch.testing.assert_close(mine, other, rtol=0, atol=1e-10 * largest)

    images = torch.randn(2, 2, grid.n_pixels, dtype=dtype)
    with torch.no_grad():
        assert_same(ours.eval()(images), theirs.eval()(images))


def by_content(gradient):
    return tuple(gradient.shape), round(gradient.norm().item(), 6)


# -- what the settings name ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return hexagon(5)


def convolutions(network):
    """(input channels, output channels, input pixels) of each indexed convolution."""
    return [
        (m.in_channels, m.out_channels, m.grid.n_pixels)
        for m in network.modules()
        if type(m).__name__ == "IndexedConv"
    ]


def test_stages_of_gammaphysnet(small):
    network = build_encoder(NetworkSettings(blocks=2, widths=[4, 8, 12]), small, 2)
    full, half, quarter = small.n_pixels, small.pooled().n_pixels, small.pooled().pooled().n_pixels
    assert convolutions(network) == [
        (2, 4, full),
        *[(4, 4, full)] * 4,
        (4, 8, full), *[(8, 8, half)] * 3,
        (8, 12, half), *[(12, 12, quarter)] * 3,
    ]  # fmt: skip
    assert network[-1].linear.in_features == 12 * quarter


def test_defaults_are_those_of_the_papers(small):
    network = build_encoder(NetworkSettings(), small, 2)
    assert isinstance(network, GammaPhysNet)
    assert [out for _, out, _ in convolutions(network)] == [16] * 7 + [32] * 6 + [64] * 6
    assert sum(isinstance(m, DualAttention) for m in network.modules()) == 3
    assert network[-1].linear.out_features == 256


def pooled_sizes(grid, n):
    sizes = [grid.n_pixels]
    while len(sizes) < n:
        grid = grid.pooled()
        sizes.append(grid.n_pixels)
    return sizes


@pytest.mark.parametrize(
    ("encoder", "widths", "expected"),
    [
        ("conv4", None, [16, 32, 64, 128]),
        ("conv5", None, [16, 32, 32, 64, 128]),
        ("conv4", [2, 3, 4, 5], [2, 3, 4, 5]),
    ],
)
def test_layers_of_the_plain_networks(small, encoder, widths, expected):
    settings = NetworkSettings(encoder=encoder, widths=widths)
    network = build_encoder(settings, small, 2)
    assert isinstance(network, PlainConvNet)
    assert [out for _, out, _ in convolutions(network)] == expected
    pixels = [n for _, _, n in convolutions(network)]
    assert pixels == pooled_sizes(small, len(expected)), "each layer pools"


@pytest.mark.parametrize(
    ("attention", "kind"),
    [
        ("spatial", SpatialAttention),
        ("squeeze_excitation", SqueezeExcitation),
        ("none", nn.Identity),
    ],
)
def test_attention_of_the_settings(small, attention, kind):
    network = build_encoder(NetworkSettings(attention=attention), small, 2)
    assert sum(type(layer) is kind for layer in list(network)[1:]) == 3
    assert not any(isinstance(m, DualAttention) for m in network.modules())


#: All but the network without an encoder.
ENCODERS = typing.get_args(NetworkSettings.model_fields["encoder"].annotation)[1:]


def test_settings_name_what_is_registered():
    assert available_encoders().keys() == set(ENCODERS)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_parameter_gets_a_gradient(small, encoder, n_channels):
    torch.manual_seed(0)
    network = build_encoder(NetworkSettings(encoder=encoder, embedding=8), small, n_channels)
    brightness = 3 * torch.randn(8, n_channels, 1)  # gates look at the mean of an image
    images = torch.randn(8, n_channels, small.n_pixels) + brightness
    network(images).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("encoder", ENCODERS)
def test_only_pixels_matter(small, encoder):
    """Where the index matrix is empty a dense layout has cells that gathered pixels do not have."""
    torch.manual_seed(0)
    images = torch.randn(3, 2, small.n_pixels, dtype=torch.float64)
    networks = {}
    for backend in ("gather", "dense", "native"):
        settings = NetworkSettings(encoder=encoder, embedding=16, keypoints=3, backend=backend)
        network = build_encoder(settings, small, 2, sky=SKY).double()
        network.load_state_dict(networks.setdefault("gather", network).state_dict())
        networks[backend] = network
    gathered, *others = [network(images) for network in networks.values()]
    assert gathered.shape == (3, 16 + N_SKY)
    for other in others:
        torch.testing.assert_close(other, gathered, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_saved_network_is_the_same(small, encoder, tmp_path):
    settings = NetworkSettings(encoder=encoder, embedding=16, keypoints=3)
    one, other = (build_encoder(settings, small, 2, sky=SKY) for _ in range(2))
    images = torch.randn(4, 2, small.n_pixels)
    one(images)  # statistics of a batch
    torch.save(one.state_dict(), tmp_path / "network.pt")
    other.load_state_dict(torch.load(tmp_path / "network.pt", weights_only=True))
    with torch.no_grad():
        assert torch.equal(one.eval()(images), other.eval()(images))


def n_weights(settings, grid):
    """Of the convolutions."""
    modules = build_encoder(settings, grid, 2).modules()
    return sum(m.weight.numel() for m in modules if type(m).__name__ == "IndexedConv")


def test_presets_of_gammaphysnet(small):
    """One name each; what is set beside it counts."""
    light, usual, deep = (
        NetworkSettings(encoder=f"gammaphysnet{size}") for size in ("_light", "", "_deep")
    )
    assert 6 * n_weights(light, small) < n_weights(usual, small)
    assert 2 * n_weights(usual, small) < n_weights(deep, small)
    # A first convolution, two a block.
    assert len(convolutions(build_encoder(deep, small, 2))) == 1 + 3 * 6 * 2
    changed = NetworkSettings(encoder="gammaphysnet_deep", blocks=1, widths=[4, 8])
    assert convolutions(build_encoder(changed, small, 2))[0][:2] == (2, 4)
    assert len(convolutions(build_encoder(changed, small, 2))) == 1 + 2 * 2


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_image_does_not_depend_on_the_others_once_trained(small, encoder):
    torch.manual_seed(0)
    network = build_encoder(NetworkSettings(encoder=encoder, embedding=8), small, 2)
    network(torch.randn(8, 2, small.n_pixels))
    network.eval()
    images = torch.randn(5, 2, small.n_pixels)
    with torch.no_grad():
        alone = torch.cat([network(image[None]) for image in images])
        torch.testing.assert_close(network(images), alone, rtol=1e-5, atol=1e-5)
