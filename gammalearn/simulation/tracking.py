"""Where telescopes point while they follow a place in the sky, and where the sky is meanwhile.

Directions are those of astropy, without refraction, as ctapipe and gammapy have them. The drives
report where they point each second. Between two reports they move evenly: the simulated telescopes
point exactly where somebody who interpolates the reports thinks they do.
"""

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, AltAz, EarthLocation, SkyCoord
from astropy.time import Time

from ..errors import SettingsError
from ..io.observed.earth_rotation import offline
from ..settings import ObservationSettings
from ..settings.simulation import LARGEST_ZENITH

__all__ = ["Tracking"]

#: Seconds between two reports of the drives.
REPORT_STEP = 1.0

#: Reports before and after the observation, so that all events have one on either side.
MARGIN = 2

#: Photons of an extended source come from within so many standard deviations.
REACH = 4.0


class Tracking:
    """Telescopes that follow a place beside a source.

    Parameters
    ----------
    settings : ObservationSettings
    location : EarthLocation
        Of the array.

    Raises
    ------
    SettingsError
        If the telescopes would have to point too low.
    """

    def __init__(self, settings: ObservationSettings, location: EarthLocation) -> None:
        self._location = location
        self.duration = settings.duration * 60.0
        with offline():
            self.start = Time(settings.start, scale="utc").tai
            self.source = SkyCoord(settings.source.ra * u.deg, settings.source.dec * u.deg)
            self.pointing = self.source.directional_offset_by(
                settings.wobble_angle * u.deg, settings.wobble_offset * u.deg
            )
        n_reports = int(np.ceil(self.duration / REPORT_STEP)) + 2 * MARGIN + 1
        #: When the drives report (s after the start).
        self.reported = REPORT_STEP * (np.arange(n_reports) - MARGIN)
        alt, az = self.altaz_of(self.pointing, self.reported)
        self._alt, self._az = alt, np.unwrap(az)
        self._check(settings)

    def _check(self, settings: ObservationSettings) -> None:
        lowest = np.argmin(self._alt)
        zenith = 90.0 - np.degrees(self._alt[lowest])
        source = settings.source
        cones = [diffuse.viewcone for diffuse in settings.diffuse().values()]
        margin = max([*cones, settings.wobble_offset + REACH * source.extension])
        if zenith > LARGEST_ZENITH - margin:
            when = self.time_at(self.reported[lowest]).utc.isot.partition(".")[0]
            raise SettingsError(
                f"The pointing beside '{source.name}' is {zenith:.0f} deg from the zenith at "
                f"{when} UTC, and {LARGEST_ZENITH - margin:g} deg is the largest angle that can be "
                "simulated; change start, duration or the source."
            )

    def time_at(self, seconds: float | np.ndarray) -> Time:
        """The time (TAI) some seconds after the start; shape as given."""
        return self.start + np.asarray(seconds, dtype=float) * u.s

    def pointing_at(self, seconds: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Altitude and azimuth (rad) of the pointing some seconds after the start.

        Parameters
        ----------
        seconds : float or ndarray, shape (n,)

        Returns
        -------
        alt, az : ndarray, shape (n,)
            The azimuth goes on beyond 2π where the telescopes cross North.
        """
        when = np.asarray(seconds, dtype=float)
        alt = np.interp(when, self.reported, self._alt)
        return alt, np.interp(when, self.reported, self._az)

    def source_positions(self, extension: float, n: int, rng: np.random.Generator) -> SkyCoord:
        """Draw from where in the sky photons of the source come.

        Parameters
        ----------
        extension : float
            Standard deviation (deg) of a Gaussian, in each direction.
        n : int
        rng : numpy.random.Generator

        Returns
        -------
        SkyCoord, shape (n,)
        """
        angle = 2.0 * np.pi * rng.random(n)
        separation = extension * np.sqrt(-2.0 * np.log(1.0 - rng.random(n)))
        return self.source.directional_offset_by(angle * u.rad, separation * u.deg)

    def altaz_of(self, sky: SkyCoord, seconds: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Altitude and azimuth (rad) of places in the sky some seconds after the start.

        Parameters
        ----------
        sky : SkyCoord, shape (n,) or ()
        seconds : float or ndarray, shape (n,)

        Returns
        -------
        alt, az : ndarray, shape (n,)
        """
        with offline():
            seen = sky.transform_to(AltAz(obstime=self.time_at(seconds), location=self._location))
        return seen.alt.rad, seen.az.rad

    def icrs_of(
        self, alt: np.ndarray, az: np.ndarray, seconds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Right ascension and declination (deg) of directions some seconds after the start.

        Parameters
        ----------
        alt, az : array_like, shape (n,)
            In rad.
        seconds : float or ndarray, shape (n,)

        Returns
        -------
        ra, dec : ndarray, shape (n,)
        """
        with offline():
            frame = AltAz(obstime=self.time_at(seconds), location=self._location)
            sky = SkyCoord(alt=alt * u.rad, az=az * u.rad, frame=frame).transform_to(ICRS())
        return sky.ra.deg, sky.dec.deg
