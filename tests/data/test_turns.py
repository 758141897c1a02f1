"""Turned events, against ctapipe's frames and the geometry of a shower seen by telescopes."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import AltAz, SkyCoord
from ctapipe.coordinates import CameraFrame, TelescopeFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from gammalearn.camera import CameraType
from gammalearn.data import Batch, CameraImages, EventTurns, Turn
from gammalearn.settings import TaskSettings
from gammalearn.tasks import build_tasks

FOCAL_LENGTH = 28.0


def turn_of(angle, alt, az):
    return Turn(torch.tensor([float(angle)]), torch.tensor([[alt, az]], dtype=torch.float64))


def turned(xy, angle):
    """Positions in the camera turned counterclockwise."""
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


@settings(deadline=None, max_examples=10)
@given(directions, angles, st.complex_numbers(max_magnitude=0.5))
def test_offsets_in_the_sky_turn_as_places_in_the_camera(direction, angle, xy):
    pointing = pointing_at(*direction)
    offset = torch.from_numpy(sky_of(xy, pointing))[None]
    there = turn_of(angle, *direction).sky(offset)[0].numpy()
    # In the plane of ctapipe's offsets a turn is one in the camera up to the sphere's curvature.
    np.testing.assert_allclose(there, sky_of(turned(xy, angle), pointing), atol=1e-3)


@settings(deadline=None, max_examples=12)
@given(
    directions,
    angles,
    st.complex_numbers(max_magnitude=1.0),
    st.tuples(*[st.floats(-150, 150)] * 2, st.floats(-20, 20)),
    st.tuples(*[st.floats(-150, 150)] * 2),
    st.floats(9e3, 15e3),
)
def test_a_turned_shower_is_seen_turned(direction, angle, offset, telescope, core, height):
    """The image of a point on the axis moves in the camera as the turn says."""
    pointing, turn = pointing_at(*direction), turn_of(angle, *direction)

    def seen(offset, telescope, core):
        source = SkyCoord(
            fov_lon=offset[0] * u.deg,
            fov_lat=offset[1] * u.deg,
            frame=TelescopeFrame(telescope_pointing=pointing),
        ).transform_to(AltAz())
        alt, az = source.alt.rad, source.az.rad
        axis = np.array([np.cos(alt) * np.cos(az), -np.cos(alt) * np.sin(az), np.sin(alt)])
        return place_in_camera(np.array(core) + height * axis - np.array(telescope), pointing)

    def ground(position):
        return turn.ground(torch.tensor([position], dtype=torch.float64))[0].numpy()

    offset = np.array([offset.real, offset.imag])
    before = seen(offset, telescope, [*core, 0.0])
    after = seen(
        turn.sky(torch.from_numpy(offset)[None])[0].numpy(),
        ground(telescope),
        ground([*core, 0.0]),
    )
    # Sliding along the axis, by up to 500 m at 30 degrees, changes the distance a little.
    assert abs(after - turned(before, angle)) < 0.08 * (abs(before) + 0.1)
    if direction[0] > 88:
        assert abs(after - turned(before, angle)) < 0.003 * (abs(before) + 0.1)


@settings(deadline=None, max_examples=10)
@given(directions, st.tuples(*[st.floats(-300, 300)] * 3))
def test_heights_stay_and_six_turns_are_none(direction, position):
    start = torch.tensor([position], dtype=torch.float64)
    turn, there = turn_of(60.0, *direction), start
    for _ in range(6):
        there = turn.ground(there)
        torch.testing.assert_close(there[:, 2], start[:, 2], rtol=0, atol=1e-9)
    torch.testing.assert_close(there, start, rtol=0, atol=1e-6)
    torch.testing.assert_close(turn_of(0.0, *direction).ground(start), start, atol=1e-9, rtol=0)


def hexagon(name="hexagon", radius=3, orientation=0.0):
    col, row = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    z = (col + row * np.exp(-2j * np.pi / 3))[np.abs(col - row) <= radius]
    z = 0.05 * z * np.exp(1j * np.deg2rad(orientation))
    return CameraType(name, z.real, z.imag, "hexagonal", FOCAL_LENGTH)


def test_every_event_of_a_batch_turns_as_one():
    """Two cameras: the pixel that has light stands where the direction's target is."""
    torch.manual_seed(0)
    cameras = [hexagon("LST", 4), hexagon("MST", 3, orientation=19.0)]
    pointing = np.tile([70.0, 180.0], (40, 1))
    tasks = build_tasks({name: TaskSettings() for name in ("direction", "energy")})
    sources = {camera.name: np.arange(20) % camera.n_pixels for camera in cameras}
    images, targets = {}, []
    for number, camera in enumerate(cameras):
        lit = sources[camera.name]
        pixels = torch.zeros(20, 2, camera.n_pixels)
        pixels[torch.arange(20), :, lit] = 1.0
        images[camera.name] = CameraImages(
            pixels, 20 * number + torch.arange(20), torch.randn(20, 3), torch.zeros(20, 2)
        )
        # fov_lat is along x, fov_lon along y.
        targets.append(np.column_stack([camera.pix_y[lit], camera.pix_x[lit]]))
    direction = torch.from_numpy(np.concatenate(targets)) * 180 / np.pi / FOCAL_LENGTH
    energy = torch.randn(40, 1)
    batch = Batch(images, torch.arange(40), {"direction": direction, "energy": energy})

    turns = EventTurns(cameras, pointing)
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
    assert len(np.unique((after.targets["direction"] - direction).norm(dim=1).round())) >= 1


def test_cameras_turn_by_angles_that_all_allow():
    row, col = np.mgrid[:4, :4].reshape(2, -1)
    square = CameraType("square", col - 1.5, 1.5 - row, "square", FOCAL_LENGTH)
    assert EventTurns([square], np.zeros((1, 2))).angles.tolist() == [0, 90, 180, 270]
    assert EventTurns([square, hexagon()], np.zeros((1, 2))).angles.tolist() == [0, 180]


def test_impact_turns_with_the_telescopes():
    task = build_tasks({"impact": TaskSettings()})["impact"]
    turn = turn_of(120.0, 90.0 - 1e-6, 0.0)
    # At the zenith fov_lat grows to the South and fov_lon to the East; y is to the West.
    torch.testing.assert_close(
        task.turned(torch.tensor([[1.0, 0.0]], dtype=torch.float64), turn),
        torch.tensor([[-0.5, np.sqrt(0.75)]], dtype=torch.float64),
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize("target", [[np.nan, np.nan]])
def test_what_is_not_learnt_stays_so(target):
    turn = turn_of(60.0, 70.0, 10.0)
    assert turn.sky(torch.tensor([target])).isnan().all()
