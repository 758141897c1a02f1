"""Direction: angles on the sky between reconstructed and true."""

from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
from astropy.coordinates import AltAz
from astropy.table import QTable, vstack
from ctapipe.coordinates import TelescopeFrame
from matplotlib.figure import Figure
from pyirf.benchmarks import angular_resolution as pyirf_angular_resolution
from pyirf.benchmarks.angular_resolution import ONE_SIGMA_QUANTILE
from pyirf.utils import calculate_source_fov_offset, calculate_theta

from ...io.ctapipe_tables import EVENT_CLASS
from ...io.particles import plural
from ...plotting.style import (
    FEW_IN_BIN,
    PALETTE,
    ROUND_NUMBERS,
    TRUE_ENERGY,
    count_events,
    draw_after_cuts,
    draw_binned,
    finish_binned,
    make_logarithmic,
    new_binned_axes,
    say_empty,
)
from ...settings import EvaluationSettings
from ..report.page import ReportMetric
from ..report.reference_curves import draw_references
from ..report.results import Findings, Result
from ..statistics.binning import angle_edges, energy_edges, events_of_bins, offset_edges
from ..statistics.cuts import Cuts, add_after_cuts, say_cuts
from ..statistics.differences import Statistic, bootstrap_errors, bootstrap_errors_along
from ..statistics.distribution import distribution, show_distribution
from ..statistics.migration import MigrationAxis, evaluate_migration
from ..statistics.resampling import repeated_quantiles
from ..statistics.spread import containment
from .base import BY_TRUE_ENERGY, Quantity, warn_of_empty_bins, warn_of_few

__all__ = [
    "Direction",
    "angular_resolution",
    "angular_resolution_along",
    "draw_angular_resolution",
    "draw_resolution_by_class",
    "overall_angular_resolution",
    "pointing_offset",
    "separation_angle",
]

#: Name of a column or metric → contained fraction of the events.
CONTAINMENTS = {
    "angular_resolution_68": ONE_SIGMA_QUANTILE,
    "angular_resolution_95": 0.95,
}

#: What the axes of further resolution curves are called.
AXES = {"offset": "true offset from the pointing (deg)", "multiplicity": "telescopes used"}

#: Of points, one for each event class.
MARKERS = ("o", "s", "^", "v", "D", "P", "X")

#: What is to be known of an error in azimuth.
OF_AZIMUTH = " A degree of azimuth is, at the altitude h, cos h of a degree on the sky."


