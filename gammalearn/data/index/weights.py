"""Weights: how much each event counts in the loss of a task."""

from collections.abc import Mapping

import astropy.units as u
import numpy as np
from pyirf.spectral import POINT_SOURCE_FLUX_UNIT, PowerLaw, calculate_event_weights

from ...errors import DataError
from ...settings import WeightSettings
from .events import EventIndex

__all__ = ["check_weights", "describe_weights", "event_weights"]


def check_weights(index: EventIndex, settings: WeightSettings) -> None:
    """Refuse a reweighting of spectra that are not known.

    Parameters
    ----------
    index : EventIndex
    settings : gammalearn.settings.WeightSettings

    Raises
    ------
    DataError
        If a file does not say with which power law the particles to weigh were simulated.
    """
    simulated = np.asarray(index.events["spectral_index"], dtype=np.float64)
    wrong = ~(simulated <= 0) & np.isfinite(_target_indices(index, settings))
    if np.any(wrong):
        path = index.files[index.events["file"][np.flatnonzero(wrong)[0]]]
        raise DataError(
            f"data.weights.spectral_index: '{path}' does not say which power law of energies its "
            f"{index.events['particle'][np.flatnonzero(wrong)[0]]}s were simulated with; leave the "
            "particle or the file out, or weigh no spectra."
        )


def _target_indices(index: EventIndex, settings: WeightSettings) -> np.ndarray:
    """The spectral index that each event is weighed to, NaN where it stays as it is."""
    wanted = settings.spectral_index
    particle = np.asarray(index.events["particle"])
    target = np.full(len(particle), np.nan)
    for name in np.unique(particle):
        value = wanted
        if isinstance(wanted, Mapping):
            value = wanted.get(str(name))  # type: ignore[call-overload]  # files have others too
        if name and value is not None:
            target[particle == name] = value
    return target


def _spectral_weights(index: EventIndex, settings: WeightSettings) -> np.ndarray:
    """Target over simulated spectrum at each event's energy, up to one factor for each particle."""
    events = index.events
    energy = np.asarray(events["true_energy"], dtype=np.float64)
    pairs = np.column_stack([_target_indices(index, settings), events["spectral_index"]])
    weights = np.ones(len(events))
    for target, simulated in np.unique(pairs[np.isfinite(pairs).all(axis=1)], axis=0):
        mine = (pairs == [target, simulated]).all(axis=1) & (energy > 0)
        laws = (PowerLaw(1 * POINT_SOURCE_FLUX_UNIT, value) for value in (target, simulated))
        weights[mine] = calculate_event_weights(energy[mine] * u.TeV, *laws)
    return weights


def event_weights(
    index: EventIndex, settings: WeightSettings, learnt: np.ndarray, training: np.ndarray
) -> np.ndarray:
    """Weight of each event in the loss of one task.

    Spectral weights, Φ_target(E) / Φ_simulated(E), have the mean 1 for each particle, so that they
    change no particle's share; with ``balance_particles`` each particle has then the same share.

    Parameters
    ----------
    index : EventIndex
    settings : gammalearn.settings.WeightSettings
    learnt : ndarray of bool, shape (len(index),)
        Which events the task learns from.
    training : ndarray of int
        Rows of the training events. Those of them that the task learns from have the mean 1;
        validation events have the weights that they would have as training events.

    Returns
    -------
    ndarray of float32, shape (len(index),)

    Raises
    ------
    DataError
        See :func:`check_weights`.
    """
    check_weights(index, settings)
    weights = _spectral_weights(index, settings)
    particle = np.asarray(index.events["particle"])
    counted = np.zeros(len(index), dtype=bool)
    counted[training] = learnt[training]
    names = np.unique(particle[counted])
    for name in names:
        mine = particle == name
        weights[mine] /= weights[mine & counted].mean()
        if settings.balance_particles:
            weights[mine] *= counted.sum() / (len(names) * (mine & counted).sum())
    return weights.astype(np.float32)


def describe_weights(particle: np.ndarray, weights: np.ndarray) -> dict[str, str]:
    """Weights in words, by particle.

    Parameters
    ----------
    particle : ndarray of str, shape (n_events,)
    weights : ndarray, shape (n_events,)

    Returns
    -------
    dict of str to str
        Mean, least and largest weight, and the number of events of equal weight that would know as
        much, (Σw)² / Σw² (Kish 1965).
    """
    described = {}
    for name in np.unique(particle):
        mine = np.asarray(weights, dtype=np.float64)[particle == name]
        effective = mine.sum() ** 2 / (mine**2).sum()
        described[str(name) or "unknown"] = (
            f"mean {mine.mean():.3g}, from {mine.min():.3g} to {mine.max():.3g}; {len(mine)} "
            f"events count as {effective:.0f} of equal weight"
        )
    return described
