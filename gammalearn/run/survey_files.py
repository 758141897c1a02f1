"""What files of surveys hold, in a few lines: catalogues, tables of predictions, networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import GammaLearnError
from ..surveys.kinds import survey_of
from ..surveys.predictions import read_predictions
from ..surveys.readers import read_objects
from ..surveys.recognition import TABLES, is_survey_checkpoint
from ..surveys.supernovae.types import class_of, counted_types

__all__ = ["describe_survey_files"]


def describe_survey_files(paths: Sequence[Path]) -> tuple[str, list[GammaLearnError]]:
    """Say what each file holds.

    Returns
    -------
    text : str
        Of the files that can be described.
    errors : list of GammaLearnError
        What is wrong with others.
    """
    texts: list[str] = []
    errors: list[GammaLearnError] = []
    for path in paths:
        try:
            title, values = _described(path)
            width = max(map(len, values))
            lines = [f"  {name:{width}}  {value}" for name, value in values.items()]
            texts.append("\n".join([f"{path}: {title}", *lines]))
        except GammaLearnError as error:
            errors.append(error)
    return "\n".join(texts), errors


def _described(path: Path) -> tuple[str, dict[str, object]]:
    if is_survey_checkpoint(path):
        return _network(path)
    if path.suffix in TABLES and "_HEAD" not in path.name.upper():
        return _predictions(path)
    return _catalogue(path)


def _network(path: Path) -> tuple[str, dict[str, object]]:
    # torch takes seconds to import, which no other file needs.
    from ..surveys.checkpoint import load_survey_network

    trained = load_survey_network(path)
    experiment, learned = trained.experiment, trained.trained_on
    number = sum(parameter.numel() for parameter in trained.network.parameters())
    return f"checkpoint of GammaLearn {trained.versions['gammalearn']}", {
        "survey": experiment.survey,
        "network": f"{number} parameters",
        "bands": ", ".join(trained.seen["bands"]),
        "epochs": trained.epoch,
        "trained on": f"{_counted(learned.events)} of {len(learned.files)} file(s)",
        **survey_of(experiment.survey).describe_network(trained),
        "seed": experiment.training.seed,
    }


def _predictions(path: Path) -> tuple[str, dict[str, object]]:
    survey, table = read_predictions(path)
    values: dict[str, object] = {"objects": len(table), **survey.describe_table(table)}
    if "checkpoint" in table.meta:
        values["checkpoint"] = table.meta["checkpoint"]
    return survey.result, values


def _catalogue(path: Path) -> tuple[str, dict[str, object]]:
    catalogue = read_objects([path])
    number = np.diff(catalogue.start)
    values: dict[str, object] = {
        "objects": len(catalogue),
        "with a spectrum": int(np.sum(catalogue.objects["confirmed"])),
        "types": counted_types(class_of(catalogue.objects["type"])),
        "bands": ", ".join(catalogue.bands),
        "observations": f"{len(catalogue.time)}, {np.median(number) if len(number) else 0:g} "
        "of an object (median)",
    }
    if catalogue.cutouts is not None:
        values["cut-outs"] = " x ".join(map(str, catalogue.cutouts.shape[1:]))
    values |= {
        f"note {n}": f"{k} {what}" for n, (what, k) in enumerate(catalogue.faults.items(), 1)
    }
    return f"catalogue of {catalogue.survey or 'a survey'}", values


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items())
