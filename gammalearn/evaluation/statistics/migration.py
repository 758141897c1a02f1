"""Migration matrices: what events of a true value were reconstructed to."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle
from astropy.stats import circmean
from astropy.table import QTable
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from pyirf.benchmarks.energy_bias_resolution import NORM_LOWER_SIGMA, NORM_UPPER_SIGMA

from ...io.particles import plural
from ...plotting.style import DIAGONAL_STYLE, count_events, make_logarithmic, say_empty
from ..report.results import Result

__all__ = [
    "COLOR_LABEL",
    "MigrationAxis",
    "draw_cells",
    "draw_migration",
    "evaluate_migration",
    "migration_matrix",
    "migration_spread",
    "relative_azimuth",
]

MEDIAN = 0.5

#: A matrix is drawn square, so that its diagonal is at 45°.
PICTURE_SIZE = (6.4, 5.6)

#: Light for small fractions, and in order of lightness to all eyes.
COLOR_MAP = "YlGnBu"
COLOR_LABEL = "fraction of the true bin's events"


@dataclass(frozen=True)
class MigrationAxis:
    """What a migration matrix is of."""

    name: str
    called: str
    """What it is called where a caption begins."""

    true: str
    """Column of the true value."""

    reco: str
    """Column of the reconstructed value."""

    is_logarithmic: bool = False
    is_azimuth: bool = False
    """Whether values are azimuths, which count from their mean, see `relative_azimuth`."""

    remark: str = ""
    """What a caption says besides."""

    def values(self, events: QTable, reference: float | None = None) -> QTable:
        """A table with both columns; ``reference`` is that of `relative_azimuth`."""
        return relative_azimuth(events, reference) if self.is_azimuth else events


@dataclass(frozen=True)
class Migration:
    """A migration matrix with its picture.

    Attributes
    ----------
    result : Result
    n_out_of_range : int
        Events outside the axes.
    """

    result: Result
    n_out_of_range: int


def evaluate_migration(
    events: QTable, axis: MigrationAxis, edges: u.Quantity, signal: str
) -> Migration:
    """The migration matrix of the signal's events, with its picture.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events of the signal.
    axis : MigrationAxis
    edges : astropy.units.Quantity
        Bin edges of both axes, shape (n_bins + 1,).
    signal : str
        The particle.
    """
    values, columns = axis.values(events), {"true": axis.true, "reco": axis.reco}
    matrix = migration_matrix(values, edges, **columns)
    matrix.meta["particle"] = signal
    if axis.is_azimuth:
        matrix.meta["reference_deg"] = values.meta["reference"]
    spread = migration_spread(values, edges, **columns, logarithmic=axis.is_logarithmic)
    number = matrix.meta["n_out_of_range"]
    outside = f"all lie within the {axis.name} axis"
    if number:
        verb = "event lies" if number == 1 else "events lie"
        outside = f"{number} {verb} outside the {axis.name} axis"
    result = Result(
        f"migration_matrix_{axis.name}",
        draw_migration(matrix, spread, axis.name, signal, axis.is_logarithmic),
        f"{axis.called} that {plural(signal)} of a true {axis.name} were reconstructed to, as "
        f"fractions of all events of the true bin; {outside}.{axis.remark}",
        matrix,
        as_fits=True,
    )
    return Migration(result, number)


def migration_matrix(events: QTable, edges: u.Quantity, true: str, reco: str) -> QTable:
    """Numbers of events by true and reconstructed value.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with the columns ``true`` and ``reco``.
    edges : astropy.units.Quantity
        Bin edges of both axes, shape (n_bins + 1,).
    true, reco : str
        Names of the columns.

    Returns
    -------
    matrix : astropy.table.QTable
        One row a cell, n_bins² rows, reco running fastest: ``true_low``, ``true_high``,
        ``reco_low``, ``reco_high``, ``counts``, and ``probability``: counts over all events of
        the same true bin, NaN where there are none. Those that were reconstructed off the axis
        are part of them, so that what is lacking to a sum of 1 went there; pyirf's migration
        matrix and energy dispersion divide by the events within the axis. ``meta``:
        ``n_events``, ``n_out_of_range``.
    """
    n_bins = len(edges) - 1
    unit = edges.unit
    if len(events):
        true_value, reco_value = events[true].to_value(unit), events[reco].to_value(unit)
        counts, _, _ = np.histogram2d(true_value, reco_value, bins=[edges.value] * 2)
        per_true_bin = np.histogram(true_value, edges.value)[0][:, None]
    else:
        counts, per_true_bin = np.zeros((n_bins, n_bins)), np.zeros((n_bins, 1))

    probability = np.full_like(counts, np.nan)
    np.divide(counts, per_true_bin, out=probability, where=per_true_bin > 0)

    matrix = QTable()
    matrix["true_low"] = np.repeat(edges[:-1], n_bins)
    matrix["true_high"] = np.repeat(edges[1:], n_bins)
    matrix["reco_low"] = np.tile(edges[:-1], n_bins)
    matrix["reco_high"] = np.tile(edges[1:], n_bins)
    matrix["counts"] = counts.ravel().astype(int)
    matrix["probability"] = probability.ravel()
    matrix.meta["n_events"] = len(events)
    matrix.meta["n_out_of_range"] = len(events) - int(counts.sum())
    return matrix


def migration_spread(
    events: QTable, edges: u.Quantity, true: str, reco: str, logarithmic: bool = False
) -> QTable:
    """Median and central 68 % of reco − true, or of log10(reco/true), by true value.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with the columns ``true`` and ``reco``.
    edges : astropy.units.Quantity
        Bin edges of the true value, shape (n_bins + 1,).
    true, reco : str
        Names of the columns.
    logarithmic : bool
        Take log10(reco/true), dimensionless, for a quantity that spans decades. Values that are
        not positive have none and are left out.

    Returns
    -------
    spread : astropy.table.QTable
        One row a bin: ``true_low``, ``true_high``, ``n_events``, ``true_median`` (the median true
        value), ``median``, ``low``, ``high`` (quantiles 0.5, 0.16 and 0.84 of the difference),
        NaN in empty bins.
    """
    unit = edges.unit
    true_value, reco_value = events[true].to_value(unit), events[reco].to_value(unit)
    if logarithmic:
        positive = (true_value > 0) & (reco_value > 0)
        true_value, reco_value = true_value[positive], reco_value[positive]
        difference = np.log10(reco_value / true_value)
    else:
        difference = reco_value - true_value

    n_bins = len(edges) - 1
    quantiles = np.full((3, n_bins), np.nan)
    true_median = np.full(n_bins, np.nan)
    n_events = np.zeros(n_bins, dtype=int)
    position = np.digitize(true_value, edges.value) - 1
    for index in range(n_bins):
        inside = position == index
        n_events[index] = np.sum(inside)
        if n_events[index]:
            true_median[index] = np.median(true_value[inside])
            quantiles[:, index] = np.quantile(
                difference[inside], [MEDIAN, NORM_LOWER_SIGMA, NORM_UPPER_SIGMA]
            )

    spread = QTable()
    spread["true_low"], spread["true_high"] = edges[:-1], edges[1:]
    spread["n_events"] = n_events
    spread["true_median"] = true_median * unit
    for name, values in zip(("median", "low", "high"), quantiles, strict=True):
        spread[name] = values if logarithmic else values * unit
    return spread


def relative_azimuth(events: QTable, reference: float | None = None) -> QTable:
    """The events' azimuths as seen from their mean, so that north is no edge.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``true_az`` and ``reco_az``.
    reference : float, optional
        Azimuth (deg) to count from in place of the mean.

    Returns
    -------
    azimuths : astropy.table.QTable
        ``true_relative_az`` (deg): true azimuth less the reference, within ±180°;
        ``reco_relative_az`` (deg): within ±180° of the true one, so that 359.9° and 0.1° are
        0.2° apart. ``meta["reference"]`` (deg): circular mean of the true azimuths, rounded to
        0.1°; NaN without events.
    """
    azimuths = QTable()
    if len(events) == 0:
        azimuths["true_relative_az"] = azimuths["reco_relative_az"] = [] * u.deg
        azimuths.meta["reference"] = np.nan
        return azimuths
    if reference is None:
        mean = circmean(events["true_az"]).to_value(u.deg)
        # Rounding may give 360, which is 0.
        reference = round(float(mean % 360), 1) % 360
    true = _within_half_turn(events["true_az"] - reference * u.deg)
    azimuths["true_relative_az"] = true
    azimuths["reco_relative_az"] = true + _within_half_turn(events["reco_az"] - events["true_az"])
    azimuths.meta["reference"] = reference
    return azimuths


def _within_half_turn(angle: u.Quantity) -> u.Quantity:
    return u.Quantity(Angle(angle).wrap_at(180 * u.deg)).to(u.deg)


def draw_migration(
    matrix: QTable, spread: QTable, quantity: str, particle: str, logarithmic: bool = False
) -> Figure:
    """Picture of a migration matrix with the median and central 68 % of each true bin.

    Parameters
    ----------
    matrix : astropy.table.QTable
        From `migration_matrix`; ``meta["reference_deg"]`` is where an azimuth counts from.
    spread : astropy.table.QTable
        From `migration_spread` with the same edges.
    quantity : str
        What the axes show, e.g. ``"altitude"``.
    particle : str
        Whose events these are.
    logarithmic : bool
        As in `migration_spread`; the axes are logarithmic then.
    """
    figure = Figure(figsize=PICTURE_SIZE, layout="constrained")
    axes = figure.add_subplot()
    inside = matrix.meta["n_events"] - matrix.meta["n_out_of_range"]
    axes.set_title(f"{quantity.capitalize()} migration, {count_events(inside, particle)}")
    mesh = draw_cells(axes, matrix, spread, quantity, logarithmic)
    if mesh is not None:
        figure.colorbar(mesh, ax=axes, label=COLOR_LABEL, shrink=0.85)
        axes.legend(loc="upper left")
    return figure


def draw_cells(
    axes: Axes,
    matrix: QTable,
    spread: QTable,
    quantity: str,
    logarithmic: bool = False,
    largest: float | None = None,
) -> QuadMesh | None:
    """Draw a migration matrix on axes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    matrix, spread, quantity, logarithmic
        As in `draw_migration`.
    largest : float, optional
        Fraction at the end of the colours; by default the matrix's own.

    Returns
    -------
    mesh : matplotlib.collections.QuadMesh or None
        For a colour bar; None where nothing lies within the axes.
    """
    n_bins = len(spread)
    unit = matrix["true_low"].unit
    edges = u.Quantity(np.append(spread["true_low"], spread["true_high"][-1:])).to_value(unit)
    axes.set_box_aspect(1)
    reference = matrix.meta.get("reference_deg", np.nan)
    origin = f" relative to {reference:g}°" if np.isfinite(reference) else ""
    axes.set_xlabel(f"true {quantity}{origin} ({unit})")
    axes.set_ylabel(f"reconstructed {quantity}{origin} ({unit})")
    if not np.all(np.isfinite(edges)):
        say_empty(axes, "no events")
        axes.set_xticks([])
        axes.set_yticks([])
        return None

    if logarithmic:
        make_logarithmic(axes, "x")
        make_logarithmic(axes, "y")
    axes.plot(edges[[0, -1]], edges[[0, -1]], **DIAGONAL_STYLE)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(edges[0], edges[-1])
    if matrix.meta["n_events"] == matrix.meta["n_out_of_range"]:
        say_empty(axes, "no events within the axes")
        return None

    cells = matrix["probability"].reshape(n_bins, n_bins).T
    # Cells that no event reached stay white; the square root lets those of a few events be seen.
    norm = PowerNorm(0.5, vmin=0, vmax=np.nanmax(cells) if largest is None else largest)
    reached = np.ma.masked_where(~(cells > 0), cells)
    mesh = axes.pcolormesh(edges, edges, reached, norm=norm, cmap=COLOR_MAP)
    _draw_spread(axes, spread, logarithmic)
    return mesh


def _draw_spread(axes: Axes, spread: QTable, logarithmic: bool) -> None:
    filled = spread["n_events"] > 0
    if not np.any(filled):
        return
    # At the median true value: the bin's centre would put a few events beside their cell.
    centre = spread["true_median"].value
    if logarithmic:
        low, median, high = (centre * 10 ** spread[n].value for n in ("low", "median", "high"))
    else:
        low, median, high = (centre + spread[n].value for n in ("low", "median", "high"))
    # Quantiles of few events interpolate; rounding must not turn a bar's end around.
    below, above = np.maximum(median - low, 0), np.maximum(high - median, 0)
    axes.errorbar(
        centre[filled],
        median[filled],
        yerr=[below[filled], above[filled]],
        fmt="o",
        color="black",
        markerfacecolor="white",
        markersize=4,
        linewidth=1.2,
        label="median and central 68 %",
    )
