"""Loading: the light curves of a batch, and which versions of them."""

import numpy as np

from ...settings.surveys import LightCurveData
from ..catalogue import Catalogue
from .curves import Curve, Nights, curve_of, into_nights, wavelengths
from .light_curves import LightCurves
from .network import VIEWS
from .versions import TRIALS, SmoothCurve, redshifted, within_reach

__all__ = ["Curves"]


class Curves:
    """The light curves of a catalogue.

    Parameters
    ----------
    catalogue : Catalogue
    settings : LightCurveData
    n_versions : int
        Light curves of each object in the training.
    """

    def __init__(self, catalogue: Catalogue, settings: LightCurveData, n_versions: int = 1):
        self.catalogue, self.settings, self.n_versions = catalogue, settings, n_versions
        self.wavelength = wavelengths(catalogue.bands)
        self.curves = [self._curve(row) for row in range(len(catalogue))]
        self._nights: dict[int, Nights] = {}
        self._smooth: dict[int, SmoothCurve | None] = {}
        redshifts = np.asarray(catalogue.objects["host_redshift"], dtype=float)
        known = np.flatnonzero(redshifts > 0)
        self._donors = known[np.argsort(redshifts[known], kind="stable")]
        self._redshifts = redshifts[self._donors]

    def __len__(self) -> int:
        return len(self.curves)

    def _curve(self, row: int) -> Curve:
        curve = curve_of(self.catalogue, row)
        return curve if self.settings.host_redshift else curve.without_redshift()

    def nights(self, row: int) -> Nights:
        """A light curve as it was observed."""
        if row not in self._nights:
            self._nights[row] = into_nights(self.curves[row], len(self.catalogue.bands))
        return self._nights[row]

    def version(self, row: int, rng: np.random.Generator) -> Nights:
        """A light curve at another redshift, as it was observed where there is no such."""
        smooth = self._smooth_curve(row)
        if smooth is None:
            return self.nights(row)
        low, high = np.searchsorted(self._redshifts, within_reach(smooth.redshift))
        if low == high:
            return self.nights(row)
        rows = self._donors[rng.integers(low, high, size=TRIALS)]
        donors = (curve_of(self.catalogue, int(donor)) for donor in rows)
        version = redshifted(smooth, donors, self.wavelength, rng)
        if version is None:
            return self.nights(row)
        if not self.settings.host_redshift:
            version = version.without_redshift()
        return into_nights(version, len(self.catalogue.bands))

    def _smooth_curve(self, row: int) -> SmoothCurve | None:
        """The light curve between its observations, of objects whose redshift is known."""
        if row not in self._smooth:
            curve = curve_of(self.catalogue, row)
            redshift = curve.redshift
            if not (np.isfinite(redshift) and redshift > 0.005) or len(curve.time) < 3:
                self._smooth[row] = None
            else:
                self._smooth[row] = SmoothCurve.of(curve, self.wavelength, redshift)
        return self._smooth[row]

    def views(
        self, rows: np.ndarray, rng: np.random.Generator, in_training: bool
    ) -> dict[str, LightCurves]:
        """The light curves of a batch; in the training some are versions at other redshifts."""
        settings = self.settings
        n_versions = self.n_versions if in_training else 1
        event = np.repeat(np.arange(len(rows)), n_versions)
        chance = settings.redshifted_fraction if in_training else 0.0
        nights = []
        for number, row in enumerate(np.repeat(rows, n_versions)):
            # The second view of a pair is always another one.
            is_version = rng.random() < chance or (in_training and number % n_versions)
            nights.append(self.version(int(row), rng) if is_version else self.nights(int(row)))
        return {VIEWS: LightCurves.of(nights, event, settings.mask_fraction, rng)}
