"""The page of the study, made of all runs, of some more runs, or its learning curve alone."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from study_page import compose
from study_results import (
    BASELINE,
    HILLAS,
    TRUE_GEOMETRY,
    Pictures,
    compare_contenders,
    learning_curves,
    sensitivities,
)

from gammalearn.errors import EvaluationError
from gammalearn.evaluation.report.provenance import versions
from gammalearn.evaluation.report.results import write_numbers
from gammalearn.io.writing import write_whole
from gammalearn.plotting.style import picture_style

__all__ = ["add_to_page", "make_learning_curve", "make_page"]


def make_page(
    trainings: Sequence, curve: Mapping[str, Sequence], output: Path, about: Mapping[str, str]
) -> Path:
    """Write the page, its numbers and its pictures.

    Parameters
    ----------
    trainings : sequence of study.Training
        All contenders; those that are not complete are named as such.
    curve : mapping of str to sequence of study.Training
        Points of the learning curves, by contender.
    output : Path
        Gets ``stereo_vs_mono.md``, ``study.json`` and the folder ``study``.
    about : mapping
        ``size``, ``command`` and ``machine``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    EvaluationError
        If fewer than two contenders are complete.
    """
    _complete(trainings)
    pictures = Pictures(output / "study")
    numbers = _numbers(trainings, curve, pictures, about)
    pictures.remove_others()
    return _write(numbers, output)


def add_to_page(
    trainings: Sequence, curve: Mapping[str, Sequence], output: Path, about: Mapping[str, str]
) -> Path:
    """Add to the page the contenders that it lacks, beside those whose runs are no longer there.

    What the page says of others stays, as do its pictures. The parameters are those of
    :func:`make_page`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    EvaluationError
        If fewer than two contenders are complete, or one that the page has gives other values now.
    """
    there = json.loads((output / "study.json").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as elsewhere:
        found = _numbers(trainings, curve, Pictures(Path(elsewhere)), about)
        # As it comes out of a file, where all keys are text.
        write_numbers(found, Path(elsewhere) / "study.json")
        found = json.loads((Path(elsewhere) / "study.json").read_text("utf-8"))
    added = [
        name
        for name, described in found["contenders"].items()
        if described["state"] == "complete" and there["contenders"][name]["state"] != "complete"
    ]
    for quantity, figures in found["totals"].items():
        for label, figure in figures.items():
            before = there["totals"][quantity].get(label)
            if before and not np.isclose(before["value"], figure["value"], rtol=2e-3, atol=2e-3):
                raise EvaluationError(
                    f"{label} has the {quantity} {figure['value']:.5g} in these runs and "
                    f"{before['value']:.5g} on the page: these are other events or networks; make "
                    "the whole page again, without --add."
                )
    there["contenders"] = {
        name: described if name in added else there["contenders"][name]
        for name, described in found["contenders"].items()
    }
    numbers = _merged(there, found)
    numbers["added"] = [*there.get("added", ()), {**about, "contenders": added}]
    return _write(numbers, output)


def make_learning_curve(
    trainings: Sequence, curve: Mapping[str, Sequence], output: Path, about: Mapping[str, str]
) -> Path:
    """Make the learning curve of the page anew, and leave all else as it is.

    The parameters are those of :func:`make_page`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    EvaluationError
        If no run with a part of the events is complete.
    """
    complete = [training for training in trainings if training.state == "complete"]
    with picture_style():
        found = learning_curves(complete, curve, Pictures(output / "study"))
    if not found:
        raise EvaluationError(
            f"No run with a part of the events is complete in '{trainings[0].output.parent}'; "
            "run the study with --learning-curve first."
        )
    numbers = json.loads((output / "study.json").read_text("utf-8"))
    numbers["learning_curve"] = found
    numbers["learning_curve_made"] = {**about, "versions": versions()}
    return _write(numbers, output)


def _merged(there: Mapping, found: Mapping) -> dict:
    """What is there, and what it lacks."""
    return {
        **{
            name: _merged(value, found[name])
            if isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
            else value
            for name, value in there.items()
        },
        **{name: value for name, value in found.items() if name not in there},
    }


def _complete(trainings: Sequence) -> list:
    complete = [training for training in trainings if training.state == "complete"]
    if len(complete) < 2:
        raise EvaluationError(
            f"The page compares two contenders at least, and {len(complete)} of {len(trainings)} "
            f"are complete in '{trainings[0].output.parent}'; run the study first."
        )
    return complete


def _numbers(
    trainings: Sequence, curve: Mapping[str, Sequence], pictures: Pictures, about: Mapping
) -> dict:
    complete = _complete(trainings)
    with picture_style():
        return {
            **about,
            "versions": versions(),
            "contenders": {training.name: _describe(training) for training in trainings},
            **compare_contenders(complete, pictures),
            "sensitivity": sensitivities(complete, pictures),
            "learning_curve": learning_curves(complete, curve, pictures),
        }


def _write(numbers: Mapping, output: Path) -> Path:
    numbers = write_numbers(numbers, output / "study.json")
    path = output / "stereo_vs_mono.md"
    text = "\n\n".join(compose(numbers)) + "\n"
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
    return path


def _describe(training) -> dict:
    settings = training.experiment_of_run.training
    learnt = {"seed": settings.seed, "epochs": settings.epochs}
    if training.name in (BASELINE, TRUE_GEOMETRY):
        del learnt["epochs"]
    return {
        "description": training.description,
        "state": training.state,
        **({} if training.name == HILLAS else learnt),
        **training.record,
    }
