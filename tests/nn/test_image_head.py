"""What encoders read from their last feature map, against moments and fits by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gammalearn.camera import CameraType, PixelGrid
from gammalearn.nn.image_head import N_SKY, ImageHead, Keypoints, SkyEstimate
from gammalearn.nn.means import place_and_log_sigma, weighted_sky_mean

SKY = np.array([[0.02, -0.09], [0.1, 0.01], [-0.4, 0.3]])


def hexagon(radius=4):
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    inside = np.abs(col - row) <= radius
    return CameraType(
        "hexagon",
        0.05 * (col - row / 2)[inside],
        -0.05 * np.sqrt(0.75) * row[inside],
        "hexagonal",
        focal_length=28.0,
    )


def test_keypoints_are_weighted_moments():
    torch.manual_seed(0)
    positions = np.random.default_rng(0).normal(size=(20, 2))
    layer = Keypoints(3, 4, positions).double()
    features = torch.randn(2, 3, 20, dtype=torch.float64)
    points = layer(features)
    assert points.shape == (2, 4, 5)
    logits = layer.maps(features).detach().numpy()
    for image in range(2):
        for number in range(4):
            weights = np.exp(logits[image, number])
            mean = np.average(positions, axis=0, weights=weights)
            covariance = np.cov(positions.T, aweights=weights, ddof=0)
            expected = [*mean, covariance[0, 0], covariance[0, 1], covariance[1, 1]]
            # Positions are kept in single precision.
            np.testing.assert_allclose(
                points[image, number].detach().numpy(), expected, rtol=1e-5, atol=1e-6
            )


def test_pixels_look_where_the_camera_frame_says():
    camera = hexagon()
    grid = camera.grid
    cells = np.column_stack([grid.rows, grid.cols, np.ones(grid.n_pixels)])
    lon_lat = np.rad2deg(np.column_stack([camera.pix_y, camera.pix_x]) / 28.0)
    np.testing.assert_allclose(cells @ camera.sky_of_cells, lon_lat, atol=1e-9)


def test_moments_are_precise_where_the_network_is_not():
    """A narrow image off axis, whose variances are small differences of squares."""
    torch.manual_seed(0)
    camera = hexagon()
    layer = ImageHead(2, camera.grid, 8, n_keypoints=1, sky=SKY)
    seen = {}
    layer.keypoints.register_forward_hook(lambda *parts: seen.update(keypoints=parts[-1]))
    with torch.no_grad():
        layer.keypoints.maps.weight.zero_()[0, 0] = 8
    pixels = layer.keypoints.moments[:, :2]
    shape = -((pixels - pixels[7]) ** 2).sum(dim=1) / (2 * 0.05**2) / 8
    features = torch.stack([shape, torch.zeros_like(shape)])[None].bfloat16()
    exact = layer(features.float())[0]
    moments = seen["keypoints"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = layer(features)[0]
    torch.testing.assert_close(seen["keypoints"], moments, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(rounded[-N_SKY:], exact[-N_SKY:], rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.floats(-1, 1), st.floats(-1, 1))
def test_a_shifted_image_gives_a_shifted_direction(seed, lon, lat):
    """The step from the first keypoint and the precision are the same all over the camera."""
    torch.manual_seed(seed)
    layer = SkyEstimate(3, 4).double()
    features = torch.randn(5, 3, 20, dtype=torch.float64)
    keypoints = torch.randn(5, 4, 5, dtype=torch.float64)
    keypoints[..., 2], keypoints[..., 4] = keypoints[..., 2].exp(), keypoints[..., 4].exp()
    keypoints[..., 3] = 0.5 * (keypoints[..., 2] * keypoints[..., 4]).sqrt()
    shift = torch.tensor([lon, lat, 0, 0, 0], dtype=torch.float64)
    shifted = layer(features, keypoints + shift)
    torch.testing.assert_close(shifted, layer(features, keypoints) + shift, rtol=1e-9, atol=1e-9)
    xx, xy, yy = shifted[:, 2:].unbind(dim=1)
    assert (xx > 0).all() and (xx * yy - xy * xy > 0).all(), "a precision is positive definite"


def test_an_image_knows_best_across_its_axis():
    torch.manual_seed(0)
    layer = SkyEstimate(2, 1).double()
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    along = np.deg2rad(30.0)
    axis, across = (
        np.array([np.cos(along), np.sin(along)]),
        np.array([-np.sin(along), np.cos(along)]),
    )
    extent = 0.09 * np.outer(axis, axis) + 0.01 * np.outer(across, across)
    keypoints = torch.tensor([[[0.0, 0.0, extent[0, 0], extent[0, 1], extent[1, 1]]]])
    xx, xy, yy = layer(torch.zeros(1, 2, 7, dtype=torch.float64), keypoints.double())[0, 2:]
    precision = np.array([[xx.item(), xy.item()], [xy.item(), yy.item()]])
    assert across @ precision @ across > 30 * (axis @ precision @ axis)
    assert abs(across @ precision @ axis) < 1e-6 * np.trace(precision)


def test_the_mean_of_an_event_is_the_least_squares_solution():
    """Σ (x − x_i)ᵀ P_i (x − x_i) is least there; images of other events do not matter."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(6, 2, 2))
    precisions = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(2)
    places, event = rng.normal(size=(6, 2)), np.array([0, 1, 0, 2, 1, 0])
    estimates = np.column_stack(
        [places, precisions[:, 0, 0], precisions[:, 0, 1], precisions[:, 1, 1]]
    )
    mean = weighted_sky_mean(torch.tensor(estimates), torch.tensor(event), 3).numpy()
    xx, xy, yy = mean[:, 2:].T
    for number in range(3):
        mine = event == number
        root = np.linalg.cholesky(precisions[mine]).transpose(0, 2, 1)
        expected = np.linalg.lstsq(
            root.reshape(-1, 2), np.einsum("nij,nj->ni", root, places[mine]).ravel()
        )[0]
        np.testing.assert_allclose(mean[number, :2], expected, rtol=1e-4, atol=1e-5)
        total = precisions[mine].sum(axis=0)
        summed = [[xx[number], xy[number]], [xy[number], yy[number]]]
        np.testing.assert_allclose(summed, total, rtol=1e-5)