class Direction(Quantity):
    """Where on the sky the particle came from."""

    name = "direction"
    is_main = True
    groups = ("geometry",)
    columns = {"reco_alt": ("alt", u.deg), "reco_az": ("az", u.deg)}
    optional = {
        "direction_uncertainty": ("ang_distance_uncert", u.deg),
        EVENT_CLASS: (EVENT_CLASS, u.one),
    }
    truth = {"true_alt": u.deg, "true_az": u.deg}
    lstchain = {"alt": ("reco_alt", u.rad), "az": ("reco_az", u.rad)}
    ctapipe_property = "GEOMETRY"
    statistics = (
        Statistic("angular_resolution_68", "Angular resolution, 68 %", "deg", "ratio"),
        Statistic("angular_resolution_95", "Angular resolution, 95 %", "deg", "ratio"),
    )
    migrations = (
        MigrationAxis("altitude", "The altitude", "true_alt", "reco_alt"),
        MigrationAxis(
            "azimuth",
            "The azimuth",
            "true_relative_az",
            "reco_relative_az",
            is_azimuth=True,
            remark=OF_AZIMUTH,
        ),
    )
    uncertainty = ("direction_uncertainty",)
    results = (
        "migration_matrix_altitude",
        "migration_matrix_azimuth",
        "angular_resolution",
        "angular_resolution_by_offset",
        "angular_resolution_by_multiplicity",
        "angular_resolution_by_class",
        "reco_offset",
    )

    def error(self, events: QTable) -> np.ndarray:
        """Angle between true and reconstructed direction (deg), shape (n_events,)."""
        return separation_angle(events).to_value(u.deg)

    def measure(self, events: QTable) -> dict[str, float]:
        angles = containment(self.error(events), list(CONTAINMENTS.values()))
        return dict(zip(CONTAINMENTS, angles, strict=True))

    def remeasure(self, events: QTable, repeats: np.ndarray) -> np.ndarray:
        return repeated_quantiles(self.error(events), repeats, tuple(CONTAINMENTS.values()))

    def metrics(self, events: QTable) -> list[str]:
        names = [f"{axis.name}_migration_out_of_range" for axis in self.migrations]
        return [*super().metrics(events), *names]

    def find(
        self, events: QTable, signal: str, settings: EvaluationSettings, cuts: Cuts | None
    ) -> Findings:
        selected = self.select(events, signal)
        metrics = self.measure(selected)
        results = []
        for axis in self.migrations:
            values = axis.values(selected)
            migration = evaluate_migration(
                selected, axis, angle_edges(values[axis.true], values[axis.reco]), signal
            )
            metrics[f"{axis.name}_migration_out_of_range"] = migration.n_out_of_range
            results.append(migration.result)

        edges = energy_edges(settings.energy_range, settings.bins_per_decade)
        resolution = self._measure(selected, edges)
        add_after_cuts(resolution, selected, cuts, edges, lambda kept: self._measure(kept, edges))
        resolution.meta["particle"] = signal
        picture = draw_angular_resolution(resolution, signal, settings.references)
        caption = (
            f"Angles around the true direction that contain 68 % and 95 % of the {plural(signal)}"
            f"{BY_TRUE_ENERGY}{say_cuts(cuts, 'gammaness or angle')}"
        )
        results.append(Result("angular_resolution", picture, caption, resolution))
        results += self._resolution_along(selected, signal)
        results += self._resolution_by_class(selected, signal, edges)
        warnings = warn_of_few(selected, signal, "direction")
        warnings += warn_of_empty_bins(resolution, events, signal, "direction")
        return Findings(metrics, results, warnings)

    def _measure(self, events: QTable, edges: u.Quantity) -> QTable:
        """Angular resolution with its errors."""
        table = angular_resolution(events, edges)
        for name, error in bootstrap_errors(events, self, edges).items():
            table[f"{name}_error"] = error * u.deg
        return table

    def _resolution_along(self, selected: QTable, signal: str) -> list[Result]:
        """The resolution by offset, where the pointing is known, and by multiplicity."""
        offset = pointing_offset(selected)
        known = np.isfinite(offset)
        axes = []
        if known.any():
            edges = offset_edges(offset[known])
            axes.append(
                ("offset", selected[known], offset[known], edges, "by the true offset (deg)")
            )
        multiplicity = np.asarray(selected["multiplicity"])
        if len(np.unique(multiplicity)) > 1:
            edges = np.arange(multiplicity.min(), multiplicity.max() + 2) - 0.5
            axes.append(("multiplicity", selected, multiplicity, edges, "by the telescopes used"))
        results = []
        for name, events, values, edges, label in axes:
            resolution = angular_resolution_along(events, name, values, edges)
            for statistic, error in bootstrap_errors_along(events, self, values, edges).items():
                resolution[f"{statistic}_error"] = error * u.deg
            resolution.meta["particle"] = signal
            results.append(
                Result(
                    f"angular_resolution_by_{name}",
                    draw_angular_resolution(resolution, signal, along=name, label=AXES[name]),
                    f"Angles that contain 68 % and 95 % of the {plural(signal)}, {label}; hollow "
                    f"points stand for fewer than {FEW_IN_BIN} events or showers. Errors: "
                    f"bootstrap over showers.{say_cuts(None, 'gammaness or angle')}",
                    resolution,
                )
            )
        return results

    def _resolution_by_class(
        self, selected: QTable, signal: str, edges: u.Quantity
    ) -> list[Result]:
        """The resolution of each event class, where files have classes."""
        if EVENT_CLASS not in selected.colnames:
            return []
        of_event = np.nan_to_num(selected[EVENT_CLASS].to_value(u.one), nan=-1).astype(int)
        parts = []
        for number in np.unique(of_event[of_event >= 0]):
            part = self._measure(selected[of_event == number], edges)
            part.add_column(np.full(len(part), number), name=EVENT_CLASS, index=0)
            parts.append(part)
        if not parts:
            return []
        table = vstack(parts, metadata_conflicts="silent")
        table.meta["particle"] = signal
        caption = (
            f"Angles around the true direction that contain 68 % of the {plural(signal)} of each "
            f"event class (0 has the largest predicted errors){BY_TRUE_ENERGY}"
            f"{say_cuts(None, 'gammaness or angle')}"
        )
        picture = draw_resolution_by_class(table, signal)
        return [Result("angular_resolution_by_class", picture, caption, table)]

    def describe(self, metrics: Mapping[str, object]) -> list[ReportMetric]:
        signals = plural(str(metrics["signal"]))
        return [
            ReportMetric(
                "Angular resolution, 68 %",
                metrics["angular_resolution_68"],
                "deg",
                f"Angle that contains 68 % of all {signals} with a reconstructed direction.",
            ),
            ReportMetric(
                "Angular resolution, 95 %",
                metrics["angular_resolution_95"],
                "deg",
                f"Angle that contains 95 % of the same {signals}.",
            ),
        ]

    def observe(self, events: QTable, settings: EvaluationSettings) -> list[Result]:
        offset = pointing_offset(events[events["direction_is_valid"]], "reco")
        offset = offset[np.isfinite(offset)]
        if len(offset) == 0:
            return []
        table = distribution(offset, offset_edges(offset), "reco_offset")
        caption = "Angles of the reconstructed directions to the pointing"
        return [show_distribution(table, "reco_offset", "angle to the pointing (deg)", caption)]

    def pulls(self, events: QTable) -> np.ndarray:
        """Errors of both coordinates on the sky in units of the predicted one, √2 (Δ / r).

        The predicted radius r is the root mean square of the angle, as ctapipe's
        ``StereoMeanCombiner`` has it: each coordinate, along the azimuth and the altitude, has the
        standard deviation r/√2.
        """
        true, reco = (
            AltAz(alt=events[f"{which}_alt"], az=events[f"{which}_az"])
            for which in ("true", "reco")
        )
        offset = reco.transform_to(TelescopeFrame(telescope_pointing=true))
        sigma = events["direction_uncertainty"] / np.sqrt(2)
        steps = (offset.fov_lon.wrap_at(180 * u.deg), offset.fov_lat)
        return np.column_stack([(step / sigma).to_value(u.one) for step in steps])


