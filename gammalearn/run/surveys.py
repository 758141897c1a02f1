"""The run of a survey: simulate, fit, classify, evaluate; and its parts alone."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EvaluationError, OutputError, SettingsError
from ..io.files import sha256
from ..io.finding import find_files
from ..io.writing import make_folder
from ..settings.reading import override
from ..settings.surveys import SupernovaEvaluation, SupernovaExperiment
from ..surveys.catalogue import Catalogue, join_catalogues
from ..surveys.readers import read_objects
from ..surveys.supernovae.predictions import read_predictions, write_predictions
from .folder import check_folder, is_of_job, mark_job, opened_folder, resumable, write_settings
from .options import RunOptions

if TYPE_CHECKING:
    from ..evaluation.report.page import ReportSection
    from ..evaluation.report.provenance import InputFile
    from ..surveys.supernovae.report import Classified
    from ..training.fit import TrainingSummary

__all__ = ["compare_predictions", "evaluate_predictions", "predict_objects", "run_survey"]

log = logging.getLogger(__name__)

#: Where an experiment writes its tables of predictions.
PREDICTIONS, BASELINE = "predictions", "baseline"

REMEDY = "give a catalogue (.h5), or SNANA's files"


def run_survey(
    experiment: SupernovaExperiment, output: Path, options: RunOptions = RunOptions()
) -> dict[str, object]:
    """Train a network, classify the objects of ``data.test`` and evaluate the result.

    Parameters
    ----------
    experiment : SupernovaExperiment
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
    from ..surveys.supernovae.preparation import check_resumable, prepare
    from ..surveys.supernovae.simulation import make_missing_catalogues
    from ..training import (
        check_machine,
        check_processes,
        is_first_process,
        requeued_at_time_limit,
        slurm_job,
        was_requeued,
    )
    from ..training.fit import LAST, train

    first_process = is_first_process()
    resume = options.resume or (was_requeued() and is_of_job(output, slurm_job()))
    if first_process:
        check_folder(output, options.overwrite, resume, experiment)
    check_processes(experiment.training, check_machine(experiment.training))
    make_missing_catalogues(experiment.simulation, options.progress)
    files, learned, test = _catalogues(experiment)
    prepared = prepare(experiment, learned, files)
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
        return _evaluated(experiment, output, summary, learned, test)


def _catalogues(experiment: SupernovaExperiment) -> tuple[list[Path], Catalogue, Catalogue]:
    """Files to learn from; their objects, of which some have no type; and those of the test."""
    data = experiment.data
    train_files = find_files(data.train, "data.train", REMEDY)
    learned = read_objects(train_files)
    if data.labels == "confirmed":
        learned = _without_types(learned, ~np.asarray(learned.objects["confirmed"], dtype=bool))
    files, parts = [*train_files], [learned]
    if data.unlabelled:
        others = find_files(data.unlabelled, "data.unlabelled", REMEDY)
        files += others
        unlabelled = read_objects(others)
        parts.append(_without_types(unlabelled, np.ones(len(unlabelled), dtype=bool)))
    test = read_objects(find_files(data.test, "data.test", REMEDY))
    joined = join_catalogues(parts)
    # What the network is not made for is told before it is trained.
    return files, joined, test.with_bands(joined.bands, "data.test")


def _without_types(catalogue: Catalogue, hidden: np.ndarray) -> Catalogue:
    """The same, some of whose types are not known."""
    objects = catalogue.objects.copy()
    objects["type"] = np.where(hidden, "", np.asarray(objects["type"]))
    return replace(catalogue, objects=objects)


def _evaluated(
    experiment: SupernovaExperiment,
    output: Path,
    summary: "TrainingSummary",
    learned: Catalogue,
    test: Catalogue,
) -> dict[str, object]:
    """Classify the test objects with the network and the trees, and write the report."""
    from ..surveys.supernovae.checkpoint import load_supernova_network
    from ..surveys.supernovae.classification import classify
    from ..surveys.supernovae.report import BASELINE as TREES
    from ..surveys.supernovae.report import Classified, evaluate_tables

    settings, kind = experiment.evaluation, experiment.output.format
    trained = load_supernova_network(summary.checkpoint)
    tables = {"network": classify(trained, test, "data.test")}
    if settings.baseline:
        from ..surveys.supernovae.features import classify_with_trees

        tables[TREES] = classify_with_trees(
            learned, test, experiment.data.host_redshift, experiment.training.seed
        )
    make_folder(output / PREDICTIONS)
    sets = []
    for label, table in tables.items():
        name = "network" if label == "network" else BASELINE
        path = output / PREDICTIONS / f"{name}.{kind}"
        write_predictions(table, path, overwrite=True)
        sets.append(Classified(label, table, _input_file(path, table.meta)))
    return evaluate_tables(
        sets,
        output,
        settings,
        _sections(experiment, output, summary),
        [*_faults("training", learned), *_faults("test", test), *_shared(learned, test)],
    )


