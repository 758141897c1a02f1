"""What an evaluation finds of each reconstructed quantity."""

from collections.abc import Callable, Sequence

import astropy.units as u
import numpy as np
from astropy.table import QTable

from ...particles import plural
from ...settings import EvaluationSettings
from ..events.counting import metric_names, present_particles, select
from ..performance.observation import NO_CUTS, add_after_cuts
from ..placement import pointing_offset
from ..report.page import ReportSection
from ..report.pictures import FEW_IN_BIN, count_events
from ..report.results import Findings, Result
from ..statistics.binning import angle_edges, energy_edges, offset_edges
from ..statistics.differences import (
    BANDS_PER_DECADE,
    MIN_SHOWERS,
    bootstrap_errors,
    bootstrap_errors_along,
    roc_curves_by_energy,
)
from ..statistics.migration import (
    draw_migration,
    migration_matrix,
    migration_spread,
    relative_azimuth,
)
from ..statistics.separation import (
    draw_gammaness,
    draw_roc_curve,
    draw_roc_curves_by_energy,
    gammaness_histogram,
    mean_gammaness,
    roc_curve,
)
from ..statistics.uncertainty import (
    ONE_SIGMA,
    count_without_logarithm,
    coverage,
    direction_pulls,
    draw_uncertainty,
    energy_pulls,
    has_uncertainty,
    impact_pulls,
    pull_moments,
    select_uncertain,
)
from ..statistics.working_points import (
    EFFICIENCIES,
    confusion_matrix,
    draw_confusion_matrix,
    draw_working_points,
    working_points,
)
from .depth_of_maximum import (
    depth_resolution,
    draw_depth_resolution,
    has_depth,
    overall_depth_resolution,
    select_depth,
)
from .direction import (
    angular_resolution,
    angular_resolution_along,
    draw_angular_resolution,
    overall_angular_resolution,
)
from .energy import (
    draw_energy_resolution,
    energy_resolution,
    overall_energy_resolution,
)
from .impact import (
    draw_impact_resolution,
    has_impact,
    impact_resolution,
    overall_impact_resolution,
    select_impact,
)
from .particle_type import area_by_energy, draw_area_by_energy, overall_area

__all__ = [
    "PULLS",
    "evaluate_depth",
    "evaluate_direction",
    "evaluate_energy",
    "evaluate_impact",
    "evaluate_particle_type",
    "evaluate_uncertainty",
]

#: What the axes of further resolution curves are called.
AXES = {"offset": "true offset from the pointing (deg)", "multiplicity": "telescopes used"}

#: What is to be known of an error in azimuth.
OF_AZIMUTH = " A degree of azimuth is, at the altitude h, cos h of a degree on the sky."

#: Quantity → errors in units of the predicted ones.
PULLS = {"energy": energy_pulls, "direction": direction_pulls, "impact": impact_pulls}

#: Signal events below which the report warns.
FEW_EVENTS = 100

#: How curves are given, in captions.
BY_TRUE_ENERGY = (
    f" by true energy; hollow points stand for fewer than {FEW_IN_BIN} events or showers. Errors: "
    "bootstrap over showers."
)


def _absent(quantity: str, metrics: Sequence[str]) -> Findings:
    words = quantity.replace("_", " ")
    return Findings(
        dict.fromkeys(metrics),
        warnings=[f"The files hold no reconstructed {words}; its figures are left out."],
    )


def _warn_of_few(selected: QTable, signal: str, what: str) -> list[str]:
    if len(selected) >= FEW_EVENTS:
        return []
    verb = "has" if len(selected) == 1 else "have"
    return [
        f"Only {count_events(len(selected), signal)} {verb} a reconstructed {what}: below "
        f"{FEW_EVENTS} events the numbers on it are dominated by chance."
    ]


