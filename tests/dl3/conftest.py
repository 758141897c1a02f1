"""DL2 of a small observation, written with ctapipe alone: what is in the sky is known."""

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.time import Time
from ctapipe.containers import CoordinateFrameType, EventType
from ctapipe.io import write_table
from ctapipe.irf.optimize import OptimizationResult
from pyirf.io import (
    create_aeff2d_hdu,
    create_background_2d_hdu,
    create_energy_dispersion_hdu,
    create_psf_table_hdu,
    create_rad_max_hdu,
)

from ..small_subarray import small_subarray

ROOT = Path(__file__).parents[2]
SITE = EarthLocation.from_geodetic(-17.89 * u.deg, 28.76 * u.deg, 2200 * u.m)
SOURCE = SkyCoord(83.6331, 22.0145, unit="deg")
POINTING = SkyCoord(83.6331, 22.4145, unit="deg")
START, DURATION = Time("2024-12-01T03:20:00", scale="utc").tai, 120.0
OBS_ID = 7
TELESCOPES = (1, 2)

#: Energies (TeV) between which cuts differ, and the cuts.
EDGES, CUTS = [0.05, 0.5, 5.0], [0.5, 0.8]

TRUE_BINS = np.geomspace(0.05, 5, 6) * u.TeV
RECO_BINS = np.geomspace(0.05, 5, 5) * u.TeV
OFFSETS = [0.0, 1.0, 2.0] * u.deg


def in_altaz(sky, time):
    """Directions by astropy, without refraction."""
    return sky.transform_to(AltAz(obstime=time, location=SITE))


def make_events(seed=1, n=300):
    """Events of the source at random times, every tenth a pedestal; one row an event."""
    random = np.random.default_rng(seed)
    events = QTable({"event_id": 1 + np.arange(n)})
    events["seconds"] = np.sort(random.uniform(0.1, DURATION - 0.1, n))
    events["time"] = START + events["seconds"] * u.s
    seen = in_altaz(SOURCE, events["time"])
    events["alt"], events["az"] = seen.alt.to(u.deg), seen.az.to(u.deg)
    events["energy"] = 10 ** random.uniform(-1.5, 0.9, n) * u.TeV
    events["gammaness"] = random.uniform(0, 1, n)
    events["is_shower"] = np.arange(n) % 10 != 3
    return events


def passing(events):
    """Rows that pass the cuts, by hand."""
    energy = events["energy"].to_value(u.TeV)
    low = (energy >= EDGES[0]) & (energy < EDGES[1]) & (events["gammaness"] >= CUTS[0])
    high = (energy >= EDGES[1]) & (energy < EDGES[2]) & (events["gammaness"] >= CUTS[1])
    return (low | high) & events["is_shower"]


def write_dl2(path, events, obs_id=OBS_ID, pointing=None, run=True, location=SITE, algorithm="Net"):
    """A DL2 file of an observation by ctapipe's writer.

    ``pointing`` are reports (time, altitude, azimuth), by default each second of the place that is
    followed.
    """
    small_subarray(len(TELESCOPES), location).to_hdf(path)
    if pointing is None:
        time = START + np.arange(-2, DURATION + 3) * u.s
        seen = in_altaz(POINTING, time)
        pointing = QTable({"time": time, "altitude": seen.alt, "azimuth": seen.az})
    keys = Table({"obs_id": np.full(len(events), obs_id), "event_id": events["event_id"]})
    kinds = EventType.SUBARRAY.value, EventType.SKY_PEDESTAL.value
    with tables.open_file(path, "a") as file:
        trigger = keys.copy()
        trigger["time"] = events["time"]
        trigger["tels_with_trigger"] = np.ones((len(events), len(TELESCOPES)), dtype=bool)
        trigger["event_type"] = np.where(events["is_shower"], *kinds)
        write_table(trigger, file, "/dl1/event/subarray/trigger")
        block = Table({"obs_id": [obs_id], "sb_id": [obs_id]})
        block["subarray_pointing_lon"] = [POINTING.ra.deg] * u.deg
        block["subarray_pointing_lat"] = [POINTING.dec.deg] * u.deg
        block["subarray_pointing_frame"] = [CoordinateFrameType.ICRS.value]
        if run:
            block["actual_start_time"] = Time([START])
            block["actual_duration"] = [DURATION / 60] * u.min
        write_table(block, file, "/configuration/observation/observation_block")
        for tel_id in TELESCOPES if len(pointing) else ():
            table = f"/dl0/monitoring/telescope/pointing/tel_{tel_id:03d}"
            write_table(pointing, file, table)
        columns = {
            "energy": {"energy": events["energy"]},
            "geometry": {"alt": events["alt"], "az": events["az"]},
            "particle_type": {"prediction": events["gammaness"]},
        }
        for kind, values in columns.items():
            table = keys.copy()
            for name, column in values.items():
                table[f"{algorithm}_{name}"] = column
            table[f"{algorithm}_is_valid"] = np.asarray(events["is_shower"])
            # Odd events have one telescope.
            used = np.ones((len(events), len(TELESCOPES)), dtype=bool)
            used[events["event_id"] % 2 == 1, 1] = False
            table[f"{algorithm}_telescopes"] = used
            table[f"{algorithm}_{kind}_telescopes"] = used
            write_table(table, file, f"/dl2/event/subarray/{kind}/{algorithm}")
    return path


