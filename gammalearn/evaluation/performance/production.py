"""What was simulated: how many showers, of which energies, on which area, from where."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import tables
from astropy.coordinates import angular_separation
from astropy.table import QTable, Row, Table
from ctapipe.io import read_table
from pyirf.simulations import SimulatedEventsInfo
from pyirf.spectral import PowerLaw

from ...errors import EvaluationError
from ...io import ctapipe_tables, lstchain_tables
from ...io.files import open_hdf5, reading
from ...io.isolated import read_isolated
from ...io.particles import plural
from ..event_table import EventTable
from ..events.reading import UNKNOWN

__all__ = [
    "Node",
    "Production",
    "Productions",
    "read_productions",
    "simulated_flux",
    "thrown_density",
]

#: Settings of each run of a simulation, in files of ctapipe or lstchain, whose columns are alike.
RUNS = (ctapipe_tables.RUNS, lstchain_tables.RUNS)

#: Histograms of the thrown showers of each run, in files of ctapipe or lstchain.
THROWN = (ctapipe_tables.THROWN, lstchain_tables.THROWN)

#: Names of the column of their numbers.
N_THROWN = ("n_entries", "num_entries")

#: Columns of a run that say how its showers were drawn.
LIMITS = {
    "energy_range_min": u.TeV,
    "energy_range_max": u.TeV,
    "max_scatter_range": u.m,
    "min_viewcone_radius": u.deg,
    "max_viewcone_radius": u.deg,
}


#: The flattest spectrum that pyirf integrates: at −1, where logarithms take the place of powers, it
#: divides by zero. So near, results differ from those of −1 by less than one in a million.
FLATTEST = -1 - 2**-27


#: Angle (deg) between pointings that count as the same.
SAME_POINTING = 1.0


@dataclass(frozen=True)
class Node:
    """A simulated pointing.

    Attributes
    ----------
    zenith, azimuth : float
        In deg.
    """

    zenith: float
    azimuth: float

    def __str__(self) -> str:
        return f"zenith {self.zenith:.3g} deg, azimuth {self.azimuth:.3g} deg"

    def holds(self, alt: float, az: float) -> bool:
        """Whether an altitude and an azimuth (deg) are this pointing; those unknown are not."""
        angles = np.radians([self.azimuth, 90 - self.zenith, az, alt])
        return bool(np.degrees(angular_separation(*angles)) < SAME_POINTING)


@dataclass(frozen=True)
class Production:
    """Showers of one particle that were drawn alike.

    Attributes
    ----------
    particle : str
    showers : pyirf.simulations.SimulatedEventsInfo
        Their number (each reuse counts), spectrum, area and cone of directions.
    """

    particle: str
    showers: SimulatedEventsInfo

    @property
    def is_diffuse(self) -> bool:
        """Whether directions fill a cone, instead of being one."""
        return bool(self.showers.viewcone_max > self.showers.viewcone_min)


@dataclass(frozen=True)
class Productions:
    """What the events of some files were drawn from."""

    known: list[Production]
    """Runs of the same particle and settings together."""

    lacking: dict[str, str]
    """Particle → why its simulation is not known well enough, in words; of those unknown, that
    they are not counted."""

    warnings: list[str]
    """Sentences on runs whose histogram and settings disagree in the number of showers."""


def read_productions(
    paths: Sequence[Path], events: QTable, node: Node | None = None
) -> Productions:
    """What the simulated events of some files were drawn from.

    How many showers were thrown is what their histogram says, where the file has one, as for
    ctapipe: a simulation that was stopped has fewer than its settings say.

    A run's particle is that of its events; a run without any has that of its file. That of a file
    without events is unknown, unless they were left out of the table: its ``meta["particles"]``
    tells what they were. Of a run with several particles it is not known how many showers
    were of each.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        DL2 files.
    events : astropy.table.QTable
        Theirs, from `read_events`.
    node : Node, optional
        The pointing of the events, for runs at this pointing only.

    Returns
    -------
    productions : Productions
    """
    particles = EventTable.of(events).particles
    warnings: list[str] = []
    numbers: dict[tuple, float] = {}
    lacking: dict[str, str] = {}
    not_counted: dict[str, int] = {}
    for index, path in enumerate(paths):
        mine = events[np.asarray(events["file"]) == index]
        particle = np.asarray(mine["particle"], dtype=str)
        of_run: dict[int, set[str]] = {}
        for obs_id, name in zip(
            np.asarray(mine["obs_id"]).tolist(), particle.tolist(), strict=True
        ):
            of_run.setdefault(obs_id, set()).add(name)
        # Of events that were cut away the table tells what they were.
        of_file = set(particle.tolist()) or set(particles.get(index, ()))
        runs = [
            run
            for run in read_isolated(_read_runs, path)
            if node is None or _is_at(node, run, of_run)
        ]
        unknown = set(of_run) - {run["obs_id"] for run in runs}
        for name in set().union(*(of_run[obs_id] for obs_id in unknown)):
            lacking[name] = f"{Path(path).name} does not tell how its {plural(name)} were simulated"
        if not of_file and runs:
            not_counted[Path(path).name] = sum(max(run["n_showers"], 0) for run in runs)
            continue
        warnings += [
            f"Run {run['obs_id']} of {Path(path).name} says that {run['n_set']} showers were "
            f"simulated, and the histogram of thrown showers holds {run['n_showers']}, which count."
            for run in runs
            if run["n_set"] != run["n_showers"]
        ]
        for run in runs:
            names = sorted(of_run.get(run["obs_id"], of_file))
            if len(names) != 1:
                why_not = _why_no_particle(run, path, names, run["obs_id"] in of_run)
                lacking.update(dict.fromkeys(names, why_not))
                continue
            lack = _why_not(run)
            if lack:
                lacking[names[0]] = f"the {plural(names[0])} of {Path(path).name} {lack}"
                continue
            key = (names[0], run["spectral_index"], *(run[name] for name in LIMITS))
            numbers[key] = numbers.get(key, 0) + run["n_showers"]
    if not_counted:
        lacking[UNKNOWN] = (
            f"{sum(not_counted.values())} simulated showers of {', '.join(not_counted)} are not "
            "counted, as no event tells their particle: its effective area comes out too large"
        )
    productions = [
        Production(particle, _showers(number, index, dict(zip(LIMITS, limits, strict=True))))
        for (particle, index, *limits), number in numbers.items()
    ]
    known = [production for production in productions if production.particle not in lacking]
    return Productions(known, lacking, warnings)


def _is_at(node: Node, run: Mapping[str, Any], obs_ids: Collection[int]) -> bool:
    """Whether a run points to a node; if its settings do not tell, whether events there are its."""
    # Numbers of runs come again at other pointings.
    if np.isfinite(run["alt"]) and np.isfinite(run["az"]):
        return node.holds(run["alt"], run["az"])
    return run["obs_id"] in obs_ids


def _why_no_particle(
    run: Mapping[str, Any], path: Path, names: Sequence[str], has_events: bool
) -> str:
    """Why it is not known which particle a run is of, or how many of each."""
    of_what = f"run {run['obs_id']} of {Path(path).name}"
    if not has_events:
        return f"{of_what} has no events that tell its particle"
    return (
        f"{of_what} holds {' and '.join(plural(name) for name in names)}, and nothing tells how "
        "many of each were simulated"
    )


def _read_runs(path: Path) -> list[dict]:
    with open_hdf5(path) as h5file, reading(path, "how its showers were simulated"):
        place = next((place for place in RUNS if place in h5file), None)
        if place is None or not isinstance(h5file.get_node(place), tables.Table):
            return []
        table = read_table(h5file, place)
        thrown = _thrown(h5file)
    if not {"obs_id", "n_showers", "spectral_index", *LIMITS} <= set(table.colnames):
        return []
    runs = [_run(row, table) for row in table]
    n_runs = Counter(run["obs_id"] for run in runs)
    # Where runs of merged files share a number, their histograms are in the same order.
    counts = {n: iter(found) for n, found in thrown.items() if len(found) == n_runs[n]}
    for run in runs:
        counted = next(counts.get(run["obs_id"], iter(())), 0)
        if counted > 0:
            run["n_showers"] = counted
    return runs


def _thrown(h5file: tables.File) -> dict[int, list[int]]:
    """Thrown showers by run, of each of its histograms in their order."""
    place = next((place for place in THROWN if place in h5file), None)
    if place is None or not isinstance(h5file.get_node(place), tables.Table):
        return {}
    table = read_table(h5file, place)
    name = next((name for name in N_THROWN if name in table.colnames), None)
    if name is None or "obs_id" not in table.colnames:
        return {}
    thrown: dict[int, list[int]] = {}
    for obs_id, number in zip(table["obs_id"].tolist(), table[name].tolist(), strict=True):
        thrown.setdefault(int(obs_id), []).append(int(number))
    return thrown


def _run(row: Row, table: Table) -> dict[str, Any]:
    reuse = int(row["shower_reuse"]) if "shower_reuse" in table.colnames else 1
    number = int(row["n_showers"]) * max(reuse, 1)
    return {
        "obs_id": int(row["obs_id"]),
        "n_set": number,
        "n_showers": number,
        "spectral_index": float(row["spectral_index"]),
        "alt": _pointing(row, table, "alt"),
        "az": _pointing(row, table, "az"),
        **{
            name: float(u.Quantity(row[name], table[name].unit or unit).to_value(unit))
            for name, unit in LIMITS.items()
        },
    }


def _pointing(row: Row, table: Table, angle: str) -> float:
    """Altitude or azimuth (deg) of a run, NaN if its settings do not tell it."""
    name = f"max_{angle}"
    if name not in table.colnames:
        return np.nan
    return float(u.Quantity(row[name], table[name].unit or u.deg).to_value(u.deg))


def _why_not(run: Mapping[str, Any]) -> str | None:
    """What keeps a run's settings from saying how many showers fell where."""
    low, high = run["energy_range_min"], run["energy_range_max"]
    if run["n_showers"] <= 0:
        return "do not tell how many were simulated"
    if not 0 < low <= high or not np.isfinite(high):
        return "do not tell the energies that were simulated"
    if low == high:
        return f"were simulated at the one energy of {low:g} TeV"
    if not run["spectral_index"] <= -1:
        return f"were simulated with the spectral index {run['spectral_index']:g}, above −1"
    if not run["max_scatter_range"] > 0:
        return "do not tell the area that they fell on"
    return None