@pytest.mark.parametrize("symmetry", hexagon().grid.symmetries, ids=str)
def test_turned_images_of_an_event_give_the_turned_mean(symmetry):
    """Turned or mirrored are places, x → M x, and precisions, P → M P Mᵀ."""

    def turned(estimates, matrix):
        places, (xx, xy, yy) = estimates[:, :2], estimates[:, 2:].T
        precisions = matrix @ np.moveaxis(np.array([[xx, xy], [xy, yy]]), 2, 0) @ matrix.T
        parts = precisions[:, 0, 0], precisions[:, 0, 1], precisions[:, 1, 1]
        return np.column_stack([places @ matrix.T, *parts])

    random = np.random.default_rng(0)
    factors = random.normal(size=(5, 2, 2))
    xx, xy, _, yy = (factors @ factors.transpose(0, 2, 1)).reshape(5, 4).T
    estimates = np.column_stack([random.normal(size=(5, 2)), xx, xy, yy])
    event, matrix = torch.tensor([0, 1, 1, 0, 1]), symmetry.matrix()
    mean = weighted_sky_mean(torch.tensor(estimates), event, 2).numpy()
    of_turned = weighted_sky_mean(torch.tensor(turned(estimates, matrix)), event, 2).numpy()
    np.testing.assert_allclose(of_turned, turned(mean, matrix), rtol=1e-4, atol=1e-5)


def test_two_lines_cross_where_they_should():
    line = [1e4, 0.0, 1e-4]  # known across, not along
    estimates = torch.tensor([[0.5, 9.0, *line], [-7.0, -0.25, *line[::-1]]])
    place = weighted_sky_mean(estimates, torch.tensor([0, 0]), 1)
    torch.testing.assert_close(place[:, :2], torch.tensor([[0.5, -0.25]]), rtol=0, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.floats(0.01, 1), st.floats(0.01, 1))
def test_uncertainty_in_the_sky_is_the_mean_of_the_variances(seed, along, across):
    """As scattered offsets of that covariance have, whatever way they are turned."""
    angle = np.random.default_rng(seed).uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turn @ np.diag([along**2, across**2]) @ turn.T
    (xx, xy), (_, yy) = np.linalg.inv(covariance)
    place = place_and_log_sigma(torch.tensor([[0.3, -0.7, xx, xy, yy]], dtype=torch.float64))
    expected = [0.3, -0.7, np.log(np.sqrt((along**2 + across**2) / 2))]
    np.testing.assert_allclose(place.numpy()[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("n_keypoints", "sky", "n_numbers"),
    [(0, None, 8), (0, SKY, 8), (3, None, 8), (3, SKY, 8 + N_SKY)],
)
def test_an_estimate_needs_keypoints_and_the_sky(n_keypoints, sky, n_numbers):
    grid = PixelGrid([[0, 1, -1], [2, 3, 4], [-1, 5, 6]])
    readout = ImageHead(2, grid, 8, n_keypoints, sky)
    assert readout(torch.randn(4, 2, 7)).shape == (4, n_numbers)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**31),
    st.sampled_from([0.0, 1e-9, 1e-3, 2.0]),
    st.sampled_from([-1e-7, 0.0, 1e-7]),
)
def test_single_precision_keeps_precisions_positive(seed, extent, rounding):
    """Maps that look at one pixel have an extent of zero, up to rounding on either side."""
    torch.manual_seed(seed)
    layer, angle = SkyEstimate(2, 1), torch.rand(1).item() * 2 * np.pi
    for parameter in layer.parameters():
        parameter.data *= 10
    c, s = np.cos(angle), np.sin(angle)
    line = [extent * c * c + rounding, extent * c * s, extent * s * s - rounding]
    keypoints = torch.tensor([[[0.1, 0.2, *line]]] * 3)
    estimates = layer(torch.randn(3, 2, 7), keypoints)
    xx, xy, yy = estimates[:, 2:].double().unbind(dim=1)
    assert (xx > 0).all() and (xx * yy - xy * xy > 0).all()
    assert weighted_sky_mean(estimates, torch.tensor([0, 1, 1]), 2).isfinite().all()
