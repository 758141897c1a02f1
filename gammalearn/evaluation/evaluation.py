"""The evaluation of DL2 files: tables, pictures, metrics and the report."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure

from .. import __version__
from ..settings import EvaluationSettings
from .angular_resolution import (
    angular_resolution,
    draw_angular_resolution,
    overall_angular_resolution,
)
from .binning import angle_edges, energy_edges
from .energy_resolution import (
    draw_energy_resolution,
    energy_resolution,
    overall_energy_resolution,
)
from .events import QUANTITIES, SUBARRAY, plural, read_events
from .migration import draw_migration, migration_matrix, migration_spread, relative_azimuth
from .pictures import count_events, picture_style
from .report import Report, ReportFigure, ReportMetric, ReportSection, render_report
from .separation import (
    area_under_curve,
    draw_gammaness,
    draw_roc_curve,
    mean_gammaness,
    roc_curve,
)
from .writing import make_folder, write_whole

__all__ = ["evaluate"]

#: Folder of tables and pictures in the output.
FOLDER = "evaluation"

#: Signal events below which the report warns.
FEW_EVENTS = 100

#: Particles that always have their metrics, so that runs can be compared key by key.
USUAL_PARTICLES = ("gamma", "electron", "proton")


@dataclass
class _Result:
    """A table (or none) with its picture."""

    name: str
    figure: Figure
    caption: str
    table: QTable | None = None


@dataclass
class _Findings:
    """What the evaluation of one quantity yields."""

    metrics: dict[str, object]
    results: list[_Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def evaluate(
    paths: Sequence[Path],
    output: Path,
    settings: EvaluationSettings,
    sections: Sequence[ReportSection] = (),
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

    signal, warnings = _choose_signal(events, settings.signal)
    metrics = _count(events, signal, settings.signal)
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
        figures = _write_results(results, output / FOLDER)

    metrics = {name: _plain(metrics[name]) for name in sorted(metrics)}
    text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(output / "metrics.json", lambda path: path.write_text(text, encoding="utf-8"))

    warnings += events.meta["notes"]
    page = render_report(_compose_report(events, metrics, warnings, figures, sections))
    write_whole(output / "report.html", lambda path: path.write_text(page, encoding="utf-8"))
    return metrics


def _plain(value):
    """A value as JSON has it: NaN is null."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _present(events: QTable) -> dict[str, int]:
    """Particle → number of its events, most frequent first."""
    names, counts = np.unique(np.asarray(events["particle"], dtype=str), return_counts=True)
    order = sorted(range(len(names)), key=lambda i: (-counts[i], names[i]))
    return {str(names[i]): int(counts[i]) for i in order}


def _choose_signal(events: QTable, wanted: str) -> tuple[str, list[str]]:
    present = _present(events)
    if wanted in present or not present:
        return wanted, []
    signal = next(iter(present))
    return signal, [
        f"There are no {plural(wanted)} in these files: migration and resolution are those of {plural(signal)}, "
        f"which say nothing about {plural(wanted)}."
    ]


def _signal_events(events: QTable, signal: str, quantity: str) -> QTable:
    """The signal's events for which the quantity was reconstructed."""
    return events[np.asarray(events["particle"] == signal) & events[f"{quantity}_is_valid"]]


def _count(events: QTable, signal: str, wanted: str) -> dict[str, object]:
    """Numbers of events, and what they are of."""
    present = _present(events)
    metrics = {
        "level": events.meta["level"],
        "n_events": len(events),
        "n_files": len(events.meta["files"]),
        "n_signal": present.get(signal, 0),
        "signal": signal,
        "signal_requested": wanted,
    }
    for particle in {*USUAL_PARTICLES, *present}:
        metrics[f"n_events_{_key(particle)}"] = present.get(particle, 0)
    for quantity in QUANTITIES:
        metrics[f"algorithm_{quantity}"] = events.meta["algorithms"].get(quantity)
        n_valid = n_signal = None
        if quantity in events.meta["algorithms"]:
            n_valid = int(events[f"{quantity}_is_valid"].sum())
            n_signal = len(_signal_events(events, signal, quantity))
        metrics[f"n_{quantity}_reconstructed"] = n_valid
        metrics[f"n_{quantity}_invalid"] = None if n_valid is None else len(events) - n_valid
        metrics[f"n_{quantity}_reconstructed_signal"] = n_signal
    return metrics


