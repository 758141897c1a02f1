"""The run: simulate, fit, reconstruct, evaluate."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ..checkpoint.trained import load_checkpoint
from ..data import EventIndex, check_slots, check_weights, columns_for, index_unlabelled
from ..evaluation import evaluate, skipped_files
from ..io.finding import find_files
from ..io.writing import write_whole
from ..settings import Experiment
from ..simulation.on_demand import make_missing
from ..tasks import Task, build_tasks, modules_of
from ..tasks.adaptation import build_adaptations
from ..tasks.without_labels import check_without_labels
from ..training import (
    check_events,
    check_initial,
    check_machine,
    check_processes,
    draw_range_test,
    fit,
    is_first_process,
    range_test,
    requeued_at_time_limit,
    slurm_job,
    was_requeued,
)
from .event_classes import check_event_classes, fit_event_classes
from .folder import check_folder, is_of_job, mark_job, opened_folder, resumable, write_settings
from .options import RunOptions
from .reconstruction import index_inputs, none_usable, reconstruct
from .report import (
    cuts_left_out,
    faulty_files,
    repeated_events,
    report_sections,
    shared_files,
    unlearnt_tasks,
)

__all__ = ["find_learning_rate", "index_training", "run", "train", "unlabelled_events"]


@requeued_at_time_limit()
def run(experiment: Experiment, output: Path, options: RunOptions = RunOptions()) -> dict:
    """Train a network, reconstruct the test events and evaluate them.

    A pre-training, that is an experiment of tasks without labels alone, needs no test events and
    has no evaluation; test events get their anomaly scores if the network reconstructs images.

    Simulated files that the data ask for are made first, where they are missing; they are data and
    stay. Apart from them, everything that can be wrong with settings and data is found before
    anything is written.

    Parameters
    ----------
    experiment : Experiment
    output : Path
        Folder of the results.
    options : RunOptions

    Returns
    -------
    dict
        The scalar figures, as in ``metrics.json``; nothing in the other processes of a run.

    Raises
    ------
    GammaLearnError
        If the settings, the data or the output folder cannot be used.
    """
    first_process, resume = is_first_process(), _resumes(output, options)
    experiment, tasks = _checked(experiment, output, options, resume)
    patterns = _training_patterns(experiment)
    if experiment.data.test or not experiment.is_pretraining:
        patterns["data.test"] = experiment.data.test
    make_missing(experiment.simulation, patterns, first_process, options.progress)
    train_files = find_files(experiment.learned_files, "data.train")
    test_files = _test_files(experiment)
    learnt = _indexed(train_files, experiment, tasks, resume)
    unlabelled = unlabelled_events(experiment, learnt)
    tests, skipped = (
        index_inputs(test_files, experiment, learnt.cameras) if test_files else ([], [])
    )
    check_slots(experiment.network, tests)

    with _opened(output, experiment, resume):
        summary = fit(
            experiment,
            learnt,
            tasks,
            output,
            resume=resume,
            fast_dev_run=options.fast_dev_run,
            progress=options.progress,
            unlabelled=unlabelled,
        )
        if not (first_process and test_files):
            return {}
        fit_event_classes(summary.checkpoint, experiment, learnt, options)
        trained = load_checkpoint(summary.checkpoint)
        files, failed = reconstruct(trained, tests, output / "dl2", experiment, options)
        skipped += failed
        if not files:
            raise none_usable(skipped)
        if experiment.is_pretraining:
            # What has no quantity has nothing to compare with the truth.
            return {}
        return evaluate(
            files,
            output,
            experiment.evaluation,
            report_sections(experiment, output, summary, learnt, tests, skipped, unlabelled),
            [
                *shared_files(train_files, test_files),
                *cuts_left_out(experiment),
                *repeated_events(learnt),
                *unlearnt_tasks(summary.trained_on.events_by_task),
                *skipped_files("training", learnt.skipped),
                *skipped_files("unlabelled", unlabelled.skipped if unlabelled else []),
                *skipped_files("test", skipped),
                *faulty_files("training", [learnt]),
                *faulty_files("unlabelled", [unlabelled] if unlabelled else []),
                *faulty_files("test", tests),
            ],
        )


@requeued_at_time_limit()
def train(experiment: Experiment, output: Path, options: RunOptions = RunOptions()) -> Path:
    """Train a network, as `run` does, and do no more: no test events are needed.

    Parameters
    ----------
    experiment : Experiment
    output : Path
        Folder of the checkpoints and the learning curves.
    options : RunOptions

    Returns
    -------
    Path
        The best checkpoint.

    Raises
    ------
    GammaLearnError
        If the settings, the data or the output folder cannot be used.
    """
    first_process, resume = is_first_process(), _resumes(output, options)
    experiment, tasks = _checked(experiment, output, options, resume)
    make_missing(
        experiment.simulation, _training_patterns(experiment), first_process, options.progress
    )
    files = find_files(experiment.learned_files, "data.train")
    learnt = _indexed(files, experiment, tasks, resume)
    unlabelled = unlabelled_events(experiment, learnt)
    with _opened(output, experiment, resume):
        summary = fit(
            experiment,
            learnt,
            tasks,
            output,
            resume=resume,
            fast_dev_run=options.fast_dev_run,
            progress=options.progress,
            unlabelled=unlabelled,
        )
        if first_process:
            fit_event_classes(summary.checkpoint, experiment, learnt, options)
    return summary.checkpoint


def _training_patterns(experiment: Experiment) -> dict[str, list[str]]:
    """Files that a training needs, by the setting that names them."""
    if experiment.is_pretraining:
        return {"data.train": experiment.learned_files}
    patterns = {"data.train": experiment.data.train, "data.unlabelled": experiment.data.unlabelled}
    return {name: files for name, files in patterns.items() if files or name == "data.train"}


def _test_files(experiment: Experiment) -> list[Path]:
    """The files to reconstruct: a pre-training has some if it gives events a score."""
    if experiment.is_pretraining and not (
        experiment.data.test and "reconstruction" in experiment.tasks
    ):
        return []
    return find_files(experiment.data.test, "data.test")


def _resumes(output: Path, options: RunOptions) -> bool:
    """Whether an interrupted run goes on."""
    # A job of SLURM that starts again has the same command. What is there may be of an earlier run,
    # which it was to replace.
    return options.resume or (was_requeued() and is_of_job(output, slurm_job()))


def _checked(
    experiment: Experiment, output: Path, options: RunOptions, resume: bool
) -> tuple[Experiment, dict[str, Task]]:
    """The experiment with its modules, and its tasks, where folder and machine can be used."""
    # Other processes of one run find the folder that the first one has made.
    if is_first_process():
        check_folder(output, options.overwrite, resume, experiment)
    n_processes = check_machine(experiment.training)
    check_processes(experiment.training, n_processes)
    tasks = build_tasks(experiment.tasks)
    # Settings and packages of adaptations are to fail here, before anything is written.
    build_adaptations(experiment.tasks, experiment.network.embedding, tasks)
    check_without_labels(experiment.tasks)
    return _with_modules(experiment, tasks), tasks


def _indexed(
    files: Sequence[Path], experiment: Experiment, tasks: dict[str, Task], resume: bool
) -> EventIndex:
    """The events to learn from, which go with the network that the training starts from."""
    learnt = index_training(files, experiment, tasks)
    if not resume:
        check_initial(experiment, learnt.cameras, tasks)
    return learnt


@contextmanager
def _opened(output: Path, experiment: Experiment, resume: bool) -> Iterator[None]:
    """The folder of the results, which is made ready by the first process."""
    first_process = is_first_process()
    with opened_folder(output, resume) if first_process else nullcontext(), resumable(output):
        if first_process:
            write_settings(output, experiment)
            mark_job(output, slurm_job())
        yield


def _with_modules(experiment: Experiment, tasks: Mapping[str, Task]) -> Experiment:
    """An experiment that also lists the modules that its tasks are of."""
    added = [name for name in modules_of(tasks) if name not in experiment.imports]
    return experiment.model_copy(update={"imports": [*experiment.imports, *added]})


def find_learning_rate(
    experiment: Experiment,
    output: Path,
    lowest: float,
    highest: float,
    n_steps: int,
    options: RunOptions = RunOptions(),
) -> float | None:
    """Train some steps of growing size, and draw and tell how the loss goes.

    Parameters
    ----------
    experiment : Experiment
    output : Path
        Folder of ``lr_range.png`` and ``lr_range.ecsv``.
    lowest, highest : float
        Smallest and largest step size.
    n_steps : int
    options : RunOptions

    Returns
    -------
    float or None
        The step size at which the loss falls fastest, None where it does not fall.

    Raises
    ------
    GammaLearnError
        If the settings, the data or the output folder cannot be used.
    """
    check_folder(output, options.overwrite)
    n_processes = check_machine(experiment.training)
    tasks = build_tasks(experiment.tasks)
    make_missing(
        experiment.simulation, {"data.train": experiment.learned_files}, progress=options.progress
    )
    files = find_files(experiment.learned_files, "data.train")
    index = index_training(files, experiment, tasks)
    check_initial(experiment, index.cameras, tasks)
    table = range_test(
        experiment, index, tasks, n_processes, lowest, highest, n_steps, options.progress
    )
    with opened_folder(output):
        write_settings(output, experiment)
        write_whole(output / "lr_range.ecsv", lambda path: table.write(path, format="ascii.ecsv"))
        write_whole(output / "lr_range.png", draw_range_test(table).savefig)
    return table.meta["suggestion"]


def index_training(
    files: Sequence[Path], experiment: Experiment, tasks: dict[str, Task]
) -> EventIndex:
    """The index of the events to learn from.

    Raises
    ------
    GammaLearnError
        If the settings and the files do not go together.
    """
    parameters, workers = columns_for(experiment.network), experiment.training.workers
    data = experiment.data
    if experiment.is_pretraining:
        index = index_unlabelled(files, data, None, parameters, workers)
    else:
        index = EventIndex.build(files, data, processes=workers, parameters=parameters)
        check_weights(index, data.weights)
    index = index.limited(data.events_per_particle, experiment.training.seed)
    check_events(experiment, index, tasks)
    check_event_classes(experiment, index)
    return index


def unlabelled_events(experiment: Experiment, learnt: EventIndex) -> EventIndex | None:
    """The index of ``data.unlabelled``, None where the settings name no files there.

    Parameters
    ----------
    experiment : Experiment
    learnt : EventIndex
        The training events, whose cameras the others must have.

    Raises
    ------
    GammaLearnError
        If the settings and the files do not go together.
    """
    if not experiment.data.unlabelled or experiment.is_pretraining:
        return None
    index = index_unlabelled(
        find_files(experiment.data.unlabelled, "data.unlabelled"),
        experiment.data,
        learnt.cameras,
        columns_for(experiment.network),
        experiment.training.workers,
    )
    check_slots(experiment.network, [index])
    return index
