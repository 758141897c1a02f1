"""Features of light curves, and the trees that learn from them: what a network has to beat."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from sklearn.ensemble import ExtraTreesClassifier

from ...errors import EmptySelectionError
from ..catalogue import Catalogue
from .curves import CONTEXT, Curve, curve_of, into_nights, wavelengths
from .predictions import table_of_objects
from .types import TYPES, class_of
from .versions import SmoothCurve

__all__ = ["classify_with_trees", "feature_names", "features"]

#: Rest-frame times (d) from the brightest observation at which the light curve is compared.
TIMES = np.array([-20.0, -12.0, -6.0, 0.0, 6.0, 12.0, 20.0, 30.0, 45.0, 65.0])

#: Trees of the forest.
N_TREES = 300


def feature_names(bands: Sequence[str]) -> list[str]:
    """Names of the columns of `features`."""
    smooth = [f"flux_{band}_{time:+.0f}d" for band in bands for time in TIMES]
    each = ("largest", "mean", "spread", "signal_to_noise", "number", "first", "last")
    return [*smooth, *(f"{what}_{band}" for band in bands for what in each), *CONTEXT]


def features(curve: Curve, bands: Sequence[str]) -> np.ndarray:
    """What trees learn from: the smooth light curve in units of its largest flux at some times, and
    flux, spread, signal to noise, number and times of the observations of each band.

    Parameters
    ----------
    curve : Curve
    bands : sequence of str

    Returns
    -------
    ndarray of float32, shape (n_features,)
        As `feature_names` has them; NaN where a band has no observation.
    """
    wavelength = wavelengths(tuple(bands))
    redshift = curve.redshift if np.isfinite(curve.redshift) and curve.redshift > 0 else 0.0
    smooth = SmoothCurve.of(curve, wavelength, redshift)
    time = smooth.peak + TIMES * (1 + redshift)
    grid = smooth.at(np.tile(time, len(bands)), np.repeat(wavelength, len(TIMES)))
    scale = max(float(curve.flux.max()), 1.0)
    found = [grid / scale]
    for band in range(len(bands)):
        of_band = curve.band == band
        if not of_band.any():
            found.append(np.full(7, np.nan))
            continue
        flux, error, when = curve.flux[of_band], curve.error[of_band], curve.time[of_band]
        found.append(
            np.array(
                [
                    flux.max() / scale,
                    np.average(flux, weights=error**-2.0) / scale,
                    flux.std() / scale,
                    (flux / error).max(),
                    len(flux),
                    when[0] - smooth.peak,
                    when[-1] - smooth.peak,
                ]
            )
        )
    return np.concatenate([*found, into_nights(curve, len(bands)).context]).astype(np.float32)


def _all_features(catalogue: Catalogue, with_redshift: bool) -> np.ndarray:
    curves = (curve_of(catalogue, row) for row in range(len(catalogue)))
    return np.stack(
        [
            features(curve if with_redshift else curve.without_redshift(), catalogue.bands)
            for curve in curves
        ]
    )


def classify_with_trees(
    training: Catalogue, test: Catalogue, with_redshift: bool, seed: int
) -> Table:
    """Learn from the features of some objects, and classify others.

    Parameters
    ----------
    training : Catalogue
        Those with a type are learned from.
    test : Catalogue
        Of the same bands.
    with_redshift : bool
        Whether the redshift of the host galaxy may be used.
    seed : int

    Returns
    -------
    Table
        As that of a network.

    Raises
    ------
    EmptySelectionError
        If no object has a type, or all have the same.
    """
    kinds = class_of(training.objects["type"])
    training = training.select(kinds != "")
    kinds = kinds[kinds != ""]
    if len(np.unique(kinds == "Ia")) < 2:
        raise EmptySelectionError(
            "Trees need objects of type Ia and of others to learn from; give more in data.train, "
            "or set evaluation.baseline to false."
        )
    forest = ExtraTreesClassifier(
        N_TREES, min_samples_leaf=2, max_features=0.3, random_state=seed, n_jobs=1
    )
    missing = -9.0
    forest.fit(np.nan_to_num(_all_features(training, with_redshift), nan=missing), kinds)
    chance = forest.predict_proba(np.nan_to_num(_all_features(test, with_redshift), nan=missing))
    by_class = dict(zip(forest.classes_, chance.T, strict=True))
    none = np.zeros(len(test))
    columns = {"probability_Ia": by_class.get("Ia", none)}
    columns |= {f"probability_type_{name}": by_class.get(name, none) for name in TYPES}
    return table_of_objects(test, columns)
