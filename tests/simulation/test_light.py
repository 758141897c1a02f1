"""Cherenkov light against closed formulas, against each other and against ctapipe's frames."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from ctapipe.coordinates import AltAz, CameraFrame

from gammalearn.simulation.atmosphere import density, refractivity, thickness
from gammalearn.simulation.light import HEIGHT_STEP, N_HEIGHTS, _arrive, emit, emit_scattered
from gammalearn.simulation.optics import Optics, direction, pointing_axes
from gammalearn.simulation.telescopes import telescope_model

HEIGHT = 2158.0
ALPHA = 1.0 / 137.036
#: Photons per metre and sin² of the angle, 300 to 600 nm.
FRANK_TAMM = 2.0 * np.pi * ALPHA * (1.0 / 300e-9 - 1.0 / 600e-9)


def mirrors(positions, radius, alt=np.pi / 2, capacity=200_000, half=0.2):
    """Perfect mirrors that see 300 to 600 nm, with a camera of one big pixel."""
    optics = Optics(
        yields=np.full((1, N_HEIGHTS), FRANK_TAMM),
        psf=np.zeros((1, 2)),
        delay=np.zeros(1),
        half=np.array([half]),
        pixels=np.zeros((1, 8, 8), dtype=np.int16),
        axes=pointing_axes(alt, 0.0),
        observation_height=HEIGHT,
    )
    n = len(positions)
    return optics.light(positions, np.full(n, radius), np.zeros(n, int), 1.0, capacity)


def angle_at(z):
    return np.arccos(1.0 / (1.0 + refractivity(density(z + HEIGHT))))


def test_a_muon_through_the_mirror_gives_the_light_of_frank_and_tamm():
    """Vertical through the centre: the last R / tan(angle) metres of the track are seen."""
    radius = 11.1
    light = mirrors([[0.0, 0.0, 0.0]], radius)
    rng = np.random.default_rng(1)
    expected = 0.0
    for top in np.arange(20.0, 1000.0, 20.0):
        emit(light, 0.0, 0.0, top, 0.0, 0.0, 0.0, -1.0, 20.0, 1.0, rng)
        angle = angle_at(top - 10.0)
        seen = np.clip(radius / np.tan(angle) - (top - 20.0), 0.0, 20.0)
        expected += FRANK_TAMM * np.sin(angle) ** 2 * seen
    # About the 18 400 photons that are quoted for an LST.
    assert expected == pytest.approx(18_400, rel=0.05)
    assert light.total[0] == pytest.approx(expected, abs=4.0 * np.sqrt(expected))


def test_all_light_falls_on_a_mirror_as_big_as_the_pool():
    light = mirrors([[3.0, -5.0, 0.0]], 500.0)
    z, length = 8_000.0, 100.0
    emit(light, 0.0, 0.0, z, 0.0, 0.0, 0.0, -1.0, length, 1.0, np.random.default_rng(2))
    expected = FRANK_TAMM * np.sin(angle_at(z - 50.0)) ** 2 * length
    assert light.total[0] == pytest.approx(expected, abs=4.0 * np.sqrt(expected))


@pytest.mark.parametrize("spread", [0.0005, 0.002, 0.008])
def test_smeared_light_is_that_of_many_straight_tracks(spread):
    """The smeared cone is the mean of straight tracks with scattered directions."""
    z, length, tracks = 8_000.0, 50.0, 4000
    distances = np.array([20.0, 80.0, 110.0, 130.0, 160.0, 220.0])
    phi = 2.0 * np.pi * np.arange(6) / 6
    positions = np.array([[d * np.cos(p), d * np.sin(p), 0.0] for d in distances for p in phi])
    rng = np.random.default_rng(3)
    straight, smeared = mirrors(positions, 6.0), mirrors(positions, 6.0)
    for _ in range(tracks):
        ux, uy = spread * rng.standard_normal(2)
        uz = -np.sqrt(1.0 - ux**2 - uy**2)
        start = z - 0.5 * length * uz  # both kinds of track have their middle at one place
        emit(
            straight, -0.5 * length * ux, -0.5 * length * uy, start,
            0.0, ux, uy, uz, length, 1.0, rng,
        )  # fmt: skip
        emit_scattered(
            smeared, 0.0, 0.0, z + 0.5 * length, 0.0, 0.0, 0.0, -1.0, length, 1.0, spread, rng
        )
    a = straight.total.reshape(6, 6).sum(axis=1)
    b = smeared.total.reshape(6, 6).sum(axis=1)
    # Two Poisson numbers, where straight tracks cluster: the photoelectrons of one come together
    # by the few, which widens the difference by the root of their mean number on a mirror.
    assert a.sum() > 1000
    clusters = 1.0 + FRANK_TAMM * np.sin(angle_at(z)) ** 2 * length * 6.0 / (2 * np.pi * 100.0)
    sigma = np.sqrt(clusters * (a + b) + 1.0)
    # The mirror's disc is taken as a Gaussian: five parts in a hundred of the ring's sharp edge.
    assert np.all(np.abs(a - b) < 4.0 * sigma + 0.05 * a.max())


def test_weights_count_for_many():
    light = mirrors([[0.0, 0.0, 0.0]], 300.0)._replace(weight=10.0)
    emit(light, 0.0, 0.0, 8_000.0, 0.0, 0.0, 0.0, -1.0, 200.0, 1.0, np.random.default_rng(2))
    expected = FRANK_TAMM * np.sin(angle_at(7_900.0)) ** 2 * 200.0
    assert light.total[0] == pytest.approx(expected, abs=4.0 * np.sqrt(10.0 * expected))
    assert light.count[0] * 10.0 == light.total[0]


def test_nothing_below_the_threshold_or_away_from_the_mirror():
    light = mirrors([[0.0, 0.0, 0.0]], 11.0)
    rng = np.random.default_rng(4)
    emit(light, 0.0, 0.0, 5_000.0, 0.0, 0.0, 0.0, -1.0, 100.0, 0.999, rng)
    emit(light, 0.0, 0.0, 5_000.0, 0.0, 0.0, 0.0, 1.0, 100.0, 1.0, rng)
    emit(light, 900.0, 0.0, 5_000.0, 0.0, 0.0, 0.0, -1.0, 100.0, 1.0, rng)
    emit_scattered(light, 900.0, 0.0, 5_000.0, 0.0, 0.0, 0.0, -1.0, 100.0, 1.0, 0.001, rng)
    assert light.total[0] == 0.0


def test_what_does_not_fit_is_counted():
    light = mirrors([[0.0, 0.0, 0.0]], 300.0, capacity=10)
    emit(light, 0.0, 0.0, 8_000.0, 0.0, 0.0, 0.0, -1.0, 200.0, 1.0, np.random.default_rng(2))
    assert light.count[0] > 10
    assert light.mirror.shape == (10,)


@pytest.mark.parametrize(("d_alt", "d_az"), [(0.0, 0.0), (0.9, 0.0), (0.0, 1.2), (-0.7, -0.6)])
@pytest.mark.parametrize("az", [0.0, 40.0, 180.0])
def test_light_lands_where_ctapipe_looks_for_it(d_alt, d_az, az):
    """A star beside the pointing falls on the pixel that ctapipe's frames give."""
    model = telescope_model("LST")
    alt = 70.0
    star = (alt + d_alt, az + d_az)
    optics = Optics.of([model], np.radians(alt), np.radians(az), HEIGHT)
    light = optics.light([[0.0, 0.0, 0.0]], [model.mirror_radius], [0], 1.0, 10)
    light.psf[:] = 0.0
    far = 1e7 * direction(*np.radians(star))
    _arrive(light, 0, 0.0, 0.0, *far, 0.0, 0.0, np.random.default_rng(5))

    pointing = SkyCoord(alt=alt * u.deg, az=az * u.deg, frame=AltAz())
    frame = CameraFrame(
        focal_length=model.focal_length * u.m,
        telescope_pointing=pointing,
        rotation=model.description.camera.geometry.cam_rotation,
    )
    place = SkyCoord(alt=star[0] * u.deg, az=star[1] * u.deg, frame=AltAz()).transform_to(frame)
    geometry = model.description.camera.geometry
    distance = np.hypot(
        (geometry.pix_x - place.x).to_value("m"), (geometry.pix_y - place.y).to_value("m")
    )
    assert light.count[0] == 1
    assert distance[light.pixel[0]] < distance.min() + 0.002


