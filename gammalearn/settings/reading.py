"""Reading of settings: from files, from plain values and from ``--set`` on the command line.

An experiment is a Python file that defines ``experiment = Experiment(...)`` or a YAML file
with the same keys. Both load to the same object. A mistake is reported by its path.
"""

import difflib
import runpy
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic
import yaml

from ..errors import SettingsError
from ..io import plain_yaml
from . import Experiment, ObservationSettings, Settings, SimulationSettings, named_tasks
from .base import current_name
from .own_modules import check_named, failure, import_modules, importing_from, keep

if TYPE_CHECKING:
    # Read where there is one: it concerns few.
    from .surveys import SurveyExperiment

__all__ = [
    "alike",
    "assign",
    "check_settings_file",
    "in_words",
    "is_survey",
    "load_any_experiment",
    "load_experiment",
    "load_observation",
    "load_simulation",
    "mistakes",
    "override",
    "read_settings",
    "read_simulation",
    "read_yaml",
    "refuse_two_names",
]

AnySettings = TypeVar("AnySettings", bound=Settings)
AnyExperiment = TypeVar("AnyExperiment", bound="Experiment | SurveyExperiment")


def load_experiment(path: str | Path, imports: Sequence[str] = ()) -> Experiment:
    """Read an experiment from a Python or YAML settings file.

    A Python file is executed, and may import the Python files beside it; a YAML file only holds
    data.

    Parameters
    ----------
    path : str or Path
    imports : sequence of str
        Modules of the user's own, or their files, that are imported and added to those of the
        experiment. Those that a YAML file lists have to be among them.

    Raises
    ------
    SettingsError
        If the file is missing, does not define an experiment, or has a wrong key or value; or if a
        module cannot be imported.
    UnnamedModuleError
        If a YAML file lists modules that the user has not named.
    """
    experiment = load_any_experiment(path, imports)
    if not isinstance(experiment, Experiment):
        raise SettingsError(
            f"The settings file '{path}' is of the survey '{experiment.survey}', and this command "
            "is for telescopes; use run, sweep, predict, evaluate, compare or info."
        )
    return experiment


def load_any_experiment(
    path: str | Path, imports: Sequence[str] = ()
) -> "Experiment | SurveyExperiment":
    """Read an experiment with telescopes or of a survey, as `load_experiment` does.

    Parameters
    ----------
    path : str or Path
    imports : sequence of str

    Raises
    ------
    SettingsError
        As in `load_experiment`.
    UnnamedModuleError
    """
    path = check_settings_file(path)
    named = import_modules(imports)
    if path.suffix == ".py":
        experiment = _load_python(path)
    else:
        values = read_yaml(path)
        experiment = read_settings(_model_of(values, path), values, path)
        if isinstance(experiment, Experiment):
            check_named(experiment.imports, f"The settings file '{path}'")
    if not isinstance(experiment, Experiment):
        return experiment
    added = [name for name in named if name not in experiment.imports]
    return experiment.model_copy(update={"imports": [*experiment.imports, *added]})


def is_survey(experiment: object) -> bool:
    """Whether settings are those of a survey."""
    return isinstance(experiment, Settings) and "survey" in type(experiment).model_fields


def _model_of(values: Any, path: Path) -> "type[Experiment | SurveyExperiment]":
    """The settings that a file is of, by its ``survey``."""
    if not isinstance(values, dict) or "survey" not in values:
        return Experiment
    from .surveys import SURVEYS

    survey = values["survey"]
    if not isinstance(survey, str) or survey not in SURVEYS:
        raise SettingsError(
            f"Wrong settings ({path}): survey: expected {' or '.join(SURVEYS)}, got {survey!r}"
        )
    return SURVEYS[survey]


def check_settings_file(path: str | Path) -> Path:
    """Refuse what is no settings file by its name.

    Raises
    ------
    SettingsError
        If it is missing, a directory, or ends in something else than .py, .yaml or .yml.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise SettingsError(f"The settings file '{path}' {what}; give a .py or .yaml file.")
    if path.suffix not in {".py", ".yaml", ".yml"}:
        raise SettingsError(f"The settings file '{path}' must end in .py, .yaml or .yml.")
    return path


def load_simulation(path: str | Path) -> SimulationSettings:
    """Read the settings of a simulation from a YAML file.

    Without ``output`` in it, ``gamma.simulation.yaml`` stands for ``gamma.dl1.h5`` beside it.

    Raises
    ------
    SettingsError
        If the file is missing or has a wrong key or value.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise SettingsError(f"The settings file '{path}' {what}; give a .yaml file.")
    values = read_yaml(path)
    if isinstance(values, dict):
        name = path.stem.removesuffix(".simulation") + ".dl1.h5"
        values = {"output": path.with_name(name), **values}
    return read_simulation(values, path)


