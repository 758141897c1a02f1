"""What the report says of a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from astropy.table import QTable

from ..settings import EvaluationSettings
from .event_table import EventTable
from .quantities import MAIN_QUANTITIES
from .reconstructions import EACH, MEAN, GivenReconstruction, Reconstruction
from .report.page import Report, Worded
from .report.provenance import describe_settings, versions
from .report.reference_curves import reference_sources
from .report.results import Result

__all__ = ["Compared", "compose_report"]


@dataclass
class Compared:
    """What the comparison of one quantity yields."""

    totals: QTable | None = None
    """From `differences`, of all energies together."""

    labels: list[str] = field(default_factory=list)
    multiplicity: dict[str, float] = field(default_factory=dict)
    n_runs: dict[str, int] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def compose_report(
    sources: Sequence[GivenReconstruction],
    reconstructions: Sequence[Reconstruction],
    matching: Sequence[Mapping[str, object]],
    findings: Mapping[str, Compared],
    warnings: Sequence[str],
    settings: EvaluationSettings,
    weights: str,
) -> Report:
    """The report of a comparison, but for its pictures and the files.

    Parameters
    ----------
    sources : sequence of GivenReconstruction
        What was compared.
    reconstructions : sequence of Reconstruction
        Their results by label.
    matching : sequence of dict
        Of each source, how many of its events the others have.
    findings : dict of str to Compared
        By quantity.
    warnings : sequence of str
        Sentences on what to read with care.
    settings : EvaluationSettings
        Those of the comparison.
    weights : str
        Of the telescopes in the mean of an event.
    """
    return Report(
        title=f"Comparison of {', '.join(dict.fromkeys(source.label for source in sources))}",
        lead="The same simulated events, reconstructed in different ways; the first is the "
        "reference.",
        warnings=warnings,
        metrics=[],
        results=_tabulate_results(findings),
        figures=[],
        events=_tabulate_matching(matching),
        provenance={
            **versions(),
            **{
                f"Algorithms of {source.word}": ", ".join(
                    f"{quantity.replace('_', ' ')}: {algorithm}"
                    for quantity, algorithm in EventTable.of(source.events).algorithms.items()
                )
                for source in sources
            },
            **_explain(reconstructions, weights),
            **describe_settings(settings),
            **reference_sources(settings.references),
        },
        files=[],
    )


def _explain(reconstructions: Sequence[Reconstruction], weights: str) -> dict[str, str]:
    """What words of the tables mean, as far as they are there."""
    explained = {
        "Error": "standard deviation of a bootstrap over showers, the same for all sets",
        "Relative to reference": "difference of biases, ratio of resolutions and of 1 − AUC, the "
        "chance of the wrong order (below 1: better than the reference); the runs' scatter is part "
        "of its error",
        "σ": "value less that of the reference, over its error, which the runs' scatter is part of",
    }
    if any(reconstruction.of_images for reconstruction in reconstructions):
        explained[MEAN.capitalize()] = (
            "of all telescopes with a result: logarithms of the energy, unit vectors of the "
            f"direction, gammaness (ctapipe's StereoMeanCombiner, weights: {weights})"
        )
        explained[EACH.capitalize()] = "every image of the same events counts by itself"
    return explained


def _tabulate_results(findings: Mapping[str, Compared]) -> list[list[object]]:
    several = any(n > 1 for finding in findings.values() for n in finding.n_runs.values())
    heading = [
        "Result",
        "Set",
        "Value",
        "Relative to reference",
        "σ",
        "Events or images",
        "Showers",
    ]
    rows: list[list[object]] = [[*heading, *["Runs", "Their spread"] * several]]
    for quantity, finding in findings.items():
        titles = {
            statistic.name: f"{statistic.title}{' (deg)' if statistic.unit else ''}"
            for statistic in MAIN_QUANTITIES[quantity].statistics
        }
        for row in finding.totals if finding.totals is not None else ():
            label = finding.labels[row["reconstruction"]]
            relation = float(row["relation"]), float(row["relation_error"])
            cells: list[object] = [
                # In every row, as a table may be sorted.
                titles[str(row["statistic"])],
                label,
                _with_error(float(row["value"]), float(row["error"])),
                _with_error(*relation)
                if row["reconstruction"]
                else Worded(relation[0], "reference"),
                round(float(row["significance"]), 1),
                int(row["n_events"]),
                int(row["n_showers"]),
            ]
            if several:
                cells += [finding.n_runs[label], float(row["spread"])]
            rows.append(cells)
    return rows


def _with_error(value: float, error: float) -> float | Worded:
    """The value to the second digit of its error."""
    if not (np.isfinite(value) and error > 0):
        return value
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    text = f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return Worded(value, text.replace(" ", "\N{NO-BREAK SPACE}"))


def _tabulate_matching(matching: Sequence[Mapping[str, object]]) -> list[list[object]]:
    quantities = list(MAIN_QUANTITIES)
    heading: list[object] = ["Set", "Label", "Events", "In all sets", "Not in all"]
    heading += [f"In all, with {quantity.replace('_', ' ')}" for quantity in quantities]
    return [
        heading,
        *(
            [
                found["set"],
                found["label"],
                found["n_events"],
                found["n_matched"],
                found["n_unmatched"],
                *(found.get(f"n_matched_with_{quantity}") for quantity in quantities),
            ]
            for found in matching
        ),
    ]