def cut_table(cuts=CUTS, edges=EDGES):
    bins = {"low": edges[:-1] * u.TeV, "high": edges[1:] * u.TeV}
    return QTable({**bins, "cut": np.asarray(cuts, dtype=float)})


VALID = ("valid", "np.isfinite(Net_energy)")


def write_cuts(path, cuts=CUTS, criteria=(VALID,), radius=None, classifier="Net", edges=EDGES):
    """The file that ctapipe-optimize-event-selection writes, and perhaps other criteria in it."""
    spatial = cut_table([0.1, 0.2]) if radius else None
    if spatial is not None:
        spatial["cut"] = radius * u.deg
    OptimizationResult(
        valid_energy_min=EDGES[0] * u.TeV,
        valid_energy_max=EDGES[-1] * u.TeV,
        valid_offset_min=0 * u.deg,
        valid_offset_max=2 * u.deg,
        gh_cuts=cut_table(cuts, edges),
        clf_prefix=classifier,
        quality_query=[VALID],
        spatial_selection_table=spatial,
    ).write(path, overwrite=True)
    if criteria != (VALID,):
        with fits.open(path) as hdus:
            rows = Table(rows=list(criteria) or [(" ", " ")], names=["name", "cut_expr"])
            hdus[1] = fits.BinTableHDU(rows, name="QUALITY_CUTS_EXPR")
            hdus.writeto(path, overwrite=True)
    return path


def write_irf(path, radius=None, extra=()):
    """A response by the functions of pyirf that ctapipe-compute-irf calls, in its order."""
    n_true, n_reco, n_offset = len(TRUE_BINS) - 1, len(RECO_BINS) - 1, len(OFFSETS) - 1
    area = np.arange(1, 1 + n_true * n_offset).reshape(n_true, n_offset) * 1e4 * u.m**2
    migration = np.geomspace(0.2, 5, 21)
    dispersion = np.ones((n_true, 20, n_offset))
    dispersion /= (dispersion * np.diff(migration)[:, None]).sum(axis=1, keepdims=True)
    angles = np.linspace(0, 0.5, 11) * u.deg
    psf = np.ones((n_true, n_offset, 10)) / u.sr
    background = np.full((n_reco, n_offset), 1e-3) / u.TeV / u.s / u.sr
    point_like = radius is not None
    hdus = [
        fits.PrimaryHDU(),
        create_aeff2d_hdu(area, TRUE_BINS, OFFSETS, point_like=point_like),
        create_energy_dispersion_hdu(
            dispersion, TRUE_BINS, migration, OFFSETS, point_like=point_like
        ),
        create_psf_table_hdu(psf, TRUE_BINS, angles, OFFSETS),
        create_background_2d_hdu(background, RECO_BINS, OFFSETS),
        create_aeff2d_hdu(
            area * 0, TRUE_BINS, OFFSETS, point_like=point_like, extname="EFFECTIVE AREA PROTONS"
        ),
    ]
    if point_like:
        shape = np.reshape(radius, (-1, 1)) * u.deg
        hdus.append(create_rad_max_hdu(shape, EDGES * u.TeV, OFFSETS[[0, -1]]))
    fits.HDUList([*hdus, *extra]).writeto(path, overwrite=True)
    return path


@pytest.fixture(scope="session")
def observation(tmp_path_factory):
    """Events, and files of DL2, cuts and response that go together."""
    folder = tmp_path_factory.mktemp("observation")
    events = make_events()
    return {
        "events": events,
        "dl2": write_dl2(folder / "run7.dl2.h5", events),
        "cuts": write_cuts(folder / "cuts.fits"),
        "irf": write_irf(folder / "irf.fits.gz"),
    }
