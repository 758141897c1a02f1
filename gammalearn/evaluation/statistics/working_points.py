"""What is kept of gammas and of other particles above a threshold of gammaness."""

from collections.abc import Sequence

import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure

from ...io.particles import plural
from ...plotting.style import PALETTE, particle_colors, say_empty
from .separation import POSITIVE, add_fraction, ordered_particles

__all__ = [
    "EFFICIENCIES",
    "confusion_matrix",
    "draw_confusion_matrix",
    "draw_working_points",
    "gammaness_threshold",
    "working_points",
]

#: Fractions of the gammas that working points keep.
EFFICIENCIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

#: Gammaness above which an event counts as a gamma in the confusion matrix.
THRESHOLD = 0.5


def gammaness_threshold(gammaness: np.ndarray, efficiency: float) -> float:
    """The highest threshold that keeps such a fraction of the events; NaN without any.

    Parameters
    ----------
    gammaness : numpy.ndarray
        Shape (n_events,).
    efficiency : float
        At least this fraction of the events has a gammaness of the threshold or more.
    """
    if len(gammaness) == 0:
        return np.nan
    # Rounded, for 0.07 of 100 events to be 7 of them.
    n_kept = max(int(np.ceil(np.round(efficiency * len(gammaness), 6))), 1)
    return float(np.sort(gammaness)[-n_kept])


def working_points(events: QTable, efficiencies: Sequence[float] = EFFICIENCIES) -> QTable:
    """Efficiency and purity of thresholds that keep given fractions of the gammas.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``particle`` and ``gammaness``.
    efficiencies : sequence of float

    Returns
    -------
    points : astropy.table.QTable
        One row a working point: ``threshold``, ``n_events`` (kept), the kept fraction of each
        particle, ``efficiency_PARTICLE``, that of all but gammas, ``efficiency_other``,
        ``purity`` (the gammas among what is kept, in the mixture of these events), each with its
        68 % binomial (Wilson) interval ``_low`` and ``_high``, and ``quality``, the gammas'
        efficiency by the root of the others'. NaN where it has no events.
    """
    particle = np.asarray(events["particle"], dtype=str).reshape(len(events))
    gammaness = np.asarray(events["gammaness"], dtype=float)
    thresholds = np.array(
        [gammaness_threshold(gammaness[particle == POSITIVE], value) for value in efficiencies]
    )
    above = gammaness[None, :] >= thresholds[:, None]
    points = QTable({"threshold": thresholds, "n_events": above.sum(axis=1)})
    others = [name for name in ordered_particles(events) if name != POSITIVE]
    for name, mine in [
        *((name, particle == name) for name in (POSITIVE, *others)),
        ("other", particle != POSITIVE),
    ]:
        add_fraction(points, f"efficiency_{_word(name)}", above[:, mine].sum(axis=1), mine.sum())
    add_fraction(points, "purity", above[:, particle == POSITIVE].sum(axis=1), points["n_events"])
    with np.errstate(divide="ignore", invalid="ignore"):
        quality = points[f"efficiency_{POSITIVE}"] / np.sqrt(points["efficiency_other"])
    points["quality"] = np.where(np.isfinite(quality), quality, np.nan)
    return points


def _word(particle: str) -> str:
    return particle.replace(" ", "_")


def confusion_matrix(events: QTable, threshold: float = THRESHOLD) -> QTable:
    """What events of each particle are taken for, if gammas are those above a threshold.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``particle`` and ``gammaness``.
    threshold : float

    Returns
    -------
    matrix : astropy.table.QTable
        One row a particle, gammas first: ``particle``, ``n_events``, ``n_as_gamma``,
        ``n_as_other``, ``as_gamma`` and ``as_other`` (fractions) with 68 % binomial (Wilson)
        intervals ``_low`` and ``_high``. ``meta``: ``threshold``.
    """
    particle = np.asarray(events["particle"], dtype=str).reshape(len(events))
    above = np.asarray(events["gammaness"], dtype=float) >= threshold
    names = ordered_particles(events)
    number = np.array([np.sum(particle == name) for name in names], dtype=int)
    kept = np.array([np.sum(above & (particle == name)) for name in names], dtype=int)
    matrix = QTable()
    matrix["particle"] = np.array(names, dtype="U16")
    matrix["n_events"], matrix["n_as_gamma"], matrix["n_as_other"] = number, kept, number - kept
    add_fraction(matrix, "as_gamma", kept, number)
    add_fraction(matrix, "as_other", number - kept, number)
    matrix.meta["threshold"] = threshold
    return matrix


def draw_confusion_matrix(matrix: QTable) -> Figure:
    """Picture of a table from `confusion_matrix`."""
    figure = Figure(figsize=(5.6, 1.8 + 0.7 * max(len(matrix), 1)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"Confusion matrix, gammas from a gammaness of {matrix.meta['threshold']:g}")
    if len(matrix) == 0:
        say_empty(axes, "no events")
        return figure
    fractions = np.column_stack([matrix["as_gamma"], matrix["as_other"]])
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*fractions.shape):
        value, number = fractions[row, column], matrix[row][("n_as_gamma", "n_as_other")[column]]
        axes.text(
            column,
            row,
            f"{value:.1%}\n{number:,}".replace(",", "\N{NO-BREAK SPACE}"),
            ha="center",
            va="center",
            color="white" if value > 0.5 else "black",
        )
    axes.set_xticks([0, 1], ["taken for a gamma", "taken for another"])
    axes.set_yticks(range(len(matrix)), [plural(name) for name in matrix["particle"]])
    return figure


def draw_working_points(events: QTable) -> Figure:
    """Picture of the efficiencies and the purity against the threshold of gammaness."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(True)
    axes.set_title("Efficiency and purity above a threshold")
    axes.set_xlabel("threshold of gammaness")
    axes.set_ylabel("fraction")
    axes.set_ylim(-0.01, 1.01)
    particles = ordered_particles(events)
    if not particles:
        say_empty(axes, "no events")
        return figure
    particle = np.asarray(events["particle"], dtype=str)
    gammaness = np.asarray(events["gammaness"], dtype=float)
    edges = np.linspace(min(0, gammaness.min()), max(1, gammaness.max()), 201)
    for name, color in particle_colors(particles).items():
        mine = np.sort(gammaness[particle == name])
        kept = 1 - np.searchsorted(mine, edges, side="left") / len(mine)
        axes.plot(edges, kept, color=color, label=f"{plural(name)} kept")
    gammas = np.sort(gammaness[particle == POSITIVE])
    n_kept = len(gammaness) - np.searchsorted(np.sort(gammaness), edges, side="left")
    n_gammas = len(gammas) - np.searchsorted(gammas, edges, side="left")
    purity = np.divide(n_gammas, n_kept, out=np.full(len(edges), np.nan), where=n_kept > 0)
    axes.plot(edges, purity, color=PALETTE[6], linestyle="--", label="purity of these events")
    axes.set_xlim(edges[0], edges[-1])
    axes.legend()
    return figure
