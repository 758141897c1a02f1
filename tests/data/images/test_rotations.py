"""Turned events, against ctapipe's frames and the geometry of a shower seen by telescopes."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import AltAz, SkyCoord
from ctapipe.coordinates import CameraFrame, TelescopeFrame
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gammalearn.camera import CameraType, from_plane, plane_axes
from gammalearn.data import Batch, CameraImages, EventRotations, Rotation
from gammalearn.settings import TaskSettings
from gammalearn.tasks import build_tasks

FOCAL_LENGTH = 28.0


def turn_of(angle):
    return Rotation(torch.tensor([float(angle)]))


def rotated_vector(vector, angle):
    return turn_of(angle)(torch.from_numpy(np.array(vector, dtype=float))[None])[0].numpy()


def rotated(xy, angle):
    """Positions in the camera rotated counterclockwise."""
    return xy * np.exp(1j * np.deg2rad(angle))


def sky_of(xy, pointing):
    """Offset (fov_lon, fov_lat) in deg of a place in the camera, by ctapipe."""
    frame = CameraFrame(focal_length=FOCAL_LENGTH * u.m, telescope_pointing=pointing)
    there = SkyCoord(x=xy.real * u.m, y=xy.imag * u.m, frame=frame)
    offset = there.transform_to(TelescopeFrame(telescope_pointing=pointing))
    return np.array([offset.fov_lon.wrap_at(180 * u.deg).deg, offset.fov_lat.deg])


def place_in_camera(vector, pointing):
    """Where light from a direction (x North, y West, z up) falls, by ctapipe."""
    x, y, z = vector
    sky = SkyCoord(
        az=np.arctan2(-y, x) * u.rad, alt=np.arctan2(z, np.hypot(x, y)) * u.rad, frame=AltAz()
    )
    frame = CameraFrame(focal_length=FOCAL_LENGTH * u.m, telescope_pointing=pointing)
    there = sky.transform_to(frame)
    return complex(there.x.to_value(u.m), there.y.to_value(u.m))


def pointing_at(alt, az):
    return SkyCoord(alt=alt * u.deg, az=az * u.deg, frame=AltAz())


directions = st.tuples(st.floats(30, 89), st.floats(0, 359))
angles = st.sampled_from([0.0, 60.0, 90.0, 120.0, 240.0, 300.0])
metres = st.floats(-150, 150)


@settings(deadline=None, max_examples=10)
@given(directions, angles, st.complex_numbers(max_magnitude=0.5))
def test_offsets_in_the_sky_turn_as_places_in_the_camera(direction, angle, xy):
    pointing = pointing_at(*direction)
    there = rotated_vector(sky_of(xy, pointing), angle)
    # ctapipe's frame takes places in the camera for angles of longitude and latitude, all but flat.
    np.testing.assert_allclose(there, sky_of(rotated(xy, angle), pointing), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    directions,
    angles,
    st.complex_numbers(max_magnitude=1.0),
    st.tuples(metres, metres, st.floats(-20, 20)),
    st.tuples(metres, metres),
    st.floats(9e3, 15e3),
)
@example((30.0, 10.0), 120.0, 1.0 + 0j, (100.0, -50.0, 10.0), (-150.0, 150.0), 9e3)
def test_a_turned_shower_is_seen_turned(direction, angle, offset, telescope, core, distance):
    """The image of a point on the axis moves in the camera as the turn says.

    Telescope and core are given in the plane; the core is where the axis meets the ground, 30 m
    below the reference.
    """
    pointing = pointing_at(*direction)
    axes = plane_axes(*np.atleast_2d(direction).T)
    to_pointing = axes[0, 2]

    def seen(offset, telescope, core):
        """Place in the camera, and how far the core is along the pointing."""
        source = SkyCoord(
            fov_lon=offset[0] * u.deg,
            fov_lat=offset[1] * u.deg,
            frame=TelescopeFrame(telescope_pointing=pointing),
        ).transform_to(AltAz())
        alt, az = source.alt.rad, source.az.rad
        axis = np.array([np.cos(alt) * np.cos(az), -np.cos(alt) * np.sin(az), np.sin(alt)])
        (core,) = from_plane(np.array(core)[None], axes, np.array([-30.0]))
        assert core[2] == pytest.approx(-30)
        along = core @ to_pointing
        point = core + axis * (distance - along) / (axis @ to_pointing)
        return place_in_camera(point - telescope @ axes[0], pointing), along

    offset = np.array([offset.real, offset.imag])
    before, along = seen(offset, np.array(telescope), core)
    after, along_after = seen(
        rotated_vector(offset, angle), rotated_vector(telescope, angle), rotated_vector(core, angle)
    )
    # The core was brought from the plane to the ground along the pointing, not along the axis:
    # that is not the same where the ground is nearer after the turn. Beside it stays the sphere's
    # curvature over two or three degrees.
    off_axis = np.tan(np.deg2rad(np.hypot(*offset)))
    sliding = FOCAL_LENGTH * off_axis * abs(along_after - along) / (distance - 20)
    assert abs(after - rotated(before, angle)) < 1.05 * sliding + 2e-3 * abs(before) + 1e-9


@settings(deadline=None, max_examples=10)
@given(st.tuples(*[st.floats(-300, 300)] * 3))
def test_what_is_along_the_pointing_stays_and_six_turns_are_none(position):
    start = torch.tensor([position], dtype=torch.float64)
    turn, there = turn_of(60.0), start
    for _ in range(6):
        there = turn(there)
        assert torch.equal(there[:, 2], start[:, 2])
    torch.testing.assert_close(there, start, rtol=0, atol=1e-9)
    assert torch.equal(turn_of(0.0)(start), start)


def test_each_event_turns_all_its_vectors_by_its_own_angle():
    """A quarter turn takes fov_lat, along x of the camera, to fov_lon, along y."""
    vectors = torch.tensor([[[0.0, 1.0], [2.0, 0.0]], [[0.0, 1.0], [2.0, 0.0]]])
    after = Rotation(torch.tensor([90.0, 180.0]))(vectors)
    expected = torch.tensor([[[1.0, 0.0], [0.0, -2.0]], [[0.0, -1.0], [-2.0, 0.0]]])
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)
    assert after.dtype == torch.float32


def hexagon(name="hexagon", radius=3, orientation=0.0):
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    z = (col + row * np.exp(-2j * np.pi / 3))[np.abs(col - row) <= radius]
    z = 0.05 * z * np.exp(1j * np.deg2rad(orientation))
    return CameraType(name, z.real, z.imag, "hexagonal", FOCAL_LENGTH)


def test_every_event_of_a_batch_turns_as_one():
    """Two cameras: the pixel that has light stands where the direction's target is."""
    torch.manual_seed(0)
    cameras = [hexagon("LST", 4), hexagon("MST", 3, orientation=19.0)]
    tasks = build_tasks({name: TaskSettings() for name in ("direction", "energy")})
    sources = {camera.name: np.arange(20) % camera.n_pixels for camera in cameras}
    images, targets = {}, []
    for number, camera in enumerate(cameras):
        lit = sources[camera.name]
        pixels = torch.zeros(20, 2, camera.n_pixels)
        pixels[torch.arange(20), :, lit] = 1.0
        # The telescope stands where it sees the light, and so it is described.
        place = torch.from_numpy(np.column_stack([camera.pix_y[lit], camera.pix_x[lit]])).float()
        images[camera.name] = CameraImages(
            pixels,
            20 * number + torch.arange(20),
            torch.cat([place, torch.full((20, 1), 7.0)], dim=1),
            place,
            scalars=torch.randn(20, 4),
            vectors=torch.stack([place, 2 * place], dim=1),
        )
        # fov_lat is along x, fov_lon along y.
        targets.append(np.column_stack([camera.pix_y[lit], camera.pix_x[lit]]))
    direction = torch.from_numpy(np.concatenate(targets)) * 180 / np.pi / FOCAL_LENGTH
    energy = torch.randn(40, 1)
    batch = Batch(images, torch.arange(40), {"direction": direction, "energy": energy})

    turns = EventRotations(cameras)
    assert turns.angles.tolist() == [0, 60, 120, 180, 240, 300]
    after = turns(batch, tasks)
    assert torch.equal(after.targets["energy"], energy)
    assert not torch.equal(after.targets["direction"], direction)
    for number, camera in enumerate(cameras):
        turned_images = after.images[camera.name]
        lit = turned_images.pixels[:, 0].argmax(dim=1).numpy()
        assert torch.equal(turned_images.pixels.sum(dim=2), torch.ones(20, 2))
        lon_lat = np.column_stack([camera.pix_y[lit], camera.pix_x[lit]]) * 180 / np.pi
        expected = after.targets["direction"][20 * number : 20 * number + 20].numpy()
        np.testing.assert_allclose(lon_lat / FOCAL_LENGTH, expected, atol=1e-6)
        place = lon_lat * np.pi / 180
        np.testing.assert_allclose(turned_images.position[:, :2], place, atol=1e-6)
        assert (turned_images.position[:, 2] == 7).all()
        np.testing.assert_allclose(turned_images.pointing, place, atol=1e-6)
        for n in range(2):
            np.testing.assert_allclose(turned_images.vectors[:, n], (n + 1) * place, atol=1e-6)
        assert torch.equal(turned_images.scalars, images[camera.name].scalars)
    assert len(np.unique((after.targets["direction"] - direction).norm(dim=1).round())) >= 1


