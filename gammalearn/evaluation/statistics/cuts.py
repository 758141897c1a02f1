"""Cuts on gammaness by reconstructed energy: which events pass, and what they leave of a result."""

from collections.abc import Callable

import astropy.units as u
import numpy as np
from astropy.table import QTable

__all__ = [
    "NO_CUTS",
    "add_after_cuts",
    "cut_at",
    "has_cuts",
    "lacks_cuts",
    "passes_gammaness_cuts",
    "say_cuts",
]

#: Fraction of a bin's gammas whose reconstructed energy may be one without cuts, for a result by
#: the cuts.
MAX_WITHOUT_CUTS = 0.1
NO_CUTS = (
    f" There is none by the cuts where more than {100 * MAX_WITHOUT_CUTS:.0f} % of the gammas have "
    "a reconstructed energy without cuts."
)


def cut_at(events: QTable, cuts: QTable, name: str):
    """The cut at each event's energy, NaN where there is none.

    Parameters
    ----------
    events : astropy.table.QTable
        With ``reco_energy``.
    cuts : astropy.table.QTable
        From `sensitivity`.
    name : str
        Column of the cut.
    """
    edges = np.append(cuts["reco_energy_low"], cuts["reco_energy_high"][-1:]).to_value(u.TeV)
    place = np.digitize(events["reco_energy"].to_value(u.TeV), edges) - 1
    inside = (place >= 0) & (place < len(cuts))
    found = u.Quantity(cuts[name])[np.clip(place, 0, len(cuts) - 1)]
    found[~inside] = np.nan
    return found


def has_cuts(events: QTable, cuts: QTable) -> np.ndarray:
    """Which events have an energy for which there are cuts in a table from `sensitivity`."""
    return np.isfinite(cut_at(events, cuts, "gammaness_cut"))


def passes_gammaness_cuts(events: QTable, cuts: QTable) -> np.ndarray:
    """Which events pass the cuts on gammaness of a table from `sensitivity`.

    Events of energies for which there are no cuts do not.
    """
    # NaN, where there are no cuts, lets nothing pass.
    return np.asarray(events["gammaness"]) >= cut_at(events, cuts, "gammaness_cut")


def lacks_cuts(events: QTable, cuts: QTable, energy_bins: u.Quantity) -> np.ndarray:
    """The bins of true energy with too many events whose reconstructed energy has no cut."""
    energy = events["true_energy"]
    n_all, n_without = (
        np.histogram(these.value, energy_bins.to_value(these.unit))[0]
        for these in (energy, energy[~has_cuts(events, cuts)])
    )
    return n_without > MAX_WITHOUT_CUTS * n_all


def add_after_cuts(
    resolution: QTable,
    events: QTable,
    cuts: QTable | None,
    energy_bins: u.Quantity,
    measure: Callable[[QTable], QTable],
) -> None:
    """Add what is left of a resolution by the cuts on gammaness.

    Parameters
    ----------
    resolution : astropy.table.QTable
        From ``measure``. It gets ``n_selected`` and each column of what was measured anew, with
        ``_selected`` in its name: NaN in bins where more than 10 % of the gammas have a
        reconstructed energy without cuts. Nothing without cuts.
    events : astropy.table.QTable
        The events that it is of.
    cuts : astropy.table.QTable or None
        From `Performance.gammaness_cuts`.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).
    measure : callable
        From events to a table with ``n_events``.
    """
    if cuts is None:
        return
    complete = events[events["energy_is_valid"] & events["particle_type_is_valid"]]
    again = measure(complete[passes_gammaness_cuts(complete, cuts)])
    resolution["n_selected"] = again["n_events"]
    unknown = lacks_cuts(complete, cuts, energy_bins)
    for name in again.colnames:
        if name != "n_events" and not name.startswith("true_energy"):
            again[name][unknown] = np.nan
            ending = "_error" if name.endswith("_error") else ""
            resolution[f"{name.removesuffix('_error')}_selected{ending}"] = again[name]


def say_cuts(cuts: QTable | None, what: str) -> str:
    """What was cut on, as that of published curves is."""
    of_all = f" Of all that were reconstructed, without a cut on {what}"
    if cuts is None:
        return f"{of_all}."
    return (
        f"{of_all}, and of those that the sensitivity's cuts on gammaness leave, by reconstructed "
        f"energy.{NO_CUTS}"
    )
