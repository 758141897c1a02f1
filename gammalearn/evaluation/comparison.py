"""The comparison of reconstructions on identical events: tables, pictures, numbers, report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable, vstack

from ..errors import EvaluationError
from ..io.particles import plural
from ..io.writing import make_folder, write_whole
from ..plotting.style import picture_style
from ..settings import EvaluationSettings
from .comparison_summary import Compared, compose_report
from .event_table import EventTable
from .quantities import MAIN_QUANTITIES, Quantity
from .reconstructions import (
    GivenReconstruction,
    Reconstruction,
    in_common,
    line_up,
    read_reconstructions,
)
from .report.page import Report, render_report
from .report.provenance import describe_input
from .report.results import (
    Result,
    ResultsByName,
    plain_numbers,
    refuse_existing,
    write_numbers,
    write_results,
)
from .report.skipped import section_of_skipped, skipped_files
from .statistics.binning import angle_edges, energy_edges
from .statistics.by_particle import choose_signal
from .statistics.differences import MIN_SHOWERS, Statistic, differences, differences_by_energy
from .statistics.migration import MigrationAxis, migration_matrix, migration_spread
from .statistics.side_by_side import SIGNIFICANT, draw_differences, draw_migrations, with_labels

__all__ = ["Comparison", "compare", "compare_migration", "compare_sources"]

#: Folder of tables and pictures in the output.
FOLDER = "comparison"

#: All that a comparison may write into its folder.
RESULT_NAMES = (
    *(s.name for quantity in MAIN_QUANTITIES.values() for s in quantity.statistics),
    *(f"migration_matrix_{a.name}" for q in MAIN_QUANTITIES.values() for a in q.migrations),
    *(name for quantity in MAIN_QUANTITIES.values() for name in quantity.comparisons),
)


@dataclass(frozen=True, repr=False)
class Comparison(ResultsByName):
    """What a comparison of reconstructions finds.

    Attributes
    ----------
    numbers : dict
        What ``comparison.json`` holds.
    results : list of Result
        Tables and pictures, in the order of the report.
    warnings : list of str
        Sentences on what to read with care.
    sources : list of GivenReconstruction
        What was compared.
    report : Report
        What the page shows, but for its pictures and the files.
    """

    numbers: dict[str, object]
    results: list[Result]
    warnings: list[str]
    sources: list[GivenReconstruction]
    report: Report

    def write(self, output: str | Path, overwrite: bool = False) -> None:
        """Write tables, pictures, numbers and the report, see `compare`.

        Parameters
        ----------
        output : str or pathlib.Path
            Folder to write into; made if it is not there.
        overwrite : bool
            Replace the results of an earlier comparison in the folder.

        Raises
        ------
        OutputError
            If the folder has a report, without ``overwrite``, or the output cannot be written.
        InputFileError
            If a file that the events are of cannot be read.
        """
        output = Path(output)
        refuse_existing(output / "compare.html", overwrite)
        make_folder(output / FOLDER)
        with picture_style():
            figures = write_results(self.results, output / FOLDER, RESULT_NAMES)
        write_numbers(self.numbers, output / "comparison.json")
        files = [
            describe_input(path, source.label) for source in self.sources for path in source.paths
        ]
        page = render_report(replace(self.report, figures=figures, files=files))
        write_whole(output / "compare.html", lambda path: path.write_text(page, encoding="utf-8"))


def compare(
    words: Sequence[str],
    output: Path,
    settings: EvaluationSettings,
    labels: Sequence[str] | None = None,
    weights: str = "none",
) -> dict[str, object]:
    """Compare reconstructions of the same simulated events.

    Each quantity is compared on the events for which all reconstructions have it. Results of single
    telescopes enter twice: as the mean of each event's telescopes, and image by image.

    Writes into ``output``:

    - ``comparison/``: energy bias and resolution, angular resolution (68 and 95 %), area under
      the ROC curve against true energy with their relation to the first reconstruction, ROC curves
      by energy, migration matrices side by side; each as ``.png`` and ``.ecsv``;
    - ``comparison.json``: the numbers of all energies together, and of the matching;
    - ``compare.html``: all of it on one page.

    The same files and settings give the same bytes.

    Parameters
    ----------
    words : sequence of str
        What to compare, see `read_reconstructions`; the first is the reference.
    output : pathlib.Path
        Folder to write into; made if it is not there.
    settings : EvaluationSettings
        Binning, signal particle, and the algorithm of those without their own.
    labels : sequence of str, optional
        One for each; equal ones mark runs that differ in their seed.
    weights : str
        Of the telescopes in the mean of an event, see `combine_telescopes`.

    Returns
    -------
    numbers : dict
        What ``comparison.json`` holds.

    Raises
    ------
    InputFileError, EvaluationError
        If the files cannot be compared.
    OutputError
        If the output cannot be written.
    """
    skip = settings.on_error == "skip"
    sources = read_reconstructions(words, labels, settings.algorithm, weights, skip)
    comparison = compare_sources(sources, settings, weights)
    comparison.write(output, overwrite=True)
    return comparison.numbers


def compare_sources(
    sources: Sequence[GivenReconstruction], settings: EvaluationSettings, weights: str = "none"
) -> Comparison:
    """Compare reconstructions that have been read, writing nothing.

    Parameters
    ----------
    sources : sequence of GivenReconstruction
        What to compare; the first is the reference.
    settings : EvaluationSettings
        Binning and signal particle.
    weights : str
        Of the telescopes in the means of events that the sources have.

    Raises
    ------
    EvaluationError
        If the sources have no event or no quantity in common, or one has an event twice.
    """
    tables = [EventTable.of(source.events) for source in sources]
    skipped = [left_out for table in tables for left_out in table.skipped]
    reconstructions = line_up(sources)
    matching = _match(sources)
    signal, warnings = choose_signal(sources[0].events, settings.signal)
    warnings += [*skipped_files("DL2", skipped), *_warn_of_single_runs(sources)]
    with picture_style():
        findings = {
            name: _compare_quantity(reconstructions, quantity, signal, settings)
            for name, quantity in MAIN_QUANTITIES.items()
        }
    if not any(finding.results for finding in findings.values()):
        raise EvaluationError(
            "The sets have no quantity in common that could be compared: "
            + " ".join(w for finding in findings.values() for w in finding.warnings)
        )
    numbers = {
        "reference": reconstructions[0].label,
        "signal": signal,
        "sets": matching,
        "results": {
            quantity: _list_numbers(finding, finding.totals)
            for quantity, finding in findings.items()
            if finding.totals is not None
        },
    }
    for finding in findings.values():
        warnings += finding.warnings
    for source, table in zip(sources, tables, strict=True):
        warnings += [f"{source.label}: {note}" for note in table.notes]
    report = compose_report(
        sources, reconstructions, matching, findings, warnings, settings, weights
    )
    return Comparison(
        plain_numbers(numbers),
        [result for finding in findings.values() for result in finding.results],
        warnings,
        list(sources),
        replace(report, sections=section_of_skipped("DL2", skipped)),
    )


def _match(sources: Sequence[GivenReconstruction]) -> list[dict[str, object]]:
    """How many events of each source the others have."""
    n_in_all = np.bincount(
        np.concatenate([np.asarray(source.events["event"]) for source in sources])
    )
    matching: list[dict[str, object]] = []
    for source in sources:
        in_all = n_in_all[source.events["event"]] == len(sources)
        algorithms = EventTable.of(source.events).algorithms
        matching.append(
            {
                "set": source.word,
                "label": source.label,
                "algorithms": dict(algorithms),
                "level": "subarray" if source.images is None else "telescope",
                "files": [path.name for path in source.paths],
                "n_events": len(source.events),
                "n_matched": int(in_all.sum()),
                "n_unmatched": int((~in_all).sum()),
                **{
                    f"n_matched_with_{quantity}": int(
                        source.events[f"{quantity}_is_valid"][in_all].sum()
                    )
                    for quantity in algorithms
                },
            }
        )
    return matching


def _warn_of_single_runs(sources: Sequence[GivenReconstruction]) -> list[str]:
    labels = [source.label for source in sources]
    alone = [label for label in dict.fromkeys(labels) if labels.count(label) == 1]
    if not alone:
        return []
    return [
        f"Of {', '.join(alone)} there is one run: how much another seed would change is not in the "
        "errors. Give several runs one label to see it."
    ]


def _compare_quantity(
    reconstructions: Sequence[Reconstruction],
    quantity: Quantity,
    signal: str,
    settings: EvaluationSettings,
) -> Compared:
    words = quantity.words
    having = [
        reconstruction for reconstruction in reconstructions if reconstruction.has(quantity.name)
    ]
    lacking = [
        reconstruction.label
        for reconstruction in reconstructions
        if not reconstruction.has(quantity.name)
    ]
    if len(having) < 2 and sum(len(reconstruction.runs) for reconstruction in having) < 2:
        whose = f"{having[0].label} alone has" if having else "None of the sets has"
        return Compared(warnings=[f"{whose} a reconstructed {words}: there is nothing to compare."])
    warnings = [f"{label} has no reconstructed {words}." for label in lacking]
    if lacking and lacking[0] == reconstructions[0].label:
        warnings.append(f"The {words} is compared with that of {having[0].label} instead.")
    return _compare_those_having(having, quantity, signal, settings, warnings)


def _compare_those_having(
    having: Sequence[Reconstruction],
    quantity: Quantity,
    signal: str,
    settings: EvaluationSettings,
    warnings: Sequence[str],
) -> Compared:
    words = quantity.words
    common = in_common(having, quantity.name)
    particle = signal if quantity.of_signal else ""
    if particle:
        common = [[run[run["particle"] == signal] for run in runs] for runs in common]
    labels = [reconstruction.label for reconstruction in having]
    totals = differences(common, quantity)
    findings = Compared(
        totals=totals,
        labels=labels,
        multiplicity={
            label: float(np.mean(runs[0]["multiplicity"])) if len(runs[0]) else np.nan
            for label, runs in zip(labels, common, strict=True)
        },
        n_runs={reconstruction.label: len(reconstruction.runs) for reconstruction in having},
        warnings=list(warnings),
    )
    n_showers = totals["n_showers"][0]
    if np.all(np.isnan(totals["error"])):
        findings.warnings.append(
            f"The {words} is compared on {n_showers} showers: below {MIN_SHOWERS} (of gammas and "
            "of others, for a separation) no error can be given."
        )
    if quantity.undefined and np.all(np.isnan(totals["value"])):
        findings.warnings.append(quantity.undefined)
        return findings

    edges = energy_edges(settings.energy_range, quantity.bins_per_decade(settings))
    table = differences_by_energy(common, quantity, edges)
    table.meta["n_runs"] = findings.n_runs
    for statistic in quantity.statistics:
        mine = table[table["statistic"] == statistic.name]
        findings.results.append(
            Result(
                statistic.name,
                draw_differences(table, statistic, labels, particle, settings.references),
                _caption(statistic, particle, labels),
                with_labels(mine, labels),
            )
        )
    findings.results += quantity.compare(common, labels, edges)
    for axis in quantity.migrations:
        findings.results.append(compare_migration(having, common, axis, signal, edges))
    return findings


def _caption(statistic: Statistic, particle: str, labels: Sequence[str]) -> str:
    of = f"of {plural(particle)} " if particle else ""
    relation = {
        "difference": f"less that of {labels[0]}",
        "ratio": f"over that of {labels[0]} (below 1: better)",
    }.get(
        statistic.relation,
        f"as 1 − AUC, the chance of the wrong order, over that of {labels[0]} (below 1: better)",
    )
    return (
        f"{statistic.title} {of}by true energy on the same events (hollow: fewer than "
        f"{MIN_SHOWERS} showers, too few for an error); in the middle {relation}, filled beyond "
        f"{SIGNIFICANT} σ. Errors: bootstrap over showers, in the middle paired and with the "
        "scatter of runs of one label."
    )


def compare_migration(
    reconstructions: Sequence[Reconstruction],
    common: Sequence[Sequence[QTable]],
    axis: MigrationAxis,
    signal: str,
    energy_bins: u.Quantity,
) -> Result:
    """Migration matrices of several reconstructions side by side.

    Parameters
    ----------
    reconstructions : sequence of Reconstruction
    common : sequence of sequence of astropy.table.QTable
        Their events of the signal, from `in_common`.
    axis : MigrationAxis
        What the matrices are of, from the ``migrations`` of a quantity.
    signal : str
        The particle.
    energy_bins : astropy.units.Quantity
        Edges of the energy axis, shape (n_bins + 1,).
    """
    # The runs of a label share a matrix.
    pooled = [vstack(runs, metadata_conflicts="silent") for runs in common]
    columns = {"true": axis.true, "reco": axis.reco}
    edges, reference = _spanned(energy_bins, pooled[0]["true_energy"]), None
    if axis.is_azimuth:
        reference = axis.values(pooled[0]).meta["reference"]
        pooled = [axis.values(table, reference) for table in pooled]
    if not axis.is_logarithmic:
        every = vstack(
            [table[[*columns.values()]] for table in pooled], metadata_conflicts="silent"
        )
        edges = angle_edges(every[axis.true], every[axis.reco])

    matrices, spreads = [], []
    for reconstruction, table in zip(reconstructions, pooled, strict=True):
        matrix = migration_matrix(table, edges, **columns)
        matrix.meta.update(particle=signal, of_images=reconstruction.of_images)
        if reference is not None:
            matrix.meta["reference_deg"] = reference
        matrices.append(matrix)
        spreads.append(migration_spread(table, edges, **columns, logarithmic=axis.is_logarithmic))
    labels = [reconstruction.label for reconstruction in reconstructions]
    tables = []
    for label, matrix in zip(labels, matrices, strict=True):
        table = matrix.copy()
        table.add_column([label] * len(table), 0, "reconstruction")
        tables.append(table)
    return Result(
        f"migration_matrix_{axis.name}",
        draw_migrations(matrices, spreads, labels, axis.name, signal, axis.is_logarithmic),
        f"The {axis.name} that {plural(signal)} of a true {axis.name} were reconstructed to, as "
        "fractions of all events of the true bin, on the same events and one scale of colours; "
        "points: median and central 68 %.",
        vstack(tables, metadata_conflicts="silent"),
    )


def _spanned(energy_bins: u.Quantity, energies: u.Quantity) -> u.Quantity:
    """The edges around the energies, with two bins more at each end for those that stray."""
    if len(energies) == 0:
        return energy_bins
    first, last = np.searchsorted(energy_bins, [energies.min(), energies.max()])
    return energy_bins[max(first - 3, 0) : last + 3]


def _list_numbers(finding: Compared, totals: QTable) -> dict[str, dict[str, object]]:
    numbers: dict[str, dict[str, object]] = {}
    for row in totals:
        label = finding.labels[row["reconstruction"]]
        numbers.setdefault(str(row["statistic"]), {})[label] = {
            **{
                name: float(row[name])
                for name in ("value", "error", "spread", "relation", "relation_error")
            },
            "significance": float(row["significance"]),
            "n_events": int(row["n_events"]),
            "n_showers": int(row["n_showers"]),
            "n_runs": finding.n_runs[label],
            "telescopes_per_event": finding.multiplicity[label],
        }
    return numbers