def _key(particle: str) -> str:
    return particle.replace(" ", "_")


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
    selected = _signal_events(events, signal, "energy")
    columns = {"true": "true_energy", "reco": "reco_energy"}
    matrix = migration_matrix(selected, edges, **columns)
    matrix.meta["particle"] = signal
    spread = migration_spread(selected, edges, **columns, logarithmic=True)
    resolution = energy_resolution(selected, edges)
    resolution.meta["particle"] = signal

    overall = overall_energy_resolution(selected)
    metrics = {**overall, "energy_migration_out_of_range": matrix.meta["n_out_of_range"]}
    results = [
        _Result(
            "migration_matrix_energy",
            draw_migration(matrix, spread, "energy", signal, logarithmic=True),
            f"Energies that {plural(signal)} of a true energy were reconstructed to, as fractions of the "
            f"true bin; {_out_of_range(matrix, 'energy')}.",
            matrix,
        ),
        _Result(
            "energy_resolution",
            draw_energy_resolution(resolution, signal),
            f"Bias and resolution of the energy of {plural(signal)} by true energy; hollow points stand "
            "for fewer than 10 events.",
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
    selected = _signal_events(events, signal, "direction")
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
            _Result(
                f"migration_matrix_{name}",
                draw_migration(matrix, spread, name, signal),
                f"The {name} that {plural(signal)} of a true {name} were reconstructed to, as fractions "
                f"of the true bin; {_out_of_range(matrix, name)}.",
                matrix,
            )
        )

    edges = energy_edges(settings.energy_range, settings.bins_per_decade)
    resolution = angular_resolution(selected, edges)
    resolution.meta["particle"] = signal
    results.append(
        _Result(
            "angular_resolution",
            draw_angular_resolution(resolution, signal),
            f"Angles around the true direction that contain 68 % and 95 % of the {plural(signal)} by true "
            "energy; hollow points stand for fewer than 10 events.",
            resolution,
        )
    )
    warnings = _warn_of_few(selected, signal, "direction")
    warnings += _warn_of_empty_bins(resolution, events, signal, "direction")
    return _Findings(metrics, results, warnings)


def _evaluate_particle_type(events: QTable) -> _Findings:
    particles = {*USUAL_PARTICLES, *_present(events)}
    means = {particle: f"gammaness_mean_{_key(particle)}" for particle in particles}
    if "particle_type" not in events.meta["algorithms"]:
        return _absent("particle_type", ["auc", "auc_uncertainty", *means.values()])
    selected = events[events["particle_type_is_valid"]]
    curve = roc_curve(selected)
    area = area_under_curve(selected)
    metrics = {**area, **{key: mean_gammaness(selected, name) for name, key in means.items()}}

    results = [
        _Result(
            "roc_curve",
            draw_roc_curve(curve, area),
            "Fraction of the gammas against that of the other particles above a threshold of the "
            "gammaness; the band is the 68 % binomial interval of the gammas' fraction.",
            curve,
        ),
        _Result(
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


def _write_results(results: Sequence[_Result], folder: Path) -> list[ReportFigure]:
    figures = []
    written = set()
    for result in results:
        picture = folder / f"{result.name}.png"
        # The version of matplotlib would make equal pictures differ.
        write_whole(picture, lambda p, r=result: r.figure.savefig(p, metadata={"Software": None}))
        written.add(picture.name)
        if result.table is not None:
            table = folder / f"{result.name}.ecsv"
            write_whole(table, lambda p, r=result: r.table.write(p, format="ascii.ecsv"))
            written.add(table.name)
        title = " and ".join(axes.get_title() for axes in result.figure.axes if axes.get_title())
        figures.append(ReportFigure(picture, title, result.caption))

    # A picture of an earlier evaluation must not pass for one of this.
    for name in RESULT_NAMES:
        for suffix in (".png", ".ecsv"):
            if f"{name}{suffix}" not in written:
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return figures


def _compose_report(
    events: QTable,
    metrics: dict[str, object],
    warnings: Sequence[str],
    figures: Sequence[ReportFigure],
    sections: Sequence[ReportSection],
) -> Report:
    algorithms = events.meta["algorithms"]
    unit = "event" if events.meta["level"] == SUBARRAY else "image"
    number = f"{len(events):,}".replace(",", "\N{NO-BREAK SPACE}")
    plural = "" if len(events) == 1 else "s"
    each = "each shower seen by the array" if unit == "event" else "each telescope's image"
    return Report(
        title=f"Evaluation of {' + '.join(dict.fromkeys(algorithms.values()))}",
        lead=f"{number} simulated {unit}{plural}, one result for {each}; signal: "
        f"{plural(metrics['signal'])}.",
        warnings=warnings,
        metrics=_describe_metrics(metrics),
        figures=figures,
        events=_tabulate_events(events, metrics),
        provenance={
            "GammaLearn": __version__,
            "ctapipe": version("ctapipe"),
            "pyirf": version("pyirf"),
            **{
                f"Algorithm of the {quantity.replace('_', ' ')}": name
                for quantity, name in algorithms.items()
            },
            "Level": "subarray" if unit == "event" else "telescope",
        },
        files=events.meta["files"],
        sections=sections,
    )


def _describe_metrics(metrics: dict[str, object]) -> list[ReportMetric]:
    signal = metrics["signal"]
    described = [
        ReportMetric(
            "Energy bias",
            metrics["energy_bias"],
            "",
            f"Median of E_reco/E_true − 1 of all {plural(signal)} with a reconstructed energy.",
        ),
        ReportMetric(
            "Energy resolution",
            metrics["energy_resolution"],
            "",
            f"Half of the central 68 % of E_reco/E_true − 1 of the same {plural(signal)}.",
        ),
        ReportMetric(
            "Angular resolution, 68 %",
            metrics["angular_resolution_68"],
            "deg",
            f"Angle that contains 68 % of all {plural(signal)} with a reconstructed direction.",
        ),
        ReportMetric(
            "Angular resolution, 95 %",
            metrics["angular_resolution_95"],
            "deg",
            f"Angle that contains 95 % of the same {plural(signal)}.",
        ),
        ReportMetric(
            "Area under the ROC curve",
            metrics["auc"],
            "",
            "Chance that a gamma has a higher gammaness than another particle"
            + (
                "."
                if metrics["auc_uncertainty"] is None
                else f"; standard error {metrics['auc_uncertainty']:.2g} (Hanley & McNeil)."
            ),
        ),
    ]
    return described


def _tabulate_events(events: QTable, metrics: dict[str, object]) -> list[list[object]]:
    """Events of each particle, and how many of them have each quantity."""
    algorithms = events.meta["algorithms"]
    heading = ["Particle", "Events"]
    heading += [f"With {quantity.replace('_', ' ')}" for quantity in algorithms]
    if "particle_type" in algorithms:
        heading.append("Mean gammaness")
    rows = [heading]
    for particle, number in _present(events).items():
        chosen = np.asarray(events["particle"] == particle)
        row = [particle, number]
        row += [int(events[f"{quantity}_is_valid"][chosen].sum()) for quantity in algorithms]
        if "particle_type" in algorithms:
            row.append(metrics[f"gammaness_mean_{_key(particle)}"])
        rows.append(row)
    return rows