def _warn_of_empty_bins(table: QTable, events: QTable, signal: str, what: str) -> list[str]:
    """A sentence if bins that the signal's true energies span have no reconstructed event."""
    true = events["true_energy"][np.asarray(events["particle"] == signal)]
    if len(true) == 0:
        return []
    spanned = (table["true_energy_high"] > true.min()) & (table["true_energy_low"] <= true.max())
    n_empty = int(np.sum(spanned & (table["n_events"] == 0)))
    if n_empty == 0:
        return []
    return [
        f"{n_empty} of the {int(spanned.sum())} energy bins that the {plural(signal)} span have no "
        f"event with a reconstructed {what}; there the curves have gaps."
    ]


def _out_of_range(matrix: QTable, what: str) -> str:
    number = matrix.meta["n_out_of_range"]
    verb = "event lies" if number == 1 else "events lie"
    return (
        f"{number} {verb} outside the {what} axis" if number else f"all lie within the {what} axis"
    )


def evaluate_energy(
    events: QTable, signal: str, settings: EvaluationSettings, cuts: QTable | None
) -> Findings:
    names = ["energy_bias", "energy_resolution", "energy_migration_out_of_range"]
    if "energy" not in events.meta["algorithms"]:
        return _absent("energy", names)
    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    selected = select(events, signal, "energy")
    columns = {"true": "true_energy", "reco": "reco_energy"}
    matrix = migration_matrix(selected, edges, **columns)
    matrix.meta["particle"] = signal
    spread = migration_spread(selected, edges, **columns, logarithmic=True)
    resolution = _measure_energy(selected, edges)
    add_after_cuts(resolution, selected, cuts, edges, lambda kept: _measure_energy(kept, edges))
    resolution.meta["particle"] = signal

    overall = overall_energy_resolution(selected)
    metrics = {**overall, "energy_migration_out_of_range": matrix.meta["n_out_of_range"]}
    results = [
        Result(
            "migration_matrix_energy",
            draw_migration(matrix, spread, "energy", signal, logarithmic=True),
            f"Energies that {plural(signal)} of a true energy were reconstructed to, as fractions "
            f"of all events of the true bin; {_out_of_range(matrix, 'energy')}.",
            matrix,
            as_fits=True,
        ),
        Result(
            "energy_resolution",
            draw_energy_resolution(resolution, signal, settings.references),
            f"Bias and resolution of the energy of {plural(signal)} by true energy; hollow points "
            f"stand for fewer than {FEW_IN_BIN} events or showers. Errors: bootstrap over showers."
            f"{_say_cuts(cuts, 'gammaness')}",
            resolution,
        ),
    ]
    warnings = _warn_of_few(selected, signal, "energy")
    warnings += _warn_of_empty_bins(resolution, events, signal, "energy")
    return Findings(metrics, results, warnings)