def load_observation(
    path: str | Path, changes: Mapping[str, Any] | None = None
) -> ObservationSettings:
    """Read the settings of an observation from a Python or YAML file.

    A Python file is executed and defines ``observation = ObservationSettings(...)``; a YAML file
    only holds data. Without ``output`` in it, ``crab.observation.yaml`` stands for ``crab.dl1.h5``
    beside it.

    Parameters
    ----------
    path : str or Path
    changes : mapping of str to object, optional
        Settings that take the place of those of the file.

    Raises
    ------
    SettingsError
        If the file is missing, does not define an observation, or has a wrong key or value.
    """
    path = check_settings_file(path)
    if path.suffix == ".py":
        with importing_from(path.parent):
            observation = _run_python(path).get("observation")
        if not isinstance(observation, ObservationSettings):
            raise SettingsError(
                f"The settings file '{path}' must define `observation = ObservationSettings(...)`."
            )
        values = observation.model_dump(mode="json")
    else:
        values = read_yaml(path)
        if isinstance(values, dict):
            name = path.stem.removesuffix(".observation") + ".dl1.h5"
            values = {"output": path.with_name(name), **values}
    if isinstance(values, dict):
        values = {**values, **(changes or {})}
    return read_settings(ObservationSettings, values, path)


def read_simulation(values: dict, source: str | Path) -> SimulationSettings:
    """The settings of a simulation from plain values.

    Parameters
    ----------
    values : dict
        By the names of the settings.
    source : str or Path
        Where they come from, for the error.

    Raises
    ------
    SettingsError
        If a key or value is wrong.
    """
    return read_settings(SimulationSettings, values, source)


def read_settings(model: type[AnySettings], values: Any, source: str | Path) -> AnySettings:
    """Settings of any kind from plain values.

    Parameters
    ----------
    model : type of Settings
    values : dict
        By the names of the settings.
    source : str or Path
        Where they come from, for the error.

    Raises
    ------
    SettingsError
        If a key or value is wrong.
    """
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise SettingsError(_explain(error, source)) from error


def override(experiment: AnyExperiment, assignments: list[str]) -> AnyExperiment:
    """A copy with ``a.b=value`` assignments applied, each value read as YAML.

    Raises
    ------
    SettingsError
        If an assignment has no ``=``, names no setting or gives a wrong value, or if a setting is
        given under two names.
    UnnamedModuleError
        If an assignment lists modules that the user has not named.
    """
    refuse_two_names(assignments)
    values = experiment.model_dump(mode="json")
    for assignment in assignments:
        assign(values, assignment)
    changed = read_settings(type(experiment), values, "--set")
    before = experiment.imports if isinstance(experiment, Experiment) else []
    if isinstance(changed, Experiment) and changed.imports != before:
        check_named(changed.imports, "--set imports")
    return changed


