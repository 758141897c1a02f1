"""The run of the baseline: (simulate,) learn, reconstruct, evaluate; as a network's run does."""

from pathlib import Path

from ..baseline import PARAMETERS, Baseline, Geometry, hillas_geometry
from ..data import EventIndex, check_weights
from ..dl2 import dl2_file, dl2_name
from ..errors import DataError
from ..evaluation import evaluate, skipped_files
from ..io.finding import find_files
from ..io.writing import make_folder
from ..machine.cores import check_workers
from ..settings import Experiment, OutputSettings
from ..simulation.on_demand import make_missing
from .folder import check_folder, opened_folder, write_settings
from .options import RunOptions
from .reconstruction import index_inputs, none_usable, noted, skip
from .report import (
    baseline_section,
    faulty_files,
    repeated_events,
    selection_sections,
    shared_files,
)

__all__ = ["ALGORITHM", "run_baseline"]

#: Name of the DL2 algorithm where the settings give none of their own.
ALGORITHM = "HillasBoosting"


def run_baseline(
    experiment: Experiment,
    output: Path,
    options: RunOptions,
    geometry: Geometry = hillas_geometry,
) -> dict[str, list]:
    """Learn from the events of an experiment as an analyst would, and evaluate the result.

    All events of ``data.train`` are learnt from: what hyper-parameters to take is found by
    cross-validation.

    Parameters
    ----------
    experiment : Experiment
    output : Path
        Folder of the results: DL2 files, evaluation and report are those of a run.
    options : RunOptions
        Of which overwrite and progress count.
    geometry : callable
        See :class:`gammalearn.baseline.Baseline`.

    Returns
    -------
    dict of str to list
        What was learnt, by quantity: see :meth:`gammalearn.baseline.Boosted.describe`.

    Raises
    ------
    GammaLearnError
        If the settings, the data or the output folder cannot be used.
    """
    check_folder(output, options.overwrite)
    experiment = _named(experiment)
    baseline = Baseline(experiment, options.progress, geometry)
    make_missing(
        experiment.simulation,
        {"data.train": experiment.data.train, "data.test": experiment.data.test},
        progress=options.progress,
    )
    train_files = find_files(experiment.data.train, "data.train")
    test_files = find_files(experiment.data.test, "data.test")
    # Files of image parameters alone will do.
    blind = experiment.model_copy(
        update={"data": experiment.data.model_copy(update={"channels": []})}
    )
    check_workers(experiment.training.workers)
    learnt = EventIndex.build(
        train_files, blind.data, processes=experiment.training.workers, parameters=PARAMETERS
    ).limited(experiment.data.events_per_particle, experiment.training.seed)
    check_weights(learnt, experiment.data.weights)
    tests, skipped = index_inputs(test_files, blind, learnt.cameras, parameters=PARAMETERS)

    baseline.fit(learnt)
    with opened_folder(output):
        write_settings(output, experiment)
        make_folder(output / "dl2")
        files = []
        with noted("gammalearn-baseline"):
            for index in tests:
                path = output / "dl2" / dl2_name(index.files[0])
                try:
                    with dl2_file(index, path, experiment) as write:
                        write(baseline.reconstruct(index))
                except DataError as error:
                    skip(index.files[0], error, experiment, skipped)
                    continue
                files.append(path)
        if skipped and not files:
            raise none_usable(skipped)
        found = baseline.describe()
        evaluate(
            files,
            output,
            experiment.evaluation,
            [baseline_section(found), *selection_sections(learnt, tests, skipped)],
            [
                *shared_files(train_files, test_files),
                *repeated_events(learnt),
                *skipped_files("training", learnt.skipped),
                *skipped_files("test", skipped),
                *faulty_files("training", [learnt]),
                *faulty_files("test", tests),
            ],
        )
        return found


def _named(experiment: Experiment) -> Experiment:
    """The experiment with the baseline's name, unless it has one of its own."""
    if experiment.output.algorithm != OutputSettings().algorithm:
        return experiment
    named = experiment.output.model_copy(update={"algorithm": ALGORITHM})
    return experiment.model_copy(update={"output": named})
