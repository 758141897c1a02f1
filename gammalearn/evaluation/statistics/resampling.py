"""Bootstrap: how far a number would stray with other showers."""

from collections.abc import Callable, Sequence

import numpy as np

__all__ = [
    "bootstrap",
    "repeated_area_under_curve",
    "repeated_fraction_left",
    "repeated_quantiles",
]

#: Elements of the largest array that is made at a time.
MAX_ELEMENTS = 2**22


def repeated_quantiles(
    values: np.ndarray, repeats: np.ndarray, fractions: Sequence[float]
) -> np.ndarray:
    """``np.quantile(np.repeat(values, n), fractions)`` for many ``n`` at once.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n_values,).
    repeats : numpy.ndarray of int
        How often each value is there, shape (n_resamples, n_values).
    fractions : sequence of float

    Returns
    -------
    quantiles : numpy.ndarray
        Shape (n_resamples, n_fractions), NaN where no value is left.
    """
    order = np.argsort(values)
    ordered = np.asarray(values, dtype=float)[order]
    upto = np.cumsum(repeats[:, order], axis=1)
    total = upto[:, -1] if len(values) else np.zeros(len(repeats), dtype=int)
    quantiles = np.full((len(repeats), len(fractions)), np.nan)
    for row in np.flatnonzero(total):
        position = (total[row] - 1) * np.asarray(fractions, dtype=float)
        below = np.floor(position).astype(int)
        above = np.minimum(below + 1, total[row] - 1)
        low = ordered[np.searchsorted(upto[row], below, side="right")]
        high = ordered[np.searchsorted(upto[row], above, side="right")]
        quantiles[row] = low + (high - low) * (position - below)
    return quantiles


def repeated_area_under_curve(
    gammaness: np.ndarray, is_gamma: np.ndarray, repeats: np.ndarray
) -> np.ndarray:
    """Area under the ROC curve of events that are there several times.

    Parameters
    ----------
    gammaness, is_gamma : numpy.ndarray
        Shape (n_events,).
    repeats : numpy.ndarray of int
        How often each event is there, shape (n_resamples, n_events).

    Returns
    -------
    area : numpy.ndarray
        Shape (n_resamples,), NaN where no gammas or no others are left.
    """
    others = np.flatnonzero(~is_gamma)
    others = others[np.argsort(gammaness[others])]
    gammas = np.flatnonzero(is_gamma)
    upto = np.cumsum(repeats[:, others], axis=1)
    upto = np.concatenate([np.zeros((len(repeats), 1), dtype=upto.dtype), upto], axis=1)
    first, last = (
        np.searchsorted(gammaness[others], gammaness[gammas], side=side)
        for side in ("left", "right")
    )
    # Half of the draws count as won.
    won = np.sum(repeats[:, gammas] * (upto[:, first] + upto[:, last]) / 2, axis=1)
    pairs = repeats[:, gammas].sum(axis=1) * upto[:, -1]
    area = np.full(len(repeats), np.nan)
    return np.divide(won, pairs, out=area, where=pairs > 0)


def repeated_fraction_left(
    gammaness: np.ndarray, is_gamma: np.ndarray, repeats: np.ndarray, efficiency: float
) -> np.ndarray:
    """Others above the highest threshold that keeps such a fraction of the gammas, of events that
    are there several times.

    Parameters
    ----------
    gammaness, is_gamma, repeats
        As in `repeated_area_under_curve`.
    efficiency : float
        Fraction of the gammas that is kept at least.

    Returns
    -------
    fraction : numpy.ndarray
        Shape (n_resamples,), NaN where no gammas or no others are left.
    """
    orders = [np.flatnonzero(chosen) for chosen in (is_gamma, ~is_gamma)]
    # The highest gammaness first.
    gammas, others = (mine[np.argsort(-gammaness[mine])] for mine in orders)
    gammas_above, others_above = (np.cumsum(repeats[:, mine], axis=1) for mine in (gammas, others))
    left = np.full(len(repeats), np.nan)
    for row in range(len(repeats)):
        n_gammas, n_others = (n[row, -1] if n.size else 0 for n in (gammas_above, others_above))
        if n_gammas and n_others:
            # Rounded, as in `gammaness_threshold`.
            n_kept = max(int(np.ceil(np.round(efficiency * n_gammas, 6))), 1)
            threshold = gammaness[gammas[np.searchsorted(gammas_above[row], n_kept)]]
            n_above = np.searchsorted(-gammaness[others], -threshold, side="right")
            left[row] = others_above[row, n_above - 1] / n_others if n_above else 0
    return left


def bootstrap(
    statistic: Callable[[list[np.ndarray]], np.ndarray],
    showers: Sequence[np.ndarray],
    strata: np.ndarray,
    n_resamples: int,
    seed: int = 0,
) -> np.ndarray:
    """A statistic of samples in which the same showers are drawn with replacement.

    Showers are drawn, not events, as the images of a shower and its reuses at other core
    positions are alike; and the same for all samples, so that what they have in common goes out
    of their differences (a paired bootstrap).

    Parameters
    ----------
    statistic : callable
        Takes how often each row of each sample is there, a list of arrays of shape (n, n_rows),
        and returns an array of shape (n, ...).
    showers : sequence of numpy.ndarray of int
        For each sample, the shower of each row, shape (n_rows,).
    strata : numpy.ndarray of int
        Shape (n_showers,): as many showers are drawn from each stratum as it has.
    n_resamples : int
        How often to draw.
    seed : int
        Of the random numbers.

    Returns
    -------
    resampled : numpy.ndarray
        Shape (n_resamples, ...).
    """
    random = np.random.default_rng(seed)
    largest = max(len(strata), *(len(mine) for mine in showers), 1)
    step = max(1, MAX_ELEMENTS // largest)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    results = []
    for start in range(0, n_resamples, step):
        n_draws = min(step, n_resamples - start)
        drawn = np.zeros((n_draws, len(strata)), dtype=np.int32)
        for mine in members:
            # As multinomial does, many times faster.
            which = random.integers(len(mine), size=(n_draws, len(mine)))
            which += len(mine) * np.arange(n_draws)[:, None]
            counts = np.bincount(which.ravel(), minlength=n_draws * len(mine))
            drawn[:, mine] = counts.reshape(n_draws, len(mine))
        results.append(statistic([drawn[:, mine] for mine in showers]))
    return np.concatenate(results)
