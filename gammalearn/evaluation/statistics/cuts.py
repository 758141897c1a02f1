"""Cuts on gammaness by reconstructed energy: which events pass, and what they leave of a result."""

from collections.abc import Callable
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.table import QTable

__all__ = [
    "NO_CUTS",
    "Cuts",
    "add_after_cuts",
    "say_cuts",
]

#: Fraction of a bin's gammas whose reconstructed energy may be one without cuts, for a result by
#: the cuts.
MAX_WITHOUT_CUTS = 0.1
NO_CUTS = (
    f" There is none by the cuts where more than {100 * MAX_WITHOUT_CUTS:.0f} % of the gammas have "
    "a reconstructed energy without cuts."
)


@dataclass(frozen=True)
class Cuts:
    """Cuts on gammaness and on the angle to the source, in bins of reconstructed energy.

    Attributes
    ----------
    energy_bins : astropy.units.Quantity
        Edges in reconstructed energy, shape (n_bins + 1,).
    gammaness : numpy.ndarray
        Lowest gammaness that passes, shape (n_bins,); NaN in bins without cuts.
    theta : astropy.units.Quantity
        Largest angle that passes, shape (n_bins,); NaN in bins without cuts.
    """

    energy_bins: u.Quantity
    gammaness: np.ndarray
    theta: u.Quantity

    def gammaness_at(self, events: QTable) -> np.ndarray:
        """The cut on gammaness at the energy of each event, shape (n_events,), NaN if none."""
        place, inside = self._places(events)
        return np.where(inside, self.gammaness[place], np.nan)

    def theta_at(self, events: QTable) -> u.Quantity:
        """The cut on the angle at the energy of each event, shape (n_events,), NaN if none."""
        place, inside = self._places(events)
        return u.Quantity(np.where(inside, self.theta.value[place], np.nan), self.theta.unit)

    def pass_gammaness(self, events: QTable) -> np.ndarray:
        """Which events pass the cuts on gammaness; none does at an energy without cuts."""
        # NaN, where there are no cuts, lets nothing pass.
        return np.asarray(events["gammaness"]) >= self.gammaness_at(events)

    def lacking(self, events: QTable, energy_bins: u.Quantity) -> np.ndarray:
        """The bins of true energy with too many events whose reconstructed energy has no cut.

        Parameters
        ----------
        events : astropy.table.QTable
            With ``reco_energy`` and ``true_energy``.
        energy_bins : astropy.units.Quantity
            Edges in true energy, shape (n_bins + 1,).

        Returns
        -------
        lacking : numpy.ndarray of bool
            Shape (n_bins,).
        """
        energy, without = events["true_energy"], np.isnan(self.gammaness_at(events))
        n_all, n_without = (
            np.histogram(these.value, energy_bins.to_value(these.unit))[0]
            for these in (energy, energy[without])
        )
        return n_without > MAX_WITHOUT_CUTS * n_all

    def _places(self, events: QTable) -> tuple[np.ndarray, np.ndarray]:
        """The bin of each event, and whether its energy is in one."""
        edges, n_bins = self.energy_bins.to_value(u.TeV), len(self.gammaness)
        place = np.digitize(events["reco_energy"].to_value(u.TeV), edges) - 1
        return np.clip(place, 0, n_bins - 1), (place >= 0) & (place < n_bins)


def add_after_cuts(
    resolution: QTable,
    events: QTable,
    cuts: Cuts | None,
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
    cuts : Cuts or None
        From `Performance.gammaness_cuts`.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).
    measure : callable
        From events to a table with ``n_events``.
    """
    if cuts is None:
        return
    complete = events[events["energy_is_valid"] & events["particle_type_is_valid"]]
    again = measure(complete[cuts.pass_gammaness(complete)])
    resolution["n_selected"] = again["n_events"]
    unknown = cuts.lacking(complete, energy_bins)
    for name in again.colnames:
        if name != "n_events" and not name.startswith("true_energy"):
            again[name][unknown] = np.nan
            ending = "_error" if name.endswith("_error") else ""
            resolution[f"{name.removesuffix('_error')}_selected{ending}"] = again[name]


def say_cuts(cuts: Cuts | None, what: str) -> str:
    """What was cut on, as that of published curves is."""
    of_all = f" Of all that were reconstructed, without a cut on {what}"
    if cuts is None:
        return f"{of_all}."
    return (
        f"{of_all}, and of those that the sensitivity's cuts on gammaness leave, by reconstructed "
        f"energy.{NO_CUTS}"
    )