def _sections(
    experiment: SupernovaExperiment, output: Path, summary: "TrainingSummary"
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
                "objects without a type": learned.unlabelled_training_events,
                **{f"objects of type {name}": n for name, n in learned.events.items()},
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


def _shared(learned: Catalogue, test: Catalogue) -> list[str]:
    """A sentence where objects are learned from with their type, and tested on."""
    has_type = np.asarray(learned.objects["type"]) != ""
    names = set(map(str, learned.objects["object_id"][has_type]))
    n_shared = len(names & set(map(str, test.objects["object_id"])))
    if not n_shared:
        return []
    return [
        f"{n_shared} of the {len(test)} test objects are learned from with their type, so that the "
        "figures are in part those of training objects."
    ]


def predict_objects(
    checkpoint: str | Path,
    inputs: Sequence[str],
    output: Path,
    options: RunOptions,
    assignments: Sequence[str] = (),
) -> list[Path]:
    """Classify the objects of some files; one table for all.

    Parameters
    ----------
    checkpoint : str or Path
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
        If checkpoint, files or output cannot be used.
    """
    from ..surveys.supernovae.checkpoint import load_supernova_network
    from ..surveys.supernovae.classification import classify

    trained = load_supernova_network(checkpoint)
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
    table = classify(trained, catalogue, f"'{files[0]}'")
    make_folder(output)
    write_predictions(table, path, options.overwrite)
    return [path]


def evaluate_predictions(
    files: Sequence[Path], output: Path, settings: SupernovaEvaluation
) -> dict[str, object]:
    """Evaluate tables of predictions; several files are compared in one report.

    Raises
    ------
    GammaLearnError
        If a table cannot be used.
    """
    from ..surveys.supernovae.report import evaluate_tables

    labels = [path.stem for path in files]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in files]
    sets = [_classified(label, path) for label, path in zip(labels, files, strict=True)]
    with opened_folder(output):
        return evaluate_tables(sets, output, settings)


def compare_predictions(
    inputs: Sequence[str],
    output: Path,
    settings: SupernovaEvaluation,
    labels: Sequence[str] | None = None,
) -> dict[str, object]:
    """Compare runs or tables of predictions, on the objects that all have.

    Parameters
    ----------
    inputs : sequence of str
        Folders of runs, or tables.
    output : Path
    settings : SupernovaEvaluation
    labels : sequence of str, optional
        One for each input.

    Raises
    ------
    GammaLearnError
        If a table cannot be used.
    """
    from ..surveys.supernovae.report import compare_tables

    if labels and len(labels) != len(inputs):
        raise EvaluationError(
            f"--labels has {len(labels)} labels for {len(inputs)} sets; give one for each."
        )
    names = list(labels or (Path(name).name or name for name in inputs))
    if len(set(names)) < len(names):
        names = list(inputs)
    sets = [
        _classified(name, table_of(Path(text))) for name, text in zip(names, inputs, strict=True)
    ]
    with opened_folder(output):
        return compare_tables(sets, output, settings)


def table_of(path: Path) -> Path:
    """The table of predictions that a folder of a run or a file stands for."""
    if not path.is_dir():
        return path
    for kind in ("ecsv", "fits"):
        for folder, name in ((path / PREDICTIONS, "network"), (path, "predictions")):
            if (folder / f"{name}.{kind}").is_file():
                return folder / f"{name}.{kind}"
    raise EvaluationError(f"'{path}' has no table of predictions; give a run's folder, or a table.")


def _classified(label: str, path: Path) -> "Classified":
    from ..surveys.supernovae.report import Classified

    table = read_predictions(path)
    return Classified(label, table, _input_file(path, table.meta))


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