def evaluate_direction(
    events: QTable, signal: str, settings: EvaluationSettings, cuts: QTable | None
) -> Findings:
    names = ["angular_resolution_68", "angular_resolution_95"]
    names += ["altitude_migration_out_of_range", "azimuth_migration_out_of_range"]
    if "direction" not in events.meta["algorithms"]:
        return _absent("direction", names)
    selected = select(events, signal, "direction")
    azimuths = relative_azimuth(selected)
    axes = {
        "altitude": (selected, {"true": "true_alt", "reco": "reco_alt"}),
        "azimuth": (azimuths, {"true": "true_relative_az", "reco": "reco_relative_az"}),
    }
    metrics = overall_angular_resolution(selected)
    results = []
    for name, (table, columns) in axes.items():
        edges = angle_edges(table[columns["true"]], table[columns["reco"]])
        matrix = migration_matrix(table, edges, **columns)
        matrix.meta["particle"] = signal
        if name == "azimuth":
            matrix.meta["reference_deg"] = azimuths.meta["reference"]
        spread = migration_spread(table, edges, **columns)
        metrics[f"{name}_migration_out_of_range"] = matrix.meta["n_out_of_range"]
        results.append(
            Result(
                f"migration_matrix_{name}",
                draw_migration(matrix, spread, name, signal),
                f"The {name} that {plural(signal)} of a true {name} were reconstructed to, as "
                f"fractions of all events of the true bin; {_out_of_range(matrix, name)}."
                f"{OF_AZIMUTH if name == 'azimuth' else ''}",
                matrix,
                as_fits=True,
            )
        )

    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    resolution = _measure_direction(selected, edges)
    add_after_cuts(resolution, selected, cuts, edges, lambda kept: _measure_direction(kept, edges))
    resolution.meta["particle"] = signal
    results.append(
        Result(
            "angular_resolution",
            draw_angular_resolution(resolution, signal, settings.references),
            f"Angles around the true direction that contain 68 % and 95 % of the {plural(signal)} "
            f"by true energy; hollow points stand for fewer than {FEW_IN_BIN} events or showers. "
            f"Errors: bootstrap over showers.{_say_cuts(cuts, 'gammaness or angle')}",
            resolution,
        )
    )
    results += _resolution_along(selected, signal)
    warnings = _warn_of_few(selected, signal, "direction")
    warnings += _warn_of_empty_bins(resolution, events, signal, "direction")
    return Findings(metrics, results, warnings)


def _measure_energy(events: QTable, edges: u.Quantity) -> QTable:
    """Bias and resolution with their errors."""
    table = energy_resolution(events, edges)
    errors = bootstrap_errors(events, "energy", edges)
    table["bias_error"] = errors["energy_bias"]
    table["resolution_error"] = errors["energy_resolution"]
    return table


def _measure_direction(events: QTable, edges: u.Quantity) -> QTable:
    """Angular resolution with its errors."""
    table = angular_resolution(events, edges)
    for name, error in bootstrap_errors(events, "direction", edges).items():
        table[f"{name}_error"] = error * u.deg
    return table


def _say_cuts(cuts: QTable | None, what: str) -> str:
    """What was cut on, as that of published curves is."""
    of_all = f" Of all that were reconstructed, without a cut on {what}"
    if cuts is None:
        return f"{of_all}."
    return (
        f"{of_all}, and of those that the sensitivity's cuts on gammaness leave, by reconstructed "
        f"energy.{NO_CUTS}"
    )


def _resolution_along(selected: QTable, signal: str) -> list[Result]:
    """The angular resolution by offset, where the pointing is known, and by multiplicity."""
    offset = pointing_offset(selected)
    known = np.isfinite(offset)
    axes = []
    if known.any():
        edges = offset_edges(offset[known])
        axes.append(("offset", selected[known], offset[known], edges, "by the true offset (deg)"))
    multiplicity = np.asarray(selected["multiplicity"])
    if len(np.unique(multiplicity)) > 1:
        edges = np.arange(multiplicity.min(), multiplicity.max() + 2) - 0.5
        axes.append(("multiplicity", selected, multiplicity, edges, "by the telescopes used"))
    results = []
    for name, events, values, edges, label in axes:
        resolution = angular_resolution_along(events, name, values, edges)
        for statistic, error in bootstrap_errors_along(events, "direction", values, edges).items():
            resolution[f"{statistic}_error"] = error * u.deg
        resolution.meta["particle"] = signal
        results.append(
            Result(
                f"angular_resolution_by_{name}",
                draw_angular_resolution(resolution, signal, along=name, label=AXES[name]),
                f"Angles that contain 68 % and 95 % of the {plural(signal)}, {label}; hollow "
                f"points stand for fewer than {FEW_IN_BIN} events or showers. Errors: bootstrap "
                f"over showers.{_say_cuts(None, 'gammaness or angle')}",
                resolution,
            )
        )
    return results