def pointing_offset(events: QTable, which: str = "true") -> u.Quantity:
    """Angle between the direction of events and the pointing.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`.
    which : str
        ``true`` or ``reco``, of the direction.

    Returns
    -------
    offset : astropy.units.Quantity
        Shape (n_events,), deg; NaN where the pointing is not known.
    """
    return calculate_source_fov_offset(events, prefix=which)


def separation_angle(events: QTable) -> u.Quantity:
    """Great-circle angle between true and reconstructed direction.

    Parameters
    ----------
    events : astropy.table.QTable
        With ``true_alt``, ``true_az``, ``reco_alt``, ``reco_az``.

    Returns
    -------
    theta : astropy.units.Quantity
        Shape (n_events,), deg.
    """
    return calculate_theta(events, events["true_az"], events["true_alt"])


def angular_resolution(events: QTable, energy_bins: u.Quantity) -> QTable:
    """Angles that contain 68 % and 95 % of the events, by true energy, as pyirf defines them.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with ``true_energy`` and the directions of `separation_angle`.
    energy_bins : astropy.units.Quantity
        Edges in true energy, shape (n_bins + 1,).

    Returns
    -------
    resolution : astropy.table.QTable
        One row a bin: ``true_energy_low``, ``true_energy_high``, ``true_energy_center``,
        ``n_events``, ``angular_resolution_68``, ``angular_resolution_95`` (deg), NaN in empty
        bins.
    """
    table = QTable({"true_energy": events["true_energy"], "theta": separation_angle(events)})
    quantiles = list(CONTAINMENTS.values())
    return pyirf_angular_resolution(table, energy_bins, energy_type="true", quantile=quantiles)


