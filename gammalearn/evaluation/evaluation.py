"""The evaluation of DL2 files: tables, pictures, metrics and the report."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable

from ..particles import plural
from ..settings import EvaluationSettings
from .angular_resolution import (
    angular_resolution,
    draw_angular_resolution,
    overall_angular_resolution,
)
from .binning import angle_edges, energy_edges
from .counting import choose_signal, event_numbers, metric_names, present_particles, select
from .differences import bootstrap_errors
from .energy_resolution import (
    draw_energy_resolution,
    energy_resolution,
    overall_energy_resolution,
)
from .events import read_events
from .migration import draw_migration, migration_matrix, migration_spread, relative_azimuth
from .pictures import FEW_IN_BIN, count_events, picture_style
from .report import ReportSection, render_report
from .results import Result, write_numbers, write_results
from .separation import (
    area_under_curve,
    draw_gammaness,
    draw_roc_curve,
    mean_gammaness,
    roc_curve,
)
from .summary import compose_report
from .writing import make_folder, write_whole

__all__ = ["evaluate"]

#: Folder of tables and pictures in the output.
FOLDER = "evaluation"

#: Signal events below which the report warns.
FEW_EVENTS = 100

#: All that an evaluation may write into its folder.
RESULT_NAMES = (
    "migration_matrix_energy",
    "migration_matrix_altitude",
    "migration_matrix_azimuth",
    "energy_resolution",
    "angular_resolution",
    "roc_curve",
    "gammaness",
)


@dataclass
class _Findings:
    """What the evaluation of one quantity yields."""

    metrics: dict[str, object]
    results: list[Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def evaluate(
    paths: Sequence[Path],
    output: Path,
    settings: EvaluationSettings,
    sections: Sequence[ReportSection] = (),
    warnings: Sequence[str] = (),
) -> dict[str, object]:
    """Evaluate reconstructed events and write tables, pictures, metrics and a report.

    Writes into ``output``:

    - ``evaluation/migration_matrix_{energy,altitude,azimuth}``, ``energy_resolution``,
      ``angular_resolution``, ``roc_curve``, each as ``.png`` and ``.ecsv``, and
      ``evaluation/gammaness.png``, as far as the files have the quantity. Those of an earlier
      evaluation are replaced or removed;
    - ``metrics.json``: the numbers, sorted, null where there is none;
    - ``report.html``: all of it on one page.

    The same files and settings give the same bytes.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        DL2 files in ctapipe's data model, see `read_events`.
    output : pathlib.Path
        Folder to write into; made if it is not there.
    settings : EvaluationSettings
        Binning, signal particle and algorithm.
    sections : sequence of ReportSection
        Sections to add to the report.
    warnings : sequence of str
        Sentences to add to those on what to read with care.

    Returns
    -------
    metrics : dict
        What ``metrics.json`` holds.

    Raises
    ------
    InputFileError, EvaluationError
        If the files cannot be evaluated, see `read_events`.
    OutputError
        If the output cannot be written.
    """
    output = Path(output)
    events = read_events(paths, settings.algorithm)
    make_folder(output / FOLDER)

    signal, own_warnings = choose_signal(events, settings.signal)
    warnings = [*warnings, *own_warnings]
    metrics = event_numbers(events, signal, settings.signal)
    with picture_style():
        findings = [
            _evaluate_energy(events, signal, settings),
            _evaluate_direction(events, signal, settings),
            _evaluate_particle_type(events),
        ]
        for finding in findings:
            metrics.update(finding.metrics)
            warnings += finding.warnings
        results = [result for finding in findings for result in finding.results]
        figures = write_results(results, output / FOLDER, RESULT_NAMES)

    metrics = write_numbers(
        {name: metrics[name] for name in sorted(metrics)}, output / "metrics.json"
    )

    warnings += events.meta["notes"]
    report = compose_report(events, metrics, warnings, figures, sections, settings.references)
    page = render_report(report)
    write_whole(output / "report.html", lambda path: path.write_text(page, encoding="utf-8"))
    return metrics


def _absent(quantity: str, metrics: Sequence[str]) -> _Findings:
    words = quantity.replace("_", " ")
    return _Findings(
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


def _evaluate_energy(events: QTable, signal: str, settings: EvaluationSettings) -> _Findings:
    names = ["energy_bias", "energy_resolution", "energy_migration_out_of_range"]
    if "energy" not in events.meta["algorithms"]:
        return _absent("energy", names)
    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    selected = select(events, signal, "energy")
    columns = {"true": "true_energy", "reco": "reco_energy"}
    matrix = migration_matrix(selected, edges, **columns)
    matrix.meta["particle"] = signal
    spread = migration_spread(selected, edges, **columns, logarithmic=True)
    resolution = energy_resolution(selected, edges)
    errors = bootstrap_errors(selected, "energy", edges)
    resolution["bias_error"] = errors["energy_bias"]
    resolution["resolution_error"] = errors["energy_resolution"]
    resolution.meta["particle"] = signal

    overall = overall_energy_resolution(selected)
    metrics = {**overall, "energy_migration_out_of_range": matrix.meta["n_out_of_range"]}
    results = [
        Result(
            "migration_matrix_energy",
            draw_migration(matrix, spread, "energy", signal, logarithmic=True),
            f"Energies that {plural(signal)} of a true energy were reconstructed to, as fractions "
            f"of the true bin; {_out_of_range(matrix, 'energy')}.",
            matrix,
        ),
        Result(
            "energy_resolution",
            draw_energy_resolution(resolution, signal, settings.references),
            f"Bias and resolution of the energy of {plural(signal)} by true energy; hollow points "
            f"stand for fewer than {FEW_IN_BIN} events. Errors: bootstrap over showers.",
            resolution,
        ),
    ]
    warnings = _warn_of_few(selected, signal, "energy")
    warnings += _warn_of_empty_bins(resolution, events, signal, "energy")
    return _Findings(metrics, results, warnings)


def _evaluate_direction(events: QTable, signal: str, settings: EvaluationSettings) -> _Findings:
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
                f"fractions of the true bin; {_out_of_range(matrix, name)}.",
                matrix,
            )
        )

    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    resolution = angular_resolution(selected, edges)
    for name, error in bootstrap_errors(selected, "direction", edges).items():
        resolution[f"{name}_error"] = error * u.deg
    resolution.meta["particle"] = signal
    results.append(
        Result(
            "angular_resolution",
            draw_angular_resolution(resolution, signal, settings.references),
            f"Angles around the true direction that contain 68 % and 95 % of the {plural(signal)} "
            f"by true energy; hollow points stand for fewer than {FEW_IN_BIN} events. Errors: "
            "bootstrap over showers.",
            resolution,
        )
    )
    warnings = _warn_of_few(selected, signal, "direction")
    warnings += _warn_of_empty_bins(resolution, events, signal, "direction")
    return _Findings(metrics, results, warnings)


def _evaluate_particle_type(events: QTable) -> _Findings:
    means = metric_names("gammaness_mean", present_particles(events))
    if "particle_type" not in events.meta["algorithms"]:
        return _absent("particle_type", ["auc", "auc_uncertainty", *means.values()])
    selected = events[events["particle_type_is_valid"]]
    curve = roc_curve(selected)
    area = area_under_curve(selected)
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
            "gammaness",
            draw_gammaness(selected),
            "Gammaness of each kind of particle, as fractions of its events.",
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
    return _Findings(metrics, results, warnings)
