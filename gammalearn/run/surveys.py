"""The run of a survey: simulate, fit, predict, evaluate; and its parts alone."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from astropy.table import Table

from ..errors import EvaluationError, OutputError, SettingsError
from ..io.files import sha256
from ..io.finding import find_files
from ..io.writing import make_folder
from ..settings.base import Settings
from ..settings.reading import override
from ..settings.surveys import SURVEYS, SurveyExperiment
from ..surveys.catalogue import Catalogue
from ..surveys.kinds import survey_of
from ..surveys.predictions import read_predictions, write_predictions
from ..surveys.readers import REMEDY, read_objects
from ..surveys.survey import ResultSet, Survey
from .folder import check_folder, is_of_job, mark_job, opened_folder, resumable, write_settings
from .options import RunOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

    from ..evaluation.report.page import ReportSection
    from ..evaluation.report.provenance import InputFile
    from ..surveys.checkpoint import TrainedSurveyNetwork
    from ..training.fit import TrainingSummary

__all__ = [
    "compare_predictions",
    "evaluate_predictions",
    "explain_objects",
    "predict_objects",
    "run_survey",
]

log = logging.getLogger(__name__)

#: Where an experiment writes its tables of predictions.
PREDICTIONS, NETWORK, BASELINE = "predictions", "network", "baseline"


def run_survey(
    experiment: SurveyExperiment, output: Path, options: RunOptions = RunOptions()
) -> dict[str, object]:
    """Train a network, predict the objects of ``data.test`` and evaluate the result.

    Parameters
    ----------
    experiment : SurveyExperiment
    output : Path
        Folder of the results.
    options : RunOptions

    Returns
    -------
    dict
        The figures, as in ``metrics.json``; nothing in the other processes of a run.

    Raises
    ------
    GammaLearnError
        If the settings, the data or the output folder cannot be used.
    """
    from ..surveys.preparation import check_resumable
    from ..surveys.simulation import make_missing_catalogues
    from ..training import (
        check_machine,
        check_processes,
        is_first_process,
        requeued_at_time_limit,
        slurm_job,
        was_requeued,
    )
    from ..training.fit import LAST, train

    survey = survey_of(experiment.survey)
    first_process = is_first_process()
    resume = options.resume or (was_requeued() and is_of_job(output, slurm_job()))
    if first_process:
        check_folder(output, options.overwrite, resume, experiment)
    check_processes(experiment.training, check_machine(experiment.training))
    make_missing_catalogues(survey, experiment.simulation, options.progress)
    files, learned, test = survey.read(experiment)
    prepared = survey.prepare(experiment, learned, files)
    resume_training = resume and (output / LAST).exists()
    if resume_training:
        check_resumable(output / LAST, experiment, prepared)

    with (
        requeued_at_time_limit(),
        opened_folder(output, resume) if first_process else nullcontext(),
        resumable(output),
    ):
        if first_process:
            write_settings(output, experiment)
            mark_job(output, slurm_job())
        summary = train(
            prepared,
            experiment.training,
            output,
            resume_training,
            options.fast_dev_run,
            options.progress,
        )
        if not first_process:
            return {}
        return _evaluated(experiment, output, summary, learned, test, options.progress)


def _evaluated(
    experiment: SurveyExperiment,
    output: Path,
    summary: "TrainingSummary",
    learned: Catalogue,
    test: Catalogue,
    progress: bool,
) -> dict[str, object]:
    """Predict the test objects with the network and the trees, and write the report."""
    from ..surveys.checkpoint import load_survey_network
    from ..surveys.report import evaluate_tables

    settings, kind = experiment.evaluation, experiment.output.format
    survey, trained = survey_of(experiment.survey), load_survey_network(summary.checkpoint)
    tables = {NETWORK: _predicted(survey, trained, test, "data.test", progress)}
    if settings.baseline:
        tables[survey.baseline] = survey.predict_with_trees(experiment, learned, test)
    make_folder(output / PREDICTIONS)
    sets = []
    for label, table in tables.items():
        name = NETWORK if label == NETWORK else BASELINE
        path = output / PREDICTIONS / f"{name}.{kind}"
        write_predictions(table, path, overwrite=True)
        sets.append(ResultSet(label, table, _input_file(path, table.meta)))
    return evaluate_tables(
        survey,
        sets,
        output,
        settings,
        _sections(experiment, output, summary),
        [*_faults("training", learned), *_faults("test", test), *_shared(survey, learned, test)],
    )


def _sections(
    experiment: SurveyExperiment, output: Path, summary: "TrainingSummary"
) -> "list[ReportSection]":
    from ..evaluation.report.page import ReportSection

    learned = summary.trained_on
    return [
        ReportSection(
            title="Training",
            text="Losses and validation figures against the epoch.",
            table={
                "training objects": learned.training_events,
                "validation objects": learned.validation_events,
                "objects without a truth": learned.unlabelled_training_events,
                **{f"objects: {name}": n for name, n in learned.events.items()},
                "seed": experiment.training.seed,
                "steps left out, not finite": summary.skipped_steps,
            },
            picture=output / "learning_curves.png",
            alt="Learning curves: training and validation loss of each task against the epoch",
        ),
        ReportSection(title="Network", text="Parameters of its parts.", table={**summary.network}),
    ]


def _faults(what: str, catalogue: Catalogue) -> list[str]:
    """A sentence for each kind of thing that was put right or left out."""
    return [f"{n} {fault}, in the {what} catalogues." for fault, n in catalogue.faults.items()]


def _shared(survey: Survey, learned: Catalogue, test: Catalogue) -> list[str]:
    """A sentence where objects are learned from with their truth, and tested on."""
    n_shared = survey.truth_in_common(learned, test)
    if not n_shared:
        return []
    return [
        f"{n_shared} of the {len(test)} test objects are learned from with their {survey.known}, "
        "so that the figures are in part those of training objects."
    ]


def _predicted(
    survey: Survey,
    trained: "TrainedSurveyNetwork",
    catalogue: Catalogue,
    what: str,
    progress: bool,
) -> Table:
    """Predictions with what they come from."""
    from ..nn import inference_device

    trained.network.to(inference_device(trained.experiment.training.accelerator))
    table = survey.predict(trained, catalogue, what, progress)
    table.meta |= trained.provenance
    return table


def predict_objects(
    checkpoints: Sequence[str | Path],
    inputs: Sequence[str],
    output: Path,
    options: RunOptions,
    assignments: Sequence[str] = (),
) -> list[Path]:
    """Predict the objects of some files; one table for all.

    Parameters
    ----------
    checkpoints : sequence of str or Path
        Several networks predict together: their probabilities are averaged.
    inputs : sequence of str
        Catalogues, files of SNANA, or globs.
    output : Path
        Folder of the table.
    options : RunOptions
    assignments : sequence of str
        Changes of the settings of the training, such as ``output.format=fits``.

    Raises
    ------
    GammaLearnError
        If checkpoints, files or output cannot be used.
    """
    from ..surveys.checkpoint import load_survey_networks

    trained = load_survey_networks(checkpoints)
    experiment = override(trained.experiment, list(assignments))
    changed = experiment.model_copy(update={"output": trained.experiment.output})
    if changed != trained.experiment:
        raise SettingsError("--set: a trained network keeps its settings, but for those of output.")
    path = output / f"predictions.{experiment.output.format}"
    if path.exists() and not options.overwrite:
        raise OutputError(f"'{path}' exists; give another folder, or --overwrite to replace it.")
    files = find_files(inputs, "INPUT", REMEDY)
    catalogue = read_objects(files)
    for what, number in catalogue.faults.items():
        log.warning("%d %s.", number, what)
    survey = survey_of(experiment.survey)
    table = _predicted(survey, trained, catalogue, f"'{files[0]}'", options.progress)
    make_folder(output)
    write_predictions(table, path, options.overwrite)
    return [path]


def explain_objects(
    checkpoint: str | Path,
    inputs: Sequence[str],
    object_id: str | None,
    task: str | None = None,
    steps: int | None = None,
) -> "Picture":
    """Draw what the result of an object comes from, or a map of objects.

    Parameters
    ----------
    checkpoint : str or Path
    inputs : sequence of str
        Catalogues, files of SNANA, or globs.
    object_id : str or None
        None draws the map.
    task : str, optional
        What to explain, by default the first that the network has.
    steps : int, optional
        Points of the integral of the gradients, by default `STEPS`.

    Raises
    ------
    GammaLearnError
        If checkpoint or files cannot be used, or there is no such object or task.
    """
    from ..surveys.checkpoint import load_survey_network
    from ..surveys.explanation.maps import draw_map
    from ..surveys.explanation.objects import STEPS, explain_object

    trained = load_survey_network(checkpoint)
    files = find_files(inputs, "FILE", REMEDY)
    catalogue = read_objects(files)
    if object_id is None:
        return draw_map(trained, catalogue, f"'{files[0]}'")
    explanation = explain_object(trained, catalogue, object_id, task, steps or STEPS)
    survey = survey_of(trained.experiment.survey)
    return survey.draw_explanation(explanation, trained.seen["bands"])


def evaluate_predictions(
    files: Sequence[Path], output: Path, assignments: Sequence[str] = ()
) -> dict[str, object]:
    """Evaluate tables of predictions; several files are compared in one report.

    Parameters
    ----------
    files : sequence of Path
    output : Path
    assignments : sequence of str
        Settings of the evaluation, as ``--set`` has them.

    Raises
    ------
    GammaLearnError
        If a table cannot be used.
    """
    from ..surveys.report import evaluate_tables

    labels = [path.stem for path in files]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in files]
    survey, sets = _result_sets(labels, files)
    settings = _evaluation(survey, assignments)
    with opened_folder(output):
        return evaluate_tables(survey, sets, output, settings)


def compare_predictions(
    inputs: Sequence[str],
    output: Path,
    assignments: Sequence[str] = (),
    labels: Sequence[str] | None = None,
) -> dict[str, object]:
    """Compare runs or tables of predictions, on the objects that all have.

    Parameters
    ----------
    inputs : sequence of str
        Folders of runs, or tables.
    output : Path
    assignments : sequence of str
        Settings of the evaluation, as ``--set`` has them.
    labels : sequence of str, optional
        One for each input.

    Raises
    ------
    GammaLearnError
        If a table cannot be used.
    """
    from ..surveys.report import compare_tables

    if labels and len(labels) != len(inputs):
        raise EvaluationError(
            f"--labels has {len(labels)} labels for {len(inputs)} sets; give one for each."
        )
    names = list(labels or (Path(name).name or name for name in inputs))
    if len(set(names)) < len(names):
        names = list(inputs)
    survey, sets = _result_sets(names, [table_of(Path(text)) for text in inputs])
    settings = _evaluation(survey, assignments)
    with opened_folder(output):
        return compare_tables(survey, sets, output, settings)


def _evaluation(survey: Survey, assignments: Sequence[str]) -> Settings:
    """Settings of the evaluation of a survey alone."""
    return override(SURVEYS[survey.name](survey=survey.name), list(assignments)).evaluation


def _result_sets(labels: Sequence[str], files: Sequence[Path]) -> tuple[Survey, list[ResultSet]]:
    """Tables of one survey."""
    survey, sets = None, []
    for label, path in zip(labels, files, strict=True):
        kind, table = read_predictions(path)
        if survey is not None and kind is not survey:
            raise EvaluationError(
                f"'{path}' has {kind.result}, and '{files[0]}' has {survey.result}; give tables of "
                "one survey."
            )
        survey = kind
        sets.append(ResultSet(label, table, _input_file(path, table.meta)))
    if survey is None:
        raise EvaluationError("There is no table of predictions; give one.")
    return survey, sets


def table_of(path: Path) -> Path:
    """The table of predictions that a folder of a run or a file stands for."""
    if not path.is_dir():
        return path
    for kind in ("ecsv", "fits"):
        for folder, name in ((path / PREDICTIONS, NETWORK), (path, "predictions")):
            if (folder / f"{name}.{kind}").is_file():
                return folder / f"{name}.{kind}"
    raise EvaluationError(f"'{path}' has no table of predictions; give a run's folder, or a table.")


def _input_file(path: Path, meta: Mapping[str, object]) -> "InputFile":
    from ..evaluation.report.provenance import InputFile

    version = str(meta.get("gammalearn", ""))
    return InputFile(
        path.name,
        sha256(path),
        f"GammaLearn {version}" if version else "",
        str(meta.get("settings", "")),
        str(meta.get("checkpoint", "")),
    )