def _showers(number: float, index: float, limits: dict) -> SimulatedEventsInfo:
    return SimulatedEventsInfo(
        n_showers=number,
        energy_min=limits["energy_range_min"] * u.TeV,
        energy_max=limits["energy_range_max"] * u.TeV,
        max_impact=limits["max_scatter_range"] * u.m,
        spectral_index=min(index, FLATTEST),
        viewcone_min=limits["min_viewcone_radius"] * u.deg,
        viewcone_max=limits["max_viewcone_radius"] * u.deg,
    )


def thrown_density(productions: Sequence[Production], energy_bins: u.Quantity) -> u.Quantity:
    """Simulated showers in each bin of energy, by the area that they fell on.

    Parameters
    ----------
    productions : sequence of Production
        Of one particle.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    density : astropy.units.Quantity
        Shape (n_bins,), 1/m²: what is expected of the power laws.
    """
    density = np.zeros(len(energy_bins) - 1) / u.m**2
    for production in productions:
        showers = production.showers
        number = showers.calculate_n_showers_per_energy(energy_bins)
        density += u.Quantity(number).value / (np.pi * showers.max_impact**2)
    return density


def simulated_flux(
    productions: Sequence[Production],
    energy: u.Quantity,
    obs_time: u.Quantity,
    of_all_directions: bool = False,
) -> u.Quantity:
    """Flux that would bring the simulated showers in a time.

    Parameters
    ----------
    productions : sequence of Production
        Of one particle, all diffuse or none.
    energy : astropy.units.Quantity
        Shape (n_events,).
    obs_time : astropy.units.Quantity
    of_all_directions : bool
        The sum over the cone of directions.

    Returns
    -------
    flux : astropy.units.Quantity
        Shape (n_events,), in 1/(TeV s m²), for diffuse particles by steradian unless of all
        directions; 0 at energies that were not simulated.

    Raises
    ------
    EvaluationError
        If it is not finite, as what the files say of the simulation makes no sense.
    """
    diffuse = any(production.is_diffuse for production in productions)
    unit = 1 / (u.TeV * u.s * u.m**2)
    unit = unit / u.sr if diffuse and not of_all_directions else unit
    flux = np.zeros(len(energy)) * unit
    for production in productions:
        showers = production.showers
        inside = (energy >= showers.energy_min) & (energy <= showers.energy_max)
        spectrum = PowerLaw.from_simulation(showers, obs_time)
        if production.is_diffuse and of_all_directions:
            spectrum = spectrum.integrate_cone(showers.viewcone_min, showers.viewcone_max)
        flux += np.where(inside, spectrum(energy).to_value(unit), 0) * unit
    if not np.all(np.isfinite(flux)):
        raise EvaluationError(
            f"The simulated flux of {plural(productions[0].particle)} is not finite; look at the "
            "spectral index, energies, area and cone that their files tell."
        )
    return flux
