"""Observations of a source, drawn from one pool of simulated and reconstructed events.

To simulate each observation anew costs hours. Here the events of a pool are drawn by Poisson
numbers, with the rate that each stands for, turned around the pointing, and written as DL3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.table import QTable
from ctapipe.core import Component
from ctapipe.io import TableLoader
from ctapipe.io.dl2_tables_preprocessing import DL2EventLoader
from ctapipe.irf.spectra import SPECTRA, Spectra
from observation_spectrum import Measured, counts_of, measure
from pyirf.spectral import calculate_event_weights

from gammalearn.dl3.observation import Observation
from gammalearn.dl3.pointing import PointingReports, TrackedPointing
from gammalearn.dl3.response import read_response
from gammalearn.dl3.selection import read_selection
from gammalearn.dl3.writing import dl3_name, write_index, write_observation
from gammalearn.evaluation.events.reading import read_events

__all__ = ["Pool", "draw", "study"]

SITE = EarthLocation.from_geodetic(-17.89 * u.deg, 28.76 * u.deg, 2158 * u.m)

#: Seconds since the epoch at which all drawn observations begin.
START = 2e8

KINDS = {"gamma": Spectra.CRAB_HEGRA, "proton": Spectra.IRFDOC_PROTON_SPECTRUM}


@dataclass(frozen=True)
class Pool:
    """Selected events, with the rate (1/s) that each stands for.

    Attributes
    ----------
    events : QTable
        ``energy``, ``gammaness``, ``multiplicity``; ``separation`` and ``angle`` (deg): where an
        event is reconstructed around the pointing, of gammas with the true source at angle 0;
        ``is_gamma``; ``rate``, of gammas for one Crab.
    """

    events: QTable

    @classmethod
    def read(cls, gamma: Path, proton: Path, irf: Path, cuts: Path) -> "Pool":
        """The events of DL2 files that pass the cuts."""
        selection = read_selection(irf, cuts)
        tables = []
        for name, path in (("gamma", gamma), ("proton", proton)):
            events = read_events([path])
            rate = _rates(path, KINDS[name], events)
            known = np.isfinite(events["reco_energy"]) & np.isfinite(events["gammaness"])
            kept = np.flatnonzero(known)[selection.passes(events[known])]
            events, rate = events[kept], rate[kept]
            separation, angle = _around(events, is_gamma=name == "gamma")
            tables.append(
                {
                    "energy": events["reco_energy"].to_value(u.TeV),
                    "gammaness": np.asarray(events["gammaness"]),
                    "multiplicity": np.asarray(events["multiplicity"]),
                    "separation": separation,
                    "angle": angle,
                    "is_gamma": np.full(len(events), name == "gamma"),
                    "rate": rate,
                }
            )
        gammas, protons = tables
        return cls(QTable({name: np.concatenate([gammas[name], protons[name]]) for name in gammas}))


def _rates(path: Path, target: Spectra, events: QTable) -> np.ndarray:
    """The rate (1/s) that each event stands for, by ctapipe's and pyirf's weights."""
    loader = DL2EventLoader(file=path, target_spectrum=target, parent=Component())
    with TableLoader(path) as tables:
        _, simulated = loader.get_simulation_information(tables, 1 * u.s)
    return calculate_event_weights(events["true_energy"], SPECTRA[target], simulated)


def _around(events: QTable, is_gamma: bool) -> tuple[np.ndarray, np.ndarray]:
    """Separation and position angle (deg) around the pointing."""
    pointing, true, reco = (
        SkyCoord(alt=events[f"{kind}_alt"], az=events[f"{kind}_az"], frame=AltAz())
        for kind in ("pointing", "true", "reco")
    )
    angle = pointing.position_angle(reco)
    if is_gamma:
        angle = angle - pointing.position_angle(true)
    return pointing.separation(reco).deg, angle.deg


def draw(
    pool: Pool, crab_units: float, seconds: float, pointing: SkyCoord, source: SkyCoord, seed: int
) -> Observation:
    """An observation of a source of so many Crab units, with events of the pool."""
    random = np.random.default_rng(seed)
    events = pool.events
    is_gamma = np.asarray(events["is_gamma"])
    rate = np.asarray(events["rate"]) * np.where(is_gamma, crab_units, 1.0)
    row = np.repeat(np.arange(len(events)), random.poisson(rate * seconds))
    row = row[random.permutation(len(row))]
    time = np.sort(START + random.uniform(1e-3, seconds - 1e-3, len(row)))
    # Cosmic rays come from everywhere: each is turned anew.
    turn = np.where(
        is_gamma[row], pointing.position_angle(source).deg, random.uniform(0, 360, len(row))
    )
    sky = pointing.directional_offset_by(
        (np.asarray(events["angle"])[row] + turn) * u.deg,
        np.asarray(events["separation"])[row] * u.deg,
    )
    seen = np.full(len(row), 70.0) * u.deg
    selected = QTable(
        {
            "event_id": 1 + np.arange(len(row)),
            "seconds": time,
            "ra": sky.ra,
            "dec": sky.dec,
            "alt": seen,
            "az": seen,
            "energy": np.asarray(events["energy"])[row] * u.TeV,
            "gammaness": np.asarray(events["gammaness"])[row],
            "multiplicity": np.asarray(events["multiplicity"], dtype=np.int16)[row],
        }
    )
    ends = START + np.array([0.0, seconds])
    reports = PointingReports(ends, np.full(2, 70.0), np.full(2, 180.0))
    covered = ends[None, :]
    both = SkyCoord([pointing, pointing])
    return Observation(
        obs_id=seed,
        events=selected,
        good_times=covered,
        run=(float(ends[0]), float(ends[1])),
        dead_fraction=0.0,
        pointing=TrackedPointing(pointing, covered, reports, both, 1.0),
        location=SITE,
        telescopes=tuple((f"LST_{number}", "LST") for number in range(1, 5)),
        target=None,
        left_out={},
    )


def study(
    pool: Pool,
    irf: Path,
    folder: Path,
    crab_units: float,
    seconds: float,
    pointing: SkyCoord,
    source: SkyCoord,
    seeds: Sequence[int],
) -> list[Measured]:
    """What is measured of a source in an observation for each seed; of an empty sky no spectrum."""
    response = read_response(irf)
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        observation = draw(pool, crab_units, seconds, pointing, source, seed)
        write_observation(observation, response, folder / dl3_name(seed))
    write_index(folder)
    datasets = counts_of(folder, source)
    return [measure(type(datasets)([one]), crab_units > 0) for one in datasets]
