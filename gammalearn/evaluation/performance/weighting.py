"""What a sensitivity to a point source is made of: weighted gammas and background.

Simulated events count as often as the source and the background would bring them in the time of an
observation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack
from pyirf.spectral import (
    CRAB_HEGRA,
    IRFDOC_ELECTRON_SPECTRUM,
    IRFDOC_PROTON_SPECTRUM,
    calculate_event_weights,
)

from ...io.particles import plural
from ..quantities import MAIN_QUANTITIES
from ..quantities.direction import pointing_offset, separation_angle
from .production import Production, simulated_flux

__all__ = [
    "OBS_TIME",
    "SOURCE_SPECTRUM",
    "Ring",
    "Spectra",
    "background_particles",
    "choose_ring",
    "describe_spectra",
    "weighted_background",
    "weighted_gammas",
    "why_no_sensitivity",
]

#: Time of the observation that is to detect the source.
OBS_TIME = 50 * u.h

#: Spectrum of the source, and of the particles that are its background.
SOURCE_SPECTRUM = CRAB_HEGRA
BACKGROUND_SPECTRA = {"proton": IRFDOC_PROTON_SPECTRUM, "electron": IRFDOC_ELECTRON_SPECTRUM}

#: Where these spectra are published.
IRFDOC = (
    "Description of CTA Instrument Response Functions (Production 3b Simulation), section 4.3.1"
)
PUBLISHED = {
    "gamma": "Crab Nebula of HEGRA (Aharonian et al. 2004, ApJ 614, 897)",
    "proton": f"IRFDOC ({IRFDOC})",
    "electron": f"IRFDOC ({IRFDOC})",
}

#: What else makes showers, and has no spectrum here.
NEVER_COUNTED = "helium and heavier nuclei"

#: Background counts up to this angle nearer to the pointing or further from it than the source.
RING_HALF_WIDTH = 0.5 * u.deg


@dataclass(frozen=True)
class Ring:
    """Angles from the pointing between which the background is counted."""

    low: u.Quantity
    high: u.Quantity

    def holds(self, background: QTable) -> np.ndarray:
        """Which events of `weighted_background` are in the ring, shape (n_events,)."""
        offset = background["reco_source_fov_offset"]
        return (offset >= self.low) & (offset < self.high)


@dataclass(frozen=True)
class Spectra:
    """What events are weighted to, and what is missing of the background.

    Attributes
    ----------
    source : str
        Where the spectrum of the source is published.
    background : mapping of str to str
        Particle → where its spectrum is published.
    missing : sequence of str
        What is not counted, in words.
    """

    source: str
    background: Mapping[str, str]
    missing: Sequence[str]

    def to_meta(self) -> dict[str, object]:
        """Plain values for the ``meta`` of a table."""
        return {
            "source_spectrum": self.source,
            "background_spectra": dict(self.background),
            "background_missing": list(self.missing),
        }


def why_no_sensitivity(
    events: QTable, productions: Sequence[Production], lacking: Mapping[str, str]
) -> str | None:
    """What the events lack for a sensitivity, in words; nothing if they have all.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`, one row a shower.
    productions, lacking
        What `read_productions` knows, and why it does not know more.
    """
    for quantity in MAIN_QUANTITIES.values():
        if not quantity.is_in(events):
            return f"there is no reconstructed {quantity.words}"
    present = set(np.asarray(events["particle"], dtype=str))
    if "gamma" not in present:
        return "there are no gammas"
    if "proton" not in present:
        return "there are no protons to be the background"
    for particle in sorted(present & {"gamma", *BACKGROUND_SPECTRA}):
        if particle in lacking:
            return lacking[particle]
    diffuse: dict[str, set[bool]] = {}
    for production in productions:
        diffuse.setdefault(production.particle, set()).add(production.is_diffuse)
    if len(diffuse["gamma"]) > 1:
        return "gammas from one direction and from a cone of directions are mixed"
    for particle in sorted(set(BACKGROUND_SPECTRA) & set(diffuse)):
        if diffuse[particle] != {True}:
            return f"the {plural(particle)} come from one direction, not from a cone around it"
    if not np.all(np.isfinite(events["pointing_alt"]) & np.isfinite(events["pointing_az"])):
        return "the files do not tell the pointing"
    gammas, reach = events[np.asarray(events["particle"] == "gamma")], _reach(productions)
    if choose_ring(gammas, productions).low >= reach:
        return (
            f"the gammas come from {np.min(pointing_offset(gammas)).value:.3g} deg from the "
            f"pointing, and the cone of the background of {reach.value:.3g} deg does not reach "
            "there"
        )
    return None


def choose_ring(gammas: QTable, productions: Sequence[Production]) -> Ring:
    """Where the background of gammas is counted, as far as background was simulated.

    For gammas from one direction up to 0.5 deg beside it, for diffuse ones where they come from.
    """
    offset = pointing_offset(gammas)
    low, high = np.min(offset), np.max(offset)
    if not any(p.is_diffuse for p in productions if p.particle == "gamma"):
        low, high = low - RING_HALF_WIDTH, high + RING_HALF_WIDTH
    return Ring(max(low, 0 * u.deg), min(high, _reach(productions)))


def _reach(productions: Sequence[Production]) -> u.Quantity:
    """Up to which angle from the pointing all of the background was simulated."""
    return min(p.showers.viewcone_max for p in productions if p.particle in BACKGROUND_SPECTRA)


def _all_valid(events: QTable, particle: str) -> QTable:
    chosen = np.asarray(events["particle"] == particle)
    for quantity in MAIN_QUANTITIES.values():
        chosen = chosen & quantity.is_known(events)
    return events[chosen]


def _cut_quantities(events: QTable) -> QTable:
    """What cuts act on and curves are along, by pyirf's names."""
    table = QTable()
    table["reco_energy"] = events["reco_energy"]
    table["gh_score"] = np.asarray(events["gammaness"], dtype=float)
    table["theta"] = separation_angle(events)
    table["reco_source_fov_offset"] = pointing_offset(events, "reco")
    table["shower"] = np.asarray(events["shower"])
    return table


def weighted_gammas(events: QTable, productions: Sequence[Production]) -> QTable:
    """The gammas with how often the source would bring each in the time of observation.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`, one row a shower.
    productions : sequence of Production
        Those that `read_productions` knows.

    Returns
    -------
    gammas : astropy.table.QTable
        ``reco_energy``, ``gh_score``, ``theta``, ``reco_source_fov_offset``, ``shower`` and
        ``weight``. Diffuse gammas are a source that is in turn at all of their directions.
    """
    gammas = _all_valid(events, "gamma")
    mine = [p for p in productions if p.particle == "gamma"]
    flux = simulated_flux(mine, gammas["true_energy"], OBS_TIME, of_all_directions=True)
    table = _cut_quantities(gammas)
    table["weight"] = _weights(gammas, SOURCE_SPECTRUM, flux)
    return table


def background_particles(events: QTable, productions: Sequence[Production]) -> list[str]:
    """The particles that `weighted_background` counts, as they were simulated and reconstructed."""
    simulated = {production.particle for production in productions}
    return [
        particle
        for particle in BACKGROUND_SPECTRA
        if particle in simulated and len(_all_valid(events, particle))
    ]


def describe_spectra(background: Sequence[str]) -> Spectra:
    """The spectra of the source and of a background, from `background_particles`."""
    missing = [plural(name) for name in BACKGROUND_SPECTRA if name not in background]
    return Spectra(
        source=PUBLISHED["gamma"],
        background={name: PUBLISHED[name] for name in background},
        missing=[*missing, NEVER_COUNTED],
    )


def weighted_background(events: QTable, productions: Sequence[Production]) -> QTable:
    """The background with how often each event comes in the time of observation.

    Parameters, columns as in `weighted_gammas`; protons and, where there are any, electrons.
    """
    parts = []
    for particle in background_particles(events, productions):
        mine = [p for p in productions if p.particle == particle]
        chosen = _all_valid(events, particle)
        flux = simulated_flux(mine, chosen["true_energy"], OBS_TIME)
        part = _cut_quantities(chosen)
        part["weight"] = _weights(chosen, BACKGROUND_SPECTRA[particle], flux)
        parts.append(part)
    if not parts:
        empty = _cut_quantities(_all_valid(events, "proton"))
        empty["weight"] = np.zeros(0)
        return empty
    return vstack(parts)


def _weights(
    events: QTable, spectrum: Callable[[u.Quantity], u.Quantity], flux: u.Quantity
) -> np.ndarray:
    weights = calculate_event_weights(events["true_energy"], spectrum, lambda _: flux)
    # Energies that were not simulated (a limit in single precision may be missed) do not count.
    return np.where(flux > 0, weights, 0)
