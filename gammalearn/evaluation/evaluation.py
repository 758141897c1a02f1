"""The evaluation of DL2 files: tables, pictures, metrics and the report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import QTable

from ..settings import EvaluationSettings
from ..writing import make_folder, write_whole
from .events.counting import event_numbers
from .events.reading import read_events
from .performance.observation import RESULTS, evaluate_performance
from .quantities import QUANTITIES
from .report.page import ReportSection, render_report
from .report.pictures import picture_style
from .report.provenance import describe_input
from .report.results import Findings, write_numbers, write_results
from .report.skipped import section_of_skipped, skipped_files
from .statistics.by_particle import choose_signal
from .statistics.matching import IMAGE, number_alike
from .summary import compose_report

__all__ = ["evaluate"]

#: Folder of tables and pictures in the output.
FOLDER = "evaluation"

#: What the report says of events without truth.
NO_TRUTH = (
    "The files hold no simulated truth: how well events were reconstructed cannot be told, only "
    "how their energies, directions and gammaness are distributed."
)


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
      ``angular_resolution``, also ``_by_offset`` and ``_by_multiplicity``, ``impact_resolution``,
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
    output = Path(output)
    skip = settings.on_error == "skip"
    events = read_events(paths, settings.algorithm, observed=True, skip=skip)
    paths, skipped = events.meta["paths"], events.meta["skipped"]
    make_folder(output / FOLDER)

    if events.meta["simulated"]:
        judged = events
        signal, own_warnings = choose_signal(events, settings.signal)
    else:
        judged = _without_results(events)
        signal, own_warnings = settings.signal, [NO_TRUTH]
    warnings = [*warnings, *skipped_files("DL2", skipped)]
    warnings += [*_warn_of_repeated(events), *own_warnings]
    metrics = event_numbers(events, signal, settings.signal)
    with picture_style():
        performance = evaluate_performance(paths, judged, signal, settings)
        cuts = performance.gammaness_cuts(judged, signal)
        quantities = QUANTITIES.values()
        findings = [
            *(quantity.evaluate(judged, signal, settings, cuts) for quantity in quantities),
            performance,
            *(q.evaluate_uncertainty(judged, signal) for q in quantities if q.uncertainty),
        ]
        if not events.meta["simulated"]:
            # The same metrics, without values.
            findings = [Findings(finding.metrics) for finding in findings]
            shown = (q.observe(events, settings) for q in quantities if q.is_in(events))
            findings.append(Findings({}, [result for results in shown for result in results]))
        for finding in findings:
            metrics.update(finding.metrics)
            warnings += finding.warnings
        results = [result for finding in findings for result in finding.results]
        figures = write_results(results, output / FOLDER, _result_names())

    metrics = write_numbers(
        {name: metrics[name] for name in sorted(metrics)}, output / "metrics.json"
    )

    warnings += events.meta["notes"]
    own_sections = [section for finding in findings for section in finding.sections]
    sections = [*own_sections, *sections, *section_of_skipped("DL2", skipped)]
    inputs = [describe_input(Path(path)) for path in paths]
    report = compose_report(events, inputs, metrics, warnings, figures, sections, settings)
    page = render_report(report)
    write_whole(output / "report.html", lambda path: path.write_text(page, encoding="utf-8"))
    return metrics


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
    bare.meta = {**events.meta, "algorithms": {}}
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