def angular_resolution_along(
    events: QTable, name: str, values: np.ndarray, edges: np.ndarray
) -> QTable:
    """Angles that contain 68 % and 95 % of the events, in bins of any quantity.

    Parameters
    ----------
    events : astropy.table.QTable
        Reconstructed events with the directions of `separation_angle`.
    name : str
        Of the quantity.
    values : numpy.ndarray or astropy.units.Quantity
        Of each event, shape (n_events,).
    edges : numpy.ndarray or astropy.units.Quantity
        Shape (n_bins + 1,).

    Returns
    -------
    resolution : astropy.table.QTable
        One row a bin: ``NAME_low``, ``NAME_high``, ``n_events``, ``angular_resolution_68``,
        ``angular_resolution_95`` (deg), NaN in empty bins.
    """
    table, bins = events_of_bins(events, name, values, edges)
    overall = [overall_angular_resolution(inside) for inside in bins]
    for statistic in CONTAINMENTS:
        table[statistic] = [values[statistic] for values in overall] * u.deg
    return table


def overall_angular_resolution(events: QTable) -> dict[str, float]:
    """Containments (deg), as in `angular_resolution`, of all events together; NaN without any."""
    return Direction().measure(events)


def draw_angular_resolution(
    resolution: QTable,
    particle: str,
    references: Sequence[str] = (),
    along: str = TRUE_ENERGY,
    label: str | None = None,
) -> Figure:
    """Picture of a table from `angular_resolution`, with the named reference curves (68 %), or of
    one from `angular_resolution_along`, with the name of the quantity and a label for it."""
    figure, axes = new_binned_axes(resolution, particle, along, label)
    n_events = int(np.sum(resolution["n_events"]))
    axes.set_title(f"Angular resolution, {count_events(n_events, particle)}")
    axes.set_ylabel("angle between true and reconstructed (deg)")
    if n_events == 0:
        say_empty(axes, "no events in this range")
        return figure
    draw_binned(
        axes,
        resolution,
        "angular_resolution_95",
        "95 % containment, no cuts",
        PALETTE[4],
        "s",
        along,
    )
    draw_binned(
        axes,
        resolution,
        "angular_resolution_68",
        "68 % containment, no cuts",
        PALETTE[0],
        "o",
        along,
    )
    draw_after_cuts(axes, resolution, "angular_resolution_68", "68 %", PALETTE[2])
    draw_references(axes, references, "angular_resolution_68")
    make_logarithmic(axes, "y", ROUND_NUMBERS)
    finish_binned(axes, resolution)
    return figure


def draw_resolution_by_class(resolution: QTable, particle: str) -> Figure:
    """Picture of `angular_resolution` (68 %) of several event classes.

    Parameters
    ----------
    resolution : astropy.table.QTable
        Tables of `angular_resolution`, one below the other, with the column ``event_class``.
    particle : str
        Whose events these are.
    """
    classes = np.unique(resolution[EVENT_CLASS])
    parts = [resolution[resolution[EVENT_CLASS] == number] for number in classes]
    total = parts[0].copy()
    total["n_events"] = np.sum([part["n_events"] for part in parts], axis=0)
    figure, axes = new_binned_axes(total, particle)
    n_events = int(np.sum(total["n_events"]))
    axes.set_title(f"Angular resolution by event class, {count_events(n_events, particle)}")
    axes.set_ylabel("angle that contains 68 % (deg)")
    if n_events == 0:
        say_empty(axes, "no events in this range")
        return figure
    for place, (number, part) in enumerate(zip(classes, parts, strict=True)):
        color, marker = PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)]
        name = "angular_resolution_68"
        draw_binned(axes, part, name, f"class {number}", color, marker)
    make_logarithmic(axes, "y", ROUND_NUMBERS)
    finish_binned(axes, total)
    return figure
