"""Telescopes that follow the sky, without the internet."""

import socket
import urllib.request

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import ICRS, AltAz, EarthLocation, SkyCoord
from astropy.utils import iers

from gammalearn.errors import SettingsError
from gammalearn.settings import ObservationSettings
from gammalearn.simulation.tracking import Tracking

LA_PALMA = EarthLocation.from_geodetic(-17.892 * u.deg, 28.7622 * u.deg, 2158 * u.m)

#: Largest distance (deg) of directions that are the same.
SAME = 1e-5


def track(**changes):
    return Tracking(ObservationSettings(output="a.h5", **changes), LA_PALMA)


def to_icrs(alt, az, time):
    """By astropy alone."""
    frame = AltAz(obstime=time, location=LA_PALMA)
    return SkyCoord(alt=alt * u.rad, az=az * u.rad, frame=frame).transform_to(ICRS())


def test_the_pointing_stays_in_the_sky_and_moves_on_the_ground():
    tracking = track(duration="20 min", wobble_offset=0.5, wobble_angle=90)
    seconds = np.sort(np.random.default_rng(1).uniform(0, 1200, 200))
    alt, az = tracking.pointing_at(seconds)
    sky = to_icrs(alt, az, tracking.time_at(seconds))
    # To the East of the Crab Nebula.
    crab = SkyCoord(83.6331 * u.deg, 22.0145 * u.deg)
    expected = crab.directional_offset_by(90 * u.deg, 0.5 * u.deg)
    assert sky.separation(expected).deg.max() < SAME
    moved = np.rad2deg(np.hypot(np.ptp(alt), np.ptp(az) * np.cos(alt[0])))
    # A third of an hour of the turning sky, at the declination of the Crab.
    assert moved == pytest.approx(20 / 60 * 15.04 * np.cos(np.radians(22)), rel=0.05)


def test_photons_come_from_the_source():
    tracking = track()
    positions = tracking.source_positions(0, 5, np.random.default_rng(1))
    seconds = np.linspace(0, 60, 5)
    alt, az = tracking.altaz_of(positions, seconds)
    sky = to_icrs(alt, az, tracking.time_at(seconds))
    assert sky.separation(tracking.source).deg.max() < SAME
    ra, dec = tracking.icrs_of(alt, az, seconds)
    np.testing.assert_allclose(ra, 83.6331, atol=SAME)
    np.testing.assert_allclose(dec, 22.0145, atol=SAME)


def test_an_extended_source_is_a_gaussian():
    tracking = track()
    positions = tracking.source_positions(0.3, 20_000, np.random.default_rng(2))
    lon, lat = (angle.deg for angle in tracking.source.spherical_offsets_to(positions))
    for offset in (lon, lat):
        assert np.mean(offset) == pytest.approx(0, abs=0.01)
        assert np.std(offset) == pytest.approx(0.3, rel=0.03)


def test_times_are_utc_in_and_tai_out():
    tracking = track(start="2024-12-01T03:20:00")
    assert tracking.start.scale == "tai"
    assert tracking.start.utc.isot == "2024-12-01T03:20:00.000"
    assert tracking.start.isot == "2024-12-01T03:20:37.000"
    assert (tracking.time_at(30.5) - tracking.start).to_value("s") == pytest.approx(30.5, abs=1e-9)


def test_a_source_that_is_too_low_is_refused():
    with pytest.raises(SettingsError) as error:
        track(start="2024-12-01T12:00:00", source={"name": "Sun's neighbour"})
    assert "The pointing beside 'Sun's neighbour' is " in str(error.value)
    assert "71 deg is the largest angle that can be simulated; change start" in str(error.value)


@pytest.mark.parametrize("start", ["2024-12-01T03:20:00", "2028-12-01T03:20:00"])
def test_nothing_is_downloaded(monkeypatch, start):
    """Even where astropy is allowed to, and its tables have ended."""

    def refuse(*_, **__):
        raise AssertionError("something is downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    monkeypatch.setattr(iers.IERS_Auto, "iers_table", None)
    with iers.conf.set_temp("auto_download", True):
        track(start=start, source={"ra": 83.6, "dec": 80}, proton=None, helium=None, electron=None)
