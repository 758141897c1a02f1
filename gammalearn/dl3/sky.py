"""Times and directions of an observation as DL3 has them: seconds since an epoch, ICRS."""

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, AltAz, EarthLocation, SkyCoord
from astropy.time import Time

from ..io.observed.earth_rotation import offline

__all__ = ["EPOCH", "seconds_of", "time_of", "to_icrs"]

#: Times are seconds since this epoch, a whole MJD: in double precision good to 0.03 µs.
EPOCH = Time(58392, format="mjd", scale="tt")


def seconds_of(time: Time) -> np.ndarray:
    """Seconds (TT) since the epoch; shape as given."""
    return (time.tt - EPOCH).sec


def time_of(seconds: np.ndarray) -> Time:
    """Times (TT) by their seconds since the epoch; shape as given."""
    return EPOCH + np.asarray(seconds, dtype=np.float64) * u.s


def to_icrs(
    alt: np.ndarray, az: np.ndarray, seconds: np.ndarray, location: EarthLocation
) -> SkyCoord:
    """Where in the sky directions are.

    As in ctapipe, there is no refraction: reconstructed directions are those outside of the
    atmosphere. Nothing is downloaded, see :func:`gammalearn.io.observed.earth_rotation.offline`.

    Parameters
    ----------
    alt, az : ndarray, shape (n,)
        Altitude and azimuth (deg), azimuth from North to East.
    seconds : ndarray, shape (n,)
        Since the epoch.
    location : EarthLocation
        Of the array.

    Returns
    -------
    SkyCoord, shape (n,)
        In ICRS.
    """
    with offline():
        frame = AltAz(obstime=time_of(seconds), location=location)
        sky = SkyCoord(alt=alt * u.deg, az=az * u.deg, frame=frame)
        return sky.transform_to(ICRS())
