"""What the report says of an evaluation."""

from collections.abc import Mapping, Sequence

from astropy.table import QTable

from ..io.particles import plural
from ..settings import EvaluationSettings
from .event_table import EventTable
from .events.counting import tabulate_events
from .performance.observation import describe_performance
from .quantities import QUANTITIES
from .report.page import Report, ReportFigure, ReportMetric, ReportSection
from .report.provenance import InputFile, describe_settings, versions
from .report.reference_curves import reference_sources

__all__ = ["compose_report"]


def compose_report(
    events: QTable,
    inputs: Sequence[InputFile],
    metrics: Mapping[str, object],
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
    about = EventTable.of(events)
    unit = "image" if about.is_of_images else "event"
    each = "each telescope's image" if about.is_of_images else "each shower seen by the array"
    what, signal = "observed", ""
    if about.simulated:
        what, signal = "simulated", f"; signal: {plural(str(metrics['signal']))}"
    return Report(
        title=f"Evaluation of {' + '.join(about.algorithm_names)}",
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
                for quantity, name in about.algorithms.items()
            },
            "Level": about.level,
            **describe_settings(settings),
            **reference_sources(settings.references),
        },
        files=inputs,
        sections=sections,
    )


def _describe_metrics(metrics: Mapping[str, object]) -> list[ReportMetric]:
    """Rows on all metrics; what few reconstructions give, only where it is there."""
    rows = [
        row
        for quantity in QUANTITIES.values()
        for row in quantity.describe(metrics)
        if quantity.is_main or row.value is not None
    ]
    return [*rows, *describe_performance(metrics)]
