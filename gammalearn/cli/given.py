"""What arguments of several commands stand for."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..settings import EvaluationSettings, Experiment
    from ..settings.surveys import SurveyExperiment

__all__ = [
    "any_experiment",
    "evaluation_settings",
    "experiment",
    "results_folder",
]


def experiment(arguments: argparse.Namespace) -> "Experiment":
    """The experiment of a settings file, with what ``--set`` changes."""
    from ..settings.reading import load_experiment, override

    return override(load_experiment(arguments.settings, arguments.imports), arguments.set)


def any_experiment(arguments: argparse.Namespace) -> "Experiment | SurveyExperiment":
    """The same, or the experiment of a survey."""
    from ..settings.reading import load_any_experiment, override

    return override(load_any_experiment(arguments.settings, arguments.imports), arguments.set)


def evaluation_settings(arguments: argparse.Namespace) -> "EvaluationSettings":
    """Settings of an evaluation alone."""
    from ..settings import Experiment
    from ..settings.reading import override

    return override(Experiment(), arguments.set).evaluation


def results_folder(arguments: argparse.Namespace) -> Path:
    """The output folder, which may not hold anything but results that are to be replaced."""
    from ..run.folder import check_folder

    output = Path(arguments.output)
    check_folder(output, arguments.overwrite)
    return output
