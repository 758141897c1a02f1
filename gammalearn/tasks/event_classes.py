"""Event classes: how well the direction of an event is known, compared with others of its energy.

The classes are what the Fermi-LAT calls PSF0 to PSF3, and CTAO event types: events whose directions
are known alike are analysed with an instrument response of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from pydantic import TypeAdapter

__all__ = ["LEAST_EVENTS", "NO_CLASS", "EventClasses"]

#: Class of events whose direction has no predicted error.
NO_CLASS = -1

#: Gammas that a class needs, to have limits at all.
LEAST_EVENTS = 10

#: Gammas for each bin in energy: a quantile of them is good to a share of 3 % or better.
EVENTS_OF_BIN = 200

#: Largest number of bins in energy.
MOST_BINS = 20


@dataclass(frozen=True)
class EventClasses:
    """Limits of the predicted error between classes, by bins of the predicted energy.

    Attributes
    ----------
    quantiles : tuple of float
        Shares of the gammas with larger errors than each limit, increasing: of (0.25, 0.5, 0.75)
        the class 0 is the quarter with the largest errors, and the class 3 that with the smallest.
    energy_edges : tuple of float
        Between bins of log10(E/TeV), without the ends; there is one bin more.
    limits : tuple of tuple of float
        Predicted error (deg) of each bin and quantile, decreasing in a bin.
    n_gammas : int
        Events that they are from.
    """

    quantiles: tuple[float, ...]
    energy_edges: tuple[float, ...]
    limits: tuple[tuple[float, ...], ...]
    n_gammas: int

    def __post_init__(self) -> None:
        limits = np.array(self.limits, dtype=float)
        shape = (len(self.energy_edges) + 1, len(self.quantiles))
        if limits.shape != shape or not np.isfinite(limits).all():
            raise ValueError(f"limits of event classes: expected finite values of shape {shape}")

    @classmethod
    def fit(
        cls,
        energy: np.ndarray | None,
        uncertainty: np.ndarray,
        quantiles: Sequence[float],
    ) -> "EventClasses":
        """Limits that divide these gammas by the quantiles, in each bin of energy.

        The bins have equal numbers of gammas.

        Parameters
        ----------
        energy : ndarray, shape (n_gammas,), optional
            Predicted, in TeV. Without it there is one bin.
        uncertainty : ndarray, shape (n_gammas,)
            Predicted error of the direction, in deg. Gammas without one do not count.
        quantiles : sequence of float
            See `EventClasses`.

        Raises
        ------
        ValueError
            If there are fewer than `LEAST_EVENTS` gammas for each class.
        """
        energy, uncertainty, known = _known(energy, uncertainty)
        energy, uncertainty = energy[known], uncertainty[known]
        needed = LEAST_EVENTS * (len(quantiles) + 1)
        if len(energy) < needed:
            raise ValueError(
                f"{len(energy)} gammas do not give the limits of {len(quantiles) + 1} event "
                f"classes, which need {needed}"
            )
        n_bins = min(max(len(energy) // EVENTS_OF_BIN, 1), MOST_BINS)
        # Each edge is a gamma's energy, so that no bin is empty.
        edges = np.unique(np.quantile(energy, np.arange(1, n_bins) / n_bins, method="higher"))
        edges = edges[edges > energy.min()]
        place = np.digitize(energy, edges)
        smaller = 1 - np.asarray(quantiles, dtype=float)
        limits = [np.quantile(uncertainty[place == n], smaller) for n in range(len(edges) + 1)]
        return cls(
            tuple(map(float, quantiles)),
            tuple(map(float, edges)),
            tuple(tuple(map(float, values)) for values in limits),
            len(energy),
        )

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.quantiles) + 1

    def classify(self, energy: np.ndarray | None, uncertainty: np.ndarray) -> np.ndarray:
        """The class of each event.

        Parameters
        ----------
        energy : ndarray, shape (n_events,), optional
            Predicted, in TeV. Events beyond the gammas of the fit count with the nearest bin.
        uncertainty : ndarray, shape (n_events,)
            Predicted error of the direction, in deg.

        Returns
        -------
        ndarray of int16, shape (n_events,)
            0 for the largest errors, `NO_CLASS` without a predicted error or energy.
        """
        energy, uncertainty, known = _known(energy, uncertainty)
        found = np.full(len(uncertainty), NO_CLASS, dtype=np.int16)
        limits = np.array(self.limits).reshape(-1, len(self.quantiles))
        of_event = limits[np.digitize(energy[known], self.energy_edges)]
        found[known] = (uncertainty[known, None] <= of_event).sum(axis=1)
        return found

    def to_dict(self) -> dict[str, object]:
        """Plain values for a checkpoint or a file."""
        return {
            name: [list(row) if isinstance(row, tuple) else row for row in value]
            if isinstance(value, tuple)
            else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "EventClasses":
        """The classes of these plain values.

        Raises
        ------
        ValueError
            If they are not those of `to_dict`.
        """
        return TypeAdapter(cls).validate_python(dict(values))


def _known(
    energy: np.ndarray | None, uncertainty: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log10(E/TeV), the error, and which events have both; all have the energy 1 TeV of None."""
    uncertainty = np.asarray(uncertainty, dtype=float)
    energy = np.ones(len(uncertainty)) if energy is None else np.asarray(energy, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log10(energy)
    return logarithm, uncertainty, np.isfinite(logarithm) & np.isfinite(uncertainty)