def evaluate_impact(events: QTable, signal: str, settings: EvaluationSettings) -> Findings:
    """Resolution of the impact point, where the files hold one."""
    if not has_impact(events):
        return Findings({"impact_resolution_68": None})
    # It stands in the table of the direction, and is valid with it.
    selected = select_impact(select(events, signal, "direction"))
    resolution = _measure(impact_resolution, "impact", selected, signal, settings)
    result = Result(
        "impact_resolution",
        draw_impact_resolution(resolution, signal),
        f"Distance around the true impact point that contains 68 % of the {plural(signal)}"
        f"{BY_TRUE_ENERGY}{_say_cuts(None, 'gammaness')}",
        resolution,
    )
    return Findings(overall_impact_resolution(selected), [result])


def evaluate_depth(events: QTable, signal: str, settings: EvaluationSettings) -> Findings:
    """Bias and resolution of the depth of maximum, where the files hold one."""
    if not has_depth(events):
        return Findings({"x_max_bias": None, "x_max_resolution": None})
    selected = select_depth(events[np.asarray(events["particle"] == signal)])
    resolution = _measure(depth_resolution, "depth_of_maximum", selected, signal, settings)
    result = Result(
        "x_max_resolution",
        draw_depth_resolution(resolution, signal),
        f"Bias and resolution of the depth of the maximum of {plural(signal)}"
        f"{BY_TRUE_ENERGY}{_say_cuts(None, 'gammaness')}",
        resolution,
    )
    return Findings(overall_depth_resolution(selected), [result])


def _measure(
    measure: Callable[[QTable, u.Quantity], QTable],
    quantity: str,
    events: QTable,
    signal: str,
    settings: EvaluationSettings,
) -> QTable:
    """What a function gives of the events by true energy, with errors."""
    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    table = measure(events, edges)
    for name, error in bootstrap_errors(events, quantity, edges).items():
        table[f"{name}_error"] = error * table[name].unit
    table.meta["particle"] = signal
    return table


def evaluate_uncertainty(events: QTable, signal: str, quantity: str) -> Findings:
    """Pulls and coverage, where the files hold predicted uncertainties."""
    names = ("pull_mean", "pull_mean_error", "pull_width", "pull_width_error")
    coverage_name = f"{quantity}_coverage_68"
    metrics = dict.fromkeys([*(f"{quantity}_{name}" for name in names), coverage_name])
    if not has_uncertainty(events, quantity):
        return Findings(metrics)
    # The impact stands in the table of the direction, and is valid with it.
    table_of = "direction" if quantity == "impact" else quantity
    reconstructed = select(events, signal, table_of)
    selected = select_uncertain(reconstructed, quantity)
    pulls = PULLS[quantity](selected)
    table = coverage(pulls)
    moments = pull_moments(pulls, np.asarray(selected["shower"]))
    metrics |= {f"{quantity}_pull_{name}": value for name, value in moments.items()}
    metrics[coverage_name] = float(coverage(pulls, [ONE_SIGMA])["coverage"][0])
    table.meta |= {"particle": signal, **moments}
    result = Result(
        f"{quantity}_uncertainty",
        draw_uncertainty(pulls, table, moments, quantity, signal),
        f"How far the {quantity} of {plural(signal)} is off, in units of the uncertainty that was "
        "predicted of each, and how many lie within what should hold a fraction of them; above the "
        "diagonal uncertainties are too large, below too small. Errors: 68 % binomial intervals.",
        table,
    )
    return Findings(metrics, [result], _warn_of_lost_pulls(reconstructed, signal, quantity))


def _warn_of_lost_pulls(reconstructed: QTable, signal: str, quantity: str) -> list[str]:
    number = count_without_logarithm(reconstructed) if quantity == "energy" else 0
    if number == 0:
        return []
    verb, pronoun, be = ("has", "it", "is") if number == 1 else ("have", "they", "are")
    return [
        f"{count_events(number, signal)} with a predicted uncertainty {verb} a reconstructed "
        f"energy that is not positive: it has no logarithm, and {pronoun} {be} left out of pulls "
        "and coverage."
    ]


