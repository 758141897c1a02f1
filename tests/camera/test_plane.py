"""The plane perpendicular to the pointing, against astropy's and ctapipe's frames."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, CartesianRepresentation, SkyCoord
from ctapipe.coordinates import GroundFrame, TelescopeFrame, TiltedGroundFrame
from ctapipe.coordinates import impact_distance as ctapipes_impact_distance
from hypothesis import assume, given
from hypothesis import strategies as st

from gammalearn.camera import from_plane, impact_distance, plane_axes, to_plane

altitudes, azimuths = st.floats(20, 90), st.floats(0, 360)
metres = st.floats(-300, 300)

#: Some pointings, near the zenith and to all sides.
POINTINGS = np.array([(20, 0), (52, 45), (70, 180), (89.9, 271), (90, 0), (35, 359.9)])


def axes_at(alt, az):
    return plane_axes(np.array([alt]), np.array([az]))


def pointing_at(alt, az):
    return SkyCoord(alt=alt * u.deg, az=az * u.deg, frame=AltAz())


def to_ground(direction):
    """A direction of astropy's as a vector x North, y West, z up."""
    return direction.cartesian.xyz.value * [1, -1, 1]


def offset_of(vector, pointing):
    """(fov_lon, fov_lat) in deg of the direction of a vector in the ground frame."""
    x, y, z = vector
    there = SkyCoord(CartesianRepresentation(x, -y, z), frame=AltAz())
    there = there.transform_to(TelescopeFrame(telescope_pointing=pointing))
    return np.array([there.fov_lon.wrap_at(180 * u.deg).deg, there.fov_lat.deg])


@given(altitudes, azimuths, st.floats(-3, 3), st.floats(-3, 3))
def test_axes_are_those_of_offsets_in_the_sky(alt, az, lon, lat):
    """A direction at some offset has these components, by astropy."""
    pointing = pointing_at(alt, az)
    direction = SkyCoord(
        fov_lon=lon * u.deg, fov_lat=lat * u.deg, frame=TelescopeFrame(telescope_pointing=pointing)
    ).transform_to(AltAz())
    lon, lat = np.deg2rad([lon, lat])
    expected = [np.sin(lon) * np.cos(lat), np.sin(lat), np.cos(lon) * np.cos(lat)]
    components = axes_at(alt, az)[0] @ to_ground(direction)
    np.testing.assert_allclose(components, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("alt", "az", "lon", "lat"),
    [
        # To the horizon: fov_lon goes to the right, fov_lat up.
        (0, 0, [0, -1, 0], [0, 0, 1]),
        (0, 90, [-1, 0, 0], [0, 0, 1]),
        # To the zenith, from the north: fov_lat goes on to the south.
        (90, 0, [0, -1, 0], [-1, 0, 0]),
        (90, 180, [0, 1, 0], [1, 0, 0]),
    ],
)
def test_axes_by_hand(alt, az, lon, lat):
    np.testing.assert_allclose(axes_at(alt, az)[0, :2], [lon, lat], atol=1e-12)


def test_axes_are_perpendicular_and_of_length_one():
    axes = plane_axes(*POINTINGS.T)
    np.testing.assert_allclose(axes @ axes.swapaxes(1, 2), np.tile(np.eye(3), (6, 1, 1)), atol=1e-9)


def test_the_plane_is_ctapipes_tilted_ground():
    """Its axes go the other way: x down, against fov_lat, and y against fov_lon."""
    ground = np.random.default_rng(0).normal(0, 100, (len(POINTINGS), 3))
    for position, pointing, place in zip(
        ground, POINTINGS, to_plane(ground, plane_axes(*POINTINGS.T)), strict=True
    ):
        there = SkyCoord(*position * u.m, frame=GroundFrame()).transform_to(
            TiltedGroundFrame(pointing_direction=pointing_at(*pointing))
        )
        expected = [-there.y.to_value(u.m), -there.x.to_value(u.m)]
        np.testing.assert_allclose(place[:2], expected, atol=1e-6)


@given(altitudes, azimuths, metres, metres, metres)
def test_from_the_plane_to_the_ground_and_back(alt, az, lon, lat, height):
    axes = axes_at(alt, az)
    ground = from_plane(np.array([[lon, lat]]), axes, np.array([height]))
    assert ground[0, 2] == pytest.approx(height, abs=1e-6)
    np.testing.assert_allclose(to_plane(ground, axes)[0, :2], [lon, lat], atol=1e-6)


@given(altitudes, azimuths, metres, metres, metres)
def test_from_the_ground_to_the_plane_and_back(alt, az, x, y, z):
    axes, ground = axes_at(alt, az), np.array([[x, y, z]])
    there = to_plane(ground, axes)
    assert np.linalg.norm(there) == pytest.approx(np.linalg.norm(ground), abs=1e-6)
    again = from_plane(there[:, :2], axes, ground[:, 2])
    np.testing.assert_allclose(again, ground, atol=1e-6)


def test_each_event_has_its_own_pointing():
    ground = np.random.default_rng(1).normal(0, 100, (len(POINTINGS), 3))
    axes = plane_axes(*POINTINGS.T)
    together = to_plane(ground, axes)
    back = from_plane(together[:, :2], axes, ground[:, 2])
    for row, pointing in enumerate(POINTINGS):
        alone = to_plane(ground[row : row + 1], axes_at(*pointing))
        np.testing.assert_allclose(together[row], alone[0], atol=1e-9)
        np.testing.assert_allclose(back[row], ground[row], atol=1e-6)


@given(
    altitudes, azimuths, st.tuples(metres, metres), st.tuples(metres, metres, st.floats(-20, 20))
)
def test_the_image_of_a_shower_from_the_pointing_extends_along_the_way_to_it(
    alt, az, core, telescope
):
    """q − p in the plane is where the image lies, the further out the lower the light is made."""
    way = np.array(core) - telescope[:2]
    assume(np.hypot(*way) > 1)
    pointing, axes = pointing_at(alt, az), axes_at(alt, az)
    ground = from_plane(np.array([core]), axes, np.zeros(1))[0]
    at_telescope = np.array(telescope) @ axes[0]
    axis = to_ground(pointing)
    low, high = (offset_of(ground + h * axis - at_telescope, pointing) for h in (6e3, 12e3))
    for image in (low, high, low - high):
        # Offsets are of the sphere: 5 deg from the pointing, straight lines bend by 0.3 deg.
        cosine = image @ way / np.hypot(*image) / np.hypot(*way)
        assert cosine > np.cos(np.deg2rad(0.3))
    assert np.hypot(*low) > 1.5 * np.hypot(*high)


@given(st.lists(st.tuples(*[metres] * 5, altitudes, azimuths), min_size=1, max_size=5))
def test_impact_distances_are_those_of_ctapipe(rows):
    """Of many showers at once, ctapipe's of each."""
    x, y, z, core_x, core_y, alt, az = np.array(rows).T
    position = np.column_stack([x, y, z])
    found = impact_distance(position, core_x, core_y, alt, az)
    for number, at in enumerate(position):
        core = np.array([core_x[number], core_y[number], 0.0])
        axis = to_ground(pointing_at(alt[number], az[number]))
        (expected,) = ctapipes_impact_distance(core, axis, at[np.newaxis])
        assert found[number] == pytest.approx(expected, abs=1e-9)
