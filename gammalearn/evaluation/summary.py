"""What the report says of an evaluation."""

from collections.abc import Sequence

from astropy.table import QTable

from ..particles import plural
from ..settings import EvaluationSettings
from .events.counting import tabulate_events
from .events.reading import SUBARRAY
from .report.page import Report, ReportFigure, ReportMetric, ReportSection
from .report.provenance import InputFile, describe_settings, versions
from .report.reference_curves import reference_sources

__all__ = ["compose_report"]


def compose_report(
    events: QTable,
    inputs: Sequence[InputFile],
    metrics: dict[str, object],
    warnings: Sequence[str],
    figures: Sequence[ReportFigure],
    sections: Sequence[ReportSection],
    settings: EvaluationSettings,
) -> Report:
    """The report of evaluated events.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`.
    inputs : sequence of InputFile
        The files that they are of.
    metrics : dict
        All metrics, None where there is none.
    warnings : sequence of str
        Sentences on what to read with care.
    figures : sequence of ReportFigure
        Pictures in their order.
    sections : sequence of ReportSection
        Further sections.
    settings : EvaluationSettings
        Those of the evaluation.
    """
    algorithms = events.meta["algorithms"]
    unit = "event" if events.meta["level"] == SUBARRAY else "image"
    each = "each shower seen by the array" if unit == "event" else "each telescope's image"
    what, signal = "observed", ""
    if events.meta["simulated"]:
        what, signal = "simulated", f"; signal: {plural(metrics['signal'])}"
    return Report(
        title=f"Evaluation of {' + '.join(dict.fromkeys(algorithms.values()))}",
        lead=f"{len(events)} {what} {unit}{'' if len(events) == 1 else 's'}, one result for "
        f"{each}{signal}.",
        warnings=warnings,
        metrics=_describe_metrics(metrics),
        figures=figures,
        events=tabulate_events(events, metrics),
        provenance={
            **versions(),
            **{
                f"Algorithm of the {quantity.replace('_', ' ')}": name
                for quantity, name in algorithms.items()
            },
            "Level": "subarray" if unit == "event" else "telescope",
            **describe_settings(settings),
            **reference_sources(settings.references),
        },
        files=inputs,
        sections=sections,
    )


def _describe_metrics(metrics: dict[str, object]) -> list[ReportMetric]:
    signal = metrics["signal"]
    return [
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
        *_describe_impact_and_depth(metrics),
        ReportMetric(
            "Area under the ROC curve",
            metrics["auc"],
            "",
            "Chance that a gamma has a higher gammaness than another particle"
            + (
                "."
                if metrics["auc_uncertainty"] is None
                else f"; standard error {metrics['auc_uncertainty']:.2g} (bootstrap over showers)."
            ),
        ),
        ReportMetric(
            "Sensitivity",
            metrics["best_relative_sensitivity"],
            "Crab",
            "Flux of a point source that is detected in 50 h, where it is best, as a part of the "
            "Crab Nebula's.",
        ),
    ]


def _describe_impact_and_depth(metrics: dict[str, object]) -> list[ReportMetric]:
    """Rows of what few reconstructions give, where it is there."""
    signals = plural(metrics["signal"])
    rows = [
        ReportMetric(
            "Impact resolution, 68 %",
            metrics["impact_resolution_68"],
            "m",
            f"Distance that contains 68 % of all {signals} with a reconstructed impact point.",
        ),
        ReportMetric(
            "Bias of the depth of maximum",
            metrics["x_max_bias"],
            "g/cm²",
            f"Median of reconstructed less true depth of all {signals} with both.",
        ),
        ReportMetric(
            "Resolution of the depth of maximum",
            metrics["x_max_resolution"],
            "g/cm²",
            f"Half of the central 68 % of the same difference of the same {signals}.",
        ),
    ]
    return [row for row in rows if row.value is not None]