def test_cameras_turn_by_angles_that_all_allow():
    row, col = np.mgrid[:4, :4].reshape(2, -1)
    square = CameraType("square", col - 1.5, 1.5 - row, "square", FOCAL_LENGTH)
    assert EventRotations([square]).angles.tolist() == [0, 90, 180, 270]
    assert EventRotations([square, hexagon()]).angles.tolist() == [0, 180]


def test_without_pixels_the_angles_are_many():
    """There is nothing that has to come to lie on a lattice."""
    turns = EventRotations([hexagon()], with_pixels=False)
    assert turns.angles.tolist() == list(range(0, 360, 5))
    tasks = build_tasks({"direction": TaskSettings()})
    along_lat = torch.tensor([[0.0, 1.0]])
    images = CameraImages(
        torch.zeros(1, 0, 37),
        torch.arange(1),
        torch.zeros(1, 3),
        torch.zeros(1, 2),
        scalars=torch.ones(1, 1),
        vectors=along_lat[None],
    )
    batch = Batch({"hexagon": images}, torch.arange(1), {"direction": along_lat})
    after = turns.rotated(batch, torch.tensor([6]), tasks)  # 30 deg
    expected = torch.tensor([[0.5, np.sqrt(0.75)]], dtype=torch.float32)
    torch.testing.assert_close(after.targets["direction"], expected)
    torch.testing.assert_close(after.images["hexagon"].vectors[0], expected)
    assert after.images["hexagon"].pixels.shape == (1, 0, 37)


def test_impact_turns_with_the_telescopes():
    task = build_tasks({"impact": TaskSettings()})["impact"]
    torch.testing.assert_close(
        task.rotated(torch.tensor([[1.0, 0.0]], dtype=torch.float64), turn_of(120.0)),
        torch.tensor([[-0.5, -np.sqrt(0.75)]], dtype=torch.float64),
        rtol=0,
        atol=1e-6,
    )


def test_what_is_not_learnt_stays_so():
    assert np.isnan(rotated_vector([np.nan, np.nan], 60.0)).all()