def evaluate_particle_type(events: QTable, settings: EvaluationSettings) -> Findings:
    means = metric_names("gammaness_mean", present_particles(events))
    if "particle_type" not in events.meta["algorithms"]:
        return _absent("particle_type", ["auc", "auc_uncertainty", *means.values()])
    selected = events[events["particle_type_is_valid"]]
    curve = roc_curve(selected)
    area = overall_area(selected)
    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    by_energy = area_by_energy(selected, edges)
    histogram = gammaness_histogram(selected)
    bands = energy_edges(settings.energy_range, BANDS_PER_DECADE)
    by_band = roc_curves_by_energy([[selected]], bands)
    # What relates several contenders.
    by_band.remove_columns([name for name in ("contender", "ratio") if name in by_band.colnames])
    matrix, points = confusion_matrix(selected), working_points(selected)
    metrics = {**area, **{key: mean_gammaness(selected, name) for name, key in means.items()}}

    results = [
        Result(
            "roc_curve",
            draw_roc_curve(curve, area),
            "Fraction of the gammas against that of the other particles above a threshold of the "
            "gammaness; the band is the 68 % binomial interval of the gammas' fraction.",
            curve,
        ),
        Result(
            "roc_curves_by_energy",
            draw_roc_curves_by_energy(by_band),
            "The same by true energy, of half decades with at least "
            f"{MIN_SHOWERS} gammas and {MIN_SHOWERS} other particles.",
            by_band,
        ),
        Result(
            "gammaness",
            draw_gammaness(histogram),
            "Gammaness of each kind of particle, as fractions of its events. Errors: 68 % binomial "
            "intervals.",
            histogram,
        ),
        Result(
            "auc_by_energy",
            draw_area_by_energy(by_energy),
            "Area under the ROC curve of the gammas and other particles of a true energy; hollow "
            f"points stand for fewer than {FEW_IN_BIN} events, or showers of a kind. Errors: "
            "bootstrap over showers.",
            by_energy,
        ),
        Result(
            "working_points",
            draw_working_points(selected),
            "What a threshold of the gammaness keeps, and the gammas' share in it. The table has "
            "those thresholds that keep 50 to 95 % of the gammas.",
            points,
        ),
        Result(
            "confusion_matrix",
            draw_confusion_matrix(matrix),
            "What events of each particle (rows) are taken for; intervals are in the table.",
            matrix,
        ),
    ]
    n_gamma, n_other = curve.meta["n_gamma"], curve.meta["n_other"]
    warnings = []
    if n_gamma == 0 or n_other == 0:
        lacking = "gammas" if n_gamma == 0 else "particles other than gammas"
        warnings.append(
            f"There are no {lacking} with a reconstructed particle type: separation (ROC curve, "
            "AUC) is undefined."
        )
    elif min(n_gamma, n_other) < FEW_EVENTS:
        warnings.append(
            f"The separation rests on {count_events(n_gamma, 'gamma')} and "
            f"{n_other} of other particles: below {FEW_EVENTS} events of a kind it is dominated "
            "by chance."
        )
    return Findings(metrics, results, warnings, [_describe_points(points)])


def _describe_points(points: QTable) -> ReportSection:
    columns = ("threshold", "efficiency_other", "purity", "quality")
    return ReportSection(
        title="Working points",
        text="Thresholds of the gammaness that keep such a fraction of the gammas: what they keep "
        "of the other particles, the gammas' share in what is kept (in the mixture of these "
        "events), and the gammas' efficiency by the root of the others'.",
        heading=["Gammas kept", "Threshold", "Others kept", "Purity", "Quality"],
        table={
            f"{efficiency:.0%}": [float(point[name]) for name in columns]
            for efficiency, point in zip(EFFICIENCIES, points, strict=True)
        },
    )