def assign(values: dict, assignment: str) -> None:
    """Apply an ``a.b=value`` assignment to the plain values of an experiment, in place.

    Raises
    ------
    SettingsError
        If it has no ``=``, its value is not YAML, or there is no place for it.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip():
        raise SettingsError(f"--set {assignment}: expected a.b=value")
    try:
        value = plain_yaml.load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {assignment}: the value is not YAML") from error
    *parents, last = current_name(path.strip()).split(".")
    node = values
    for parent in parents:
        if isinstance(node, list):
            node = node[int(parent)] if parent in map(str, range(len(node))) else None
            continue
        child = node.get(parent) if isinstance(node, dict) else None
        if child is None and isinstance(node, dict):
            child = node[parent] = {}
        node = child
    if not isinstance(node, dict):
        raise SettingsError(f"--set {assignment}: '{'.'.join(parents)}' has no settings")
    node[last] = value
    # A list of names has no place for the settings of a task, which the next may give.
    if "tasks" in values:
        values["tasks"] = named_tasks(values["tasks"])


def refuse_two_names(assignments: Sequence[str]) -> None:
    """Refuse assignments that give one setting under its name and an earlier one.

    Raises
    ------
    SettingsError
        If there are such.
    """
    given: dict[str, str] = {}
    for assignment in assignments:
        path = assignment.partition("=")[0].strip()
        name = current_name(path, warn=False)
        other = given.setdefault(name, path)
        if other != path:
            old = path if other == name else other
            raise SettingsError(
                f"{assignment}: {name} and {old} are two names of one setting; leave out "
                f"{old}, the earlier name."
            )


def read_yaml(path: Path) -> Any:
    """The plain values of a YAML file.

    Raises
    ------
    SettingsError
        If it is not YAML.
    """
    try:
        return plain_yaml.load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise SettingsError(f"The settings file '{path}' is not YAML{line}.") from error


def _load_python(path: Path) -> "Experiment | SurveyExperiment":
    folder = path.parent.resolve()
    with importing_from(folder):
        contents = _run_python(path)
        experiment = contents.get("experiment")
        if is_survey(experiment):
            return typing.cast("SurveyExperiment", experiment)
        if not isinstance(experiment, Experiment):
            raise SettingsError(
                f"The settings file '{path}' must define `experiment = Experiment(...)`."
            )
        keep(path.stem, contents)
        import_modules([name for name in experiment.imports if name != path.stem], folder)
    return experiment


def _run_python(path: Path) -> dict[str, Any]:
    """What a Python file of settings defines."""
    try:
        # Classes in it say by this name where they come from.
        return runpy.run_path(str(path), run_name=path.stem)
    except pydantic.ValidationError as error:
        raise SettingsError(_explain(error, path)) from error
    except (Exception, SystemExit) as error:
        raise SettingsError(
            f"The settings file '{path}' cannot be run: {failure(error, path.parent.resolve())}"
        ) from error


def _explain(error: pydantic.ValidationError, source: str | Path) -> str:
    return f"Wrong settings ({source}): {mistakes(error)}"


def mistakes(error: pydantic.ValidationError) -> str:
    """One sentence a mistake: where in the settings, what was expected, what was given."""
    found = (in_words(mistake, error.title) for mistake in error.errors(include_url=False))
    return "; ".join(dict.fromkeys(found))


def in_words(mistake: Mapping[str, Any], title: str) -> str:
    """A mistake in a sentence: where in the settings, what was expected, what was given.

    Parameters
    ----------
    mistake : mapping
        As pydantic has it.
    title : str
        Class of the settings.
    """
    where = ".".join(str(part) for part in mistake["loc"]) or title
    if mistake["type"] == "extra_forbidden":
        known = _known_keys(title, mistake["loc"][:-1])
        close = alike(str(mistake["loc"][-1]), known)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
        return f"{where}: no such setting; {hint}"
    if mistake["type"] == "missing":
        return f"{where}: is needed"
    message = mistake["msg"].removeprefix("Value error, ")
    value = mistake["input"]
    # A float of numpy's is a float to the reader.
    given = repr(float(value) if isinstance(value, float) else value)
    if len(given) > 60 or mistake["type"] == "value_error":
        return f"{where}: {message}"
    return f"{where}: {message}, got {given}"


def alike(given: str, known: Sequence[str]) -> list[str]:
    """Names like the given one in their letters, or of which it has the initials."""
    initials = [name for name in known if [word[0] for word in name.split("_")] == list(given)]
    return difflib.get_close_matches(given, known, n=1) or initials


def _models(base: type[Settings]) -> Iterator[type[Settings]]:
    """Settings of a kind, and of its kinds."""
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def _known_keys(title: str, path: tuple) -> list[str]:
    """Names of the settings at ``path`` below the model called ``title``."""
    models = {model.__name__: model for model in _models(Settings)}
    model = models.get(title)
    for part in path:
        if model is None or part not in model.model_fields:
            # A task's own name stands between `tasks` and its settings, a number in a list.
            continue
        annotation = model.model_fields[part].annotation
        # Lists and dictionaries of settings name theirs as an argument.
        inside = [annotation, *typing.get_args(annotation)]
        model = next((kind for kind in inside if kind in models.values()), None)
    return list(model.model_fields) if model else []