def test_a_plane_wave_reaches_the_focus_at_one_time():
    """An isochronous mirror delays no part of a wave from off its axis."""
    optics = Optics.of([telescope_model("LST")], np.radians(70.0), 0.3, HEIGHT)
    light = optics.light([[10.0, 20.0, 3.0]], [11.0], [0], 1.0, 100)
    far = 1e8 * direction(np.radians(71.2), 0.31)
    rng = np.random.default_rng(6)
    for hit in ([0.0, 0.0], [10.0, 0.0], [-7.0, 7.0], [0.0, -11.0]):
        _arrive(light, 0, *hit, *far, 0.0, 0.0, rng)
    assert light.count[0] == 4
    # 10 m at 1.2 degrees would be 0.7 ns.
    assert np.ptp(light.time[:4]) < 0.01


def test_light_is_late_by_the_air_on_its_way():
    """From 10 km the mean refractivity over the path makes light some 2.8 ns late."""
    optics = Optics.of([telescope_model("LST")], np.pi / 2, 0.0, HEIGHT)
    light = optics.light([[0.0, 0.0, 0.0]], [11.0], [0], 1.0, 10)
    z = 10_000.0 - HEIGHT
    crossed = thickness(HEIGHT) - thickness(10_000.0)
    _arrive(light, 0, 0.0, 0.0, 0.0, 0.0, z, 0.0, crossed, np.random.default_rng(7))
    heights = np.arange(HEIGHT, 10_000.0, 1.0) + 0.5
    late = sum(refractivity(density(h)) for h in heights) / 0.299792458
    assert light.time[0] == pytest.approx(z / 0.299792458 + late, abs=0.01)


def test_tables_reach_above_all_light():
    assert (N_HEIGHTS - 1) * HEIGHT_STEP == 60_000.0
