"""The evaluation of DL2 files: tables, pictures, metrics and the report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.table import QTable

from ..io.writing import make_folder, write_whole
from ..plotting.style import picture_style
from ..settings import EvaluationSettings
from .event_table import EventTable
from .events.counting import event_numbers
from .events.reading import read_events
from .performance.observation import RESULTS
from .performance.pointings import evaluate_pointings
from .quantities import QUANTITIES
from .report.page import ReportSection, render_report
from .report.provenance import describe_input
from .report.results import (
    Findings,
    Result,
    ResultsByName,
    plain_numbers,
    refuse_existing,
    write_numbers,
    write_results,
)
from .report.skipped import section_of_skipped, skipped_files
from .statistics.by_particle import choose_signal
from .statistics.matching import IMAGE, number_alike
from .summary import compose_report

__all__ = ["Evaluation", "evaluate", "evaluate_events"]

#: Folder of tables and pictures in the output.
FOLDER = "evaluation"

#: What the report says of events without truth.
NO_TRUTH = (
    "The files hold no simulated truth: how well events were reconstructed cannot be told, only "
    "how their energies, directions and gammaness are distributed."
)


@dataclass(frozen=True, repr=False)
class Evaluation(ResultsByName):
    """What an evaluation finds of reconstructed events.

    Attributes
    ----------
    events : astropy.table.QTable
        The events.
    settings : EvaluationSettings
    metrics : dict
        The numbers of ``metrics.json``, sorted by name, None where there is none.
    results : list of Result
        Tables and pictures, in the order of the report.
    warnings : list of str
        Sentences on what to read with care.
    sections : list of ReportSection
        Further sections of the report.
    """

    events: QTable
    settings: EvaluationSettings
    metrics: dict[str, object]
    results: list[Result]
    warnings: list[str]
    sections: list[ReportSection]

    def write(
        self,
        output: str | Path,
        sections: Sequence[ReportSection] = (),
        warnings: Sequence[str] = (),
        overwrite: bool = False,
    ) -> None:
        """Write tables, pictures, metrics and the report, see `evaluate`.

        Parameters
        ----------
        output : str or pathlib.Path
            Folder to write into; made if it is not there.
        sections : sequence of ReportSection
            Sections to add to the report.
        warnings : sequence of str
            Sentences to put before the others.
        overwrite : bool
            Replace the results of an earlier evaluation in the folder.

        Raises
        ------
        OutputError
            If the folder has a report, without ``overwrite``, or the output cannot be written.
        InputFileError
            If a file that the events are of cannot be read.
        """
        output = Path(output)
        refuse_existing(output / "report.html", overwrite)
        make_folder(output / FOLDER)
        with picture_style():
            figures = write_results(self.results, output / FOLDER, _result_names())
        write_numbers(self.metrics, output / "metrics.json")
        about = EventTable.of(self.events)
        skipped = section_of_skipped("DL2", about.skipped)
        report = compose_report(
            self.events,
            [describe_input(path) for path in about.paths],
            self.metrics,
            [*warnings, *self.warnings],
            figures,
            [*self.sections, *sections, *skipped],
            self.settings,
        )
        page = render_report(report)
        write_whole(output / "report.html", lambda path: path.write_text(page, encoding="utf-8"))


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
      ``angular_resolution``, also ``_by_offset``, ``_by_multiplicity`` and ``_by_class``,
      ``impact_resolution``,
      ``x_max_resolution``, ``roc_curve``, ``roc_curves_by_energy``, ``auc_by_energy``,
      ``gammaness``, ``working_points``, ``confusion_matrix``, ``effective_area``, ``sensitivity``,
      ``energy_uncertainty``, ``direction_uncertainty``, ``impact_uncertainty``, each as ``.png``
      and ``.ecsv`` (matrices as ``.fits`` too), as far as the files have what they need; of events
      without simulated truth ``reco_energy``, ``reco_offset`` and ``gammaness``. Those of an
      earlier evaluation are replaced or removed;
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
    events = read_events(paths, settings.algorithm, observed=True, skip=settings.on_error == "skip")
    # Where nothing can be written, nothing is evaluated.
    make_folder(Path(output) / FOLDER)
    evaluation = evaluate_events(events, settings)
    evaluation.write(output, sections, warnings, overwrite=True)
    return evaluation.metrics


def evaluate_events(events: QTable, settings: EvaluationSettings) -> Evaluation:
    """Evaluate reconstructed events, writing nothing.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`, or some rows of it.
    settings : EvaluationSettings
        Binning and signal particle.

    Raises
    ------
    EvaluationError
        If the files that the events are of make no sense of what was simulated.
    InputFileError
        If one of them cannot be read.
    """
    about = EventTable.of(events)
    if about.simulated:
        judged = events
        signal, own_warnings = choose_signal(events, settings.signal)
    else:
        judged = _without_results(events)
        signal, own_warnings = settings.signal, [NO_TRUTH]
    warnings = skipped_files("DL2", about.skipped)
    warnings += [*_warn_of_repeated(events), *own_warnings]
    metrics = event_numbers(events, signal, settings.signal)
    with picture_style():
        performance = evaluate_pointings(about.paths, judged, signal, settings)
        cuts = performance.gammaness_cuts(judged, signal)
        quantities = QUANTITIES.values()
        findings = [
            *(quantity.evaluate(judged, signal, settings, cuts) for quantity in quantities),
            performance,
            *(q.evaluate_uncertainty(judged, signal) for q in quantities if q.uncertainty),
        ]
        if not about.simulated:
            # The same metrics, without values.
            findings = [Findings(finding.metrics) for finding in findings]
            shown = (q.observe(events, settings) for q in quantities if q.is_in(events))
            findings.append(Findings({}, [result for results in shown for result in results]))
    for finding in findings:
        metrics.update(finding.metrics)
        warnings += finding.warnings
    return Evaluation(
        events,
        settings,
        plain_numbers({name: metrics[name] for name in sorted(metrics)}),
        [result for finding in findings for result in finding.results],
        [*warnings, *about.notes],
        [section for finding in findings for section in finding.sections],
    )


def _result_names() -> list[str]:
    """All that an evaluation may write into its folder."""
    quantities = QUANTITIES.values()
    names = [name for quantity in quantities for name in quantity.results]
    names += [f"{quantity.name}_uncertainty" for quantity in quantities if quantity.uncertainty]
    return [*names, *RESULTS]


def _without_results(events: QTable) -> QTable:
    """The events as if nothing of them had been reconstructed."""
    names = [
        name
        for quantity in QUANTITIES.values()
        for name in (*quantity.optional, *([] if quantity.is_main else quantity.columns))
    ]
    bare = events[[name for name in events.colnames if name not in names]]
    bare.meta = replace(EventTable.of(events), algorithms={}).to_meta()
    return bare


def _warn_of_repeated(events: QTable) -> list[str]:
    """A sentence if events come more than once."""
    (numbers,) = number_alike([events], IMAGE)
    n_repeated = len(numbers) - len(np.unique(numbers))
    if n_repeated == 0:
        return []
    return [
        f"{n_repeated} of the {len(events)} events are there more than once, in the same file or "
        "another (same ids, particle and true energy): they count as often, and errors come out "
        "too small."
    ]
