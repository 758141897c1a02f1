"""Reading of settings past what is wrong with them, to tell all mistakes and not the first alone.

A wrong setting is noted and left at its default, so that those after it are read too.
"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from ..errors import GammaLearnError, SettingsError
from . import Experiment, Settings, SimulationSettings
from .own_modules import check_named, import_modules
from .reading import (
    alike,
    assign,
    check_settings_file,
    in_words,
    load_experiment,
    override,
    read_yaml,
    refuse_two_names,
)

__all__ = ["Reading", "read_past_mistakes"]

#: What stands for all settings where a mistake is not of a single section.
EVERYTHING = frozenset(Experiment.model_fields)

#: Sections of the classes that a Python file makes settings of.
SECTIONS = {
    "AugmentationSettings": "data",
    "CleaningSettings": "data",
    "CutSettings": "data",
    "DataSettings": "data",
    "EvaluationSettings": "evaluation",
    "NetworkSettings": "network",
    "OutputSettings": "output",
    "SimulationSettings": "simulation",
    "TaskSettings": "tasks",
    "TrainingSettings": "training",
    "WeightSettings": "data",
}


@dataclass
class Reading:
    """What was read of an experiment.

    Attributes
    ----------
    experiment : Experiment or None
        With the default in the place of each wrong setting; None where there is nothing to go on
        with.
    errors : list of GammaLearnError
        One for each mistake.
    wrong : set of str
        Sections that have a mistake, such as ``training``.
    replaced : set of str
        Names of the settings that have a mistake.
    """

    experiment: Experiment | None = None
    errors: list[GammaLearnError] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)

    def note(self, error: pydantic.ValidationError, source: str | Path) -> None:
        """Note the mistakes of an error."""
        of_class = "" if error.title == Experiment.__name__ else f"{error.title}."
        replaced = set(self.replaced)
        for mistake in error.errors(include_url=False):
            sentence, place = in_words(mistake, error.title), mistake["loc"]
            self.replaced |= {str(part) for part in place[-1:]}
            if error.title in SECTIONS:
                self.wrong.add(SECTIONS[error.title])
            else:
                self.wrong |= _sections(str(place[0])) if place else EVERYTHING
            named = set(re.findall(r"\w+", mistake["msg"]))
            if mistake["type"] == "value_error" and replaced & named:
                # Settings contradict what stands in the place of a wrong one.
                continue
            prefix = of_class if place else ""
            self.errors.append(SettingsError(f"Wrong settings ({source}): {prefix}{sentence}"))


def _sections(name: str) -> set[str]:
    """The section of a name, or that which a name that there is not may have been meant for."""
    return {name} if name in EVERYTHING else set(alike(name, list(EVERYTHING)))


def read_past_mistakes(
    path: str | Path, imports: Sequence[str] = (), assignments: Sequence[str] = ()
) -> Reading:
    """Read an experiment, see :func:`gammalearn.settings.reading.load_experiment` and ``override``.

    Parameters
    ----------
    path : str or Path
    imports : sequence of str
        Modules of the user's own.
    assignments : sequence of str
        Changes of settings, ``a.b=value``.

    Raises
    ------
    SettingsError
        If there is no such file.
    """
    path = check_settings_file(path)
    reading = Reading()
    try:
        if path.suffix == ".py":
            with _noting(reading, path):
                reading.experiment = load_experiment(path, imports)
        else:
            named = import_modules(imports)
            values = read_yaml(path)
            experiment = _validated(values, path, reading)
            check_named(experiment.imports, f"The settings file '{path}'")
            reading.experiment = experiment.model_copy(
                update={"imports": [*dict.fromkeys([*experiment.imports, *named])]}
            )
        if reading.experiment is not None:
            reading.experiment = _with_all(reading.experiment, assignments, reading)
    except GammaLearnError as error:
        reading.errors.append(error)
        reading.experiment = None
    return reading


def _with_all(experiment: Experiment, assignments: Sequence[str], reading: Reading) -> Experiment:
    """The experiment with the assignments that can be applied, the mistakes of others noted."""
    values = experiment.model_dump(mode="json")
    usable = []
    try:
        refuse_two_names(assignments)
    except SettingsError as error:
        reading.errors.append(error)
    for assignment in assignments:
        try:
            assign(values, assignment)
            usable.append(assignment)
        except SettingsError as error:
            reading.errors.append(error)
            reading.wrong |= _sections(assignment.partition("=")[0].partition(".")[0].strip())
    try:
        return override(experiment, usable)
    except SettingsError:
        return _validated(values, "--set", reading)


def _validated(values: Any, source: str | Path, reading: Reading) -> Experiment:
    """An experiment of plain values, its mistakes noted."""
    while True:
        try:
            return Experiment.model_validate(values)
        except pydantic.ValidationError as error:
            reading.note(error, source)
            values = _without_mistakes(values, error)


@contextmanager
def _noting(reading: Reading, path: Path) -> Iterator[None]:
    """Let a Python file that makes settings go on after a mistake."""
    make = pydantic.BaseModel.__init__

    def make_what_can_be(self: pydantic.BaseModel, /, **values: Any) -> None:
        while True:
            try:
                make(self, **values)
                return
            except pydantic.ValidationError as error:
                reading.note(error, path)
                if isinstance(self, SimulationSettings):
                    # There is no default for what is to be simulated.
                    number = len(reading.errors)
                    values = {"output": f"none_{number}.h5", "seed": number, "energy": (1, 2)}
                    values |= {"particle": "gamma", "n_showers": 1}
                else:
                    values = _without_mistakes(values, error)

    Settings.__init__ = make_what_can_be  # type: ignore[assignment, method-assign]  # in this context
    try:
        yield
    finally:
        del Settings.__init__


def _without_mistakes(values: Any, error: pydantic.ValidationError) -> dict:
    """The values without those that are wrong, as far as they can be told from others."""
    given = dict(values) if isinstance(values, Mapping) else {}
    remaining: dict[str, Any] = copy.deepcopy(given)
    for mistake in error.errors(include_url=False):
        _remove(remaining, [str(part) for part in mistake["loc"]])
    if remaining == values:
        # Values that contradict each other are of no single setting.
        kept = ("imports", "data") if error.title == Experiment.__name__ else ()
        remaining = {name: given[name] for name in kept if name in given}
    return remaining if remaining != values else {}


def _remove(values: dict, place: Sequence[str]) -> None:
    """Remove the deepest value of a place that has a name, not a number in a list."""
    for depth, name in enumerate(place):
        name = _as_given(name, values)
        child, rest = values.get(name), place[depth + 1 :]
        if not (isinstance(child, dict) and rest and _as_given(rest[0], child) in child):
            values.pop(name, None)
            return
        values = child


def _as_given(key: str, values: Mapping) -> str:
    """The name under which a setting is among values, which may be an earlier one."""
    kinds = Settings.__subclasses__()
    return next((given for given in values if key in {k.current_key(given) for k in kinds}), key)
