"""From DL2 to the spectrum by gammapy: the flux that comes out is the flux that was put in."""

import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from pyirf.io import (
    create_aeff2d_hdu,
    create_background_2d_hdu,
    create_energy_dispersion_hdu,
    create_psf_table_hdu,
)
from scipy.stats import norm

from gammalearn.dl3.making import make_dl3

from . import conftest as made

#: A power law (1 / (cm² s TeV) at 0.5 TeV), seen by a constant area, with Gaussian errors.
FLUX, INDEX, REFERENCE = 3e-10, 2.4, 0.5
AREA, SPREAD, ANGLE = 3e10, 0.1, 0.05  # cm², relative, deg
ENERGIES = (0.05, 20.0)
N_BACKGROUND = 2000
#: Seconds after an event; the files do not tell it.
DEAD_TIME = 4e-3


@pytest.fixture(scope="module")
def spectrum():
    """gammapy's analysis, as the benchmark and the tutorial have it."""
    folder = str(made.ROOT / "benchmarks")
    sys.path.insert(0, folder)
    import observation_spectrum

    yield observation_spectrum
    sys.path.remove(folder)


def write_response(path):
    """The response of the telescopes of these tests."""
    true = np.geomspace(*ENERGIES, 31) * u.TeV
    offsets = [0, 1, 2] * u.deg
    n_true, n_offset = len(true) - 1, 2
    migration = np.linspace(0.5, 1.5, 81)
    share = np.diff(norm(1, SPREAD).cdf(migration)) / np.diff(migration)
    dispersion = np.broadcast_to(share[None, :, None], (n_true, 80, n_offset))
    angles = np.linspace(0, 0.5, 101) * u.deg
    middle = (angles[1:] + angles[:-1]) / 2
    density = np.exp(-((middle / (ANGLE * u.deg)) ** 2) / 2) / (2 * np.pi * (ANGLE * u.deg) ** 2)
    psf = np.broadcast_to(density.to("1/sr"), (n_true, n_offset, 100), subok=True)
    area = np.full((n_true, n_offset), AREA) * u.cm**2
    background = np.full((4, n_offset), 1e-3) / u.TeV / u.s / u.sr
    hdus = [
        create_aeff2d_hdu(area, true, offsets, point_like=False),
        create_energy_dispersion_hdu(dispersion, true, migration, offsets, point_like=False),
        create_psf_table_hdu(psf, true, angles, offsets),
        create_background_2d_hdu(background, np.geomspace(0.1, 10, 5) * u.TeV, offsets),
    ]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def sky_events(seed, flux):
    """Gammas of the source and cosmic rays at random times; dead time removes some."""
    random = np.random.default_rng(seed)
    slope = 1 - INDEX
    low, high = ((end / REFERENCE) ** slope for end in ENERGIES)
    expected = flux * AREA * made.DURATION * REFERENCE * (high - low) / slope
    n_gammas = random.poisson(expected)
    true = REFERENCE * (low + random.random(n_gammas) * (high - low)) ** (1 / slope)
    energy = true * random.normal(1, SPREAD, n_gammas)
    sky = made.SOURCE.directional_offset_by(
        random.uniform(0, 360, n_gammas) * u.deg,
        ANGLE * np.sqrt(-2 * np.log(random.random(n_gammas))) * u.deg,
    )
    around = made.POINTING.directional_offset_by(
        random.uniform(0, 360, N_BACKGROUND) * u.deg,
        1.5 * np.sqrt(random.random(N_BACKGROUND)) * u.deg,
    )
    n = n_gammas + N_BACKGROUND
    order = random.permutation(n)
    events = QTable()
    events["seconds"] = np.sort(random.uniform(0, made.DURATION, n))
    events["ra"] = np.concatenate([sky.ra.deg, around.ra.deg])[order] * u.deg
    events["dec"] = np.concatenate([sky.dec.deg, around.dec.deg])[order] * u.deg
    cosmic = 0.1 * (1 - random.random(N_BACKGROUND)) ** (-1 / 1.7)
    events["energy"] = np.concatenate([energy, cosmic])[order] * u.TeV
    kept, last = [], -np.inf
    for row, second in enumerate(events["seconds"]):
        if second - last >= DEAD_TIME:
            kept.append(row)
            last = second
    events = events[kept]
    events["event_id"] = 1 + np.arange(len(events))
    events["time"] = made.START + events["seconds"] * u.s
    directions = made.SkyCoord(events["ra"], events["dec"])
    seen = made.in_altaz(directions, events["time"])
    events["alt"], events["az"] = seen.alt.to(u.deg), seen.az.to(u.deg)
    events["gammaness"], events["is_shower"] = np.ones(len(events)), np.ones(len(events), bool)
    return events


@pytest.fixture(scope="module")
def observe(tmp_path_factory, spectrum):
    """Function that observes a source of some flux, and measures it by gammapy."""
    folder = tmp_path_factory.mktemp("spectrum")
    irf = write_response(folder / "irf.fits")
    cuts = made.write_cuts(folder / "cuts.fits", cuts=[0, 0], edges=[0.01, 1, 100])

    def observe(flux, seeds, **options):
        name = f"{flux:g}"
        for seed in seeds:
            dl2 = folder / f"{name}_{seed}.dl2.h5"
            made.write_dl2(dl2, sky_events(seed, flux), obs_id=seed)
            make_dl3([dl2], irf, folder / name, cuts=cuts)
        datasets = spectrum.counts_of(folder / name, made.SOURCE)
        return [spectrum.measure(type(datasets)([one]), **options) for one in datasets]

    return observe


def test_flux_and_index_are_those_that_were_put_in(observe):
    """In three observations: a χ² of six values, which chance makes as large as 20 once in 360."""
    measured = observe(FLUX, [1, 2, 3])
    pulls = [(one.flux - FLUX) / one.flux_error for one in measured]
    pulls += [(one.index - INDEX) / one.index_error for one in measured]
    assert np.sum(np.square(pulls)) < 20
    for one in measured:
        assert one.flux_error < 0.06 * FLUX
        assert one.significance > 30
        assert 0.7 < one.livetime / made.DURATION < 0.95


def test_an_empty_sky_has_no_source(observe):
    """Significances of a unit normal: by chance, the χ² of four is 18 once in 800."""
    measured = observe(0.0, [11, 12, 13, 14], with_spectrum=False)
    assert np.sum(np.square([one.significance for one in measured])) < 18
    assert all(one.n_off > 10 for one in measured)
