"""Physical quantities a network learns, one file each.

Every module of this package that defines a :class:`Task` is found by its name: a new quantity
is one new file here and one line in the settings.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from ..errors import SettingsError
from ..settings import TaskSettings
from ..settings.tasks import ADAPTATIONS, WITHOUT_LABELS, quantities
from .base import Columns, Task
from .event_classes import EventClasses
from .regression import Regression

__all__ = [
    "Columns",
    "EventClasses",
    "Regression",
    "Task",
    "available_tasks",
    "build_tasks",
    "modules_of",
]


def available_tasks() -> dict[str, type[Task]]:
    """All tasks by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {task.name: task for task in _subclasses() if "name" in vars(task)}


def _subclasses() -> Iterator[type[Task]]:
    """Those of `Task`, and theirs, the newest last: a class that is defined again counts."""
    found = Task.__subclasses__()
    while found:
        task = found.pop(0)
        found += task.__subclasses__()
        yield task


def build_tasks(settings: Mapping[str, TaskSettings]) -> dict[str, Task]:
    """The quantities that the settings name, without adaptations and tasks without labels.

    Parameters
    ----------
    settings : mapping of str to gammalearn.settings.TaskSettings

    Raises
    ------
    SettingsError
        If there is no task of a name, or it does not know a setting.
    """
    known = available_tasks()
    names = quantities(settings)
    for name in names:
        if name not in known:
            others = [*known, *ADAPTATIONS, *WITHOUT_LABELS]
            close = difflib.get_close_matches(name, others, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise SettingsError(
                f"tasks.{name}: there is no such task; {hint}"
                f"known tasks: {', '.join(sorted(others))}. One of your own needs its module in "
                "imports."
            )
        _check_options(name, known[name], settings[name])
    return {name: known[name](settings[name]) for name in names}


def modules_of(tasks: Mapping[str, Task]) -> list[str]:
    """Modules of the user's own that tasks are of, but for those of a notebook or script.

    Parameters
    ----------
    tasks : mapping of str to Task
    """
    modules = {type(task).__module__ for task in tasks.values()}
    ours = __name__.partition(".")[0]
    return sorted(name for name in modules if name.partition(".")[0] not in (ours, "__main__"))


def _check_options(name: str, task: type[Task], settings: TaskSettings) -> None:
    """Refuse what was set but this task does not know."""
    if settings.weight == 0:
        raise SettingsError(
            f"tasks.{name}.weight=0 would teach this task nothing; give a larger weight, or leave "
            "the task out."
        )
    for option, field in type(settings).model_fields.items():
        known = option in ("weight", "particles", *task.options)
        if not known and getattr(settings, option) != field.default:
            raise SettingsError(
                f"tasks.{name}.{option}={getattr(settings, option)}: this task has no such "
                "setting; leave it out."
            )
