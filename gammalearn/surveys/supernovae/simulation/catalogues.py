"""Simulated catalogues of supernovae."""

import numpy as np
from astropy.table import Table

from ....errors import SettingsError
from ....settings.surveys import SimulatedCatalogue
from ...catalogue import Catalogue
from .explosions import explode
from .observation import BANDS, CADENCES, observe, visits

__all__ = ["simulate"]

#: A detection: observations of this signal to noise, in so many nights.
DETECTED, N_NIGHTS = 5.0, 2

#: Scatter of photometric redshifts (times 1 + z), and the fraction of those that are wrong.
PHOTOMETRIC, OUTLIERS = 0.03, 0.03

#: Mean E(B-V) of the Milky Way, of fields off its plane.
MILKY_WAY = 0.03

#: Explosions at a time, and how many times as many as wanted there may be.
AT_A_TIME, MOST = 500, 1000

#: MJD of the first night.
FIRST_NIGHT = 61000.0


def simulate(settings: SimulatedCatalogue) -> Catalogue:
    """A catalogue of detected supernovae.

    Parameters
    ----------
    settings : SimulatedCatalogue

    Raises
    ------
    SettingsError
        If hardly any supernova of these settings would be detected.
    """
    rng = np.random.default_rng(settings.seed)
    cadence = CADENCES[settings.cadence]
    rows: list[dict] = []
    light: list[tuple[np.ndarray, ...]] = []
    n_exploded = 0
    while len(rows) < settings.n_objects:
        if n_exploded > MOST * settings.n_objects:
            raise SettingsError(
                f"simulation: of {n_exploded} supernovae only {len(rows)} are detected; set a "
                "smaller redshift_max, or cadence to 'deep'."
            )
        for explosion in explode(settings.fractions, AT_A_TIME, settings.redshift_max, rng):
            n_exploded += 1
            dust = rng.exponential(MILKY_WAY)
            seen = visits(cadence, rng)
            peak = rng.uniform(0, cadence.season)
            flux, error = observe(explosion, peak, seen, dust, rng)
            nights = np.unique(np.floor(seen.time[flux / error > DETECTED]))
            if len(nights) < N_NIGHTS:
                continue
            rows.append(_row(len(rows), explosion.kind, explosion.redshift, dust, rng))
            light.append((seen.time + FIRST_NIGHT, seen.band, flux, error))
            if len(rows) == settings.n_objects:
                break
    return _catalogue(rows, light, settings, rng)


def _row(number: int, kind: str, redshift: float, dust: float, rng: np.random.Generator) -> dict:
    error = PHOTOMETRIC * (1 + redshift)
    found = redshift + rng.normal(0, error)
    if rng.random() < OUTLIERS:
        found = rng.uniform(0.05, 1.5)
    return {
        "object_id": f"simulated-{number}",
        "ra": rng.uniform(0, 360),
        "dec": float(np.rad2deg(np.arcsin(rng.uniform(-1, 0.2)))),
        "ebv": dust,
        "host_redshift": max(found, 0.01),
        "host_redshift_error": error,
        "type": kind,
        "redshift": redshift,
    }


def _catalogue(
    rows: list[dict],
    light: list[tuple[np.ndarray, ...]],
    settings: SimulatedCatalogue,
    rng: np.random.Generator,
) -> Catalogue:
    objects = Table(rows=rows)
    significance = np.array([(flux / error).max() for _, _, flux, error in light])
    # Spectra are taken of bright objects.
    rank = np.argsort(np.argsort(-np.log(significance) + rng.normal(0, 0.5, len(rows))))
    objects["confirmed"] = rank < round(settings.confirmed_fraction * len(rows))
    number = [len(time) for time, *_ in light]
    return Catalogue.build(
        objects,
        BANDS,
        np.repeat(np.arange(len(rows)), number),
        *(np.concatenate(column) for column in zip(*light, strict=True)),
        survey=f"simulation ({settings.cadence})",
    )
