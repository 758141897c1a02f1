"""Adaptation: tasks that make unlabelled events look like the training events to the network.

They compare the embeddings of both, that is what the heads see of each event after the fusion. They
have no truth, no head in the network, no columns in DL2 files and no evaluation.
"""

from collections.abc import Mapping

from ...errors import SettingsError
from ...settings import TaskSettings
from ..base import Task
from .base import Adaptation, EventSet, class_probabilities
from .coral import CoralTask
from .deepjdot import DeepJdotTask
from .distance import proxy_a_distance
from .domain import DomainTask
from .mmd import MmdTask

__all__ = [
    "ADAPTATION_TASKS",
    "Adaptation",
    "EventSet",
    "build_adaptations",
    "class_probabilities",
    "proxy_a_distance",
]

#: The adaptations by name.
ADAPTATION_TASKS: dict[str, type[Adaptation]] = {
    task.name: task for task in (DomainTask, CoralTask, MmdTask, DeepJdotTask)
}


def build_adaptations(
    settings: Mapping[str, TaskSettings], n_features: int, tasks: Mapping[str, Task]
) -> dict[str, Adaptation]:
    """The adaptations among the tasks that the settings name.

    Parameters
    ----------
    settings : mapping of str to gammalearn.settings.TaskSettings
        Of all tasks.
    n_features : int
        Features of the embedding of an event.
    tasks : mapping of str to gammalearn.tasks.Task
        What the network reconstructs.

    Raises
    ------
    SettingsError
        If an adaptation does not have a setting.
    MissingPackageError
        If a package is not installed.
    """
    known = {name: s for name, s in settings.items() if name in ADAPTATION_TASKS}
    for name, of_task in known.items():
        _check_options(name, of_task)
    return {
        name: ADAPTATION_TASKS[name](of_task, n_features, tasks) for name, of_task in known.items()
    }


def _check_options(name: str, settings: TaskSettings) -> None:
    """Refuse what was set but this adaptation does not know."""
    options = ("weight", "schedule", "schedule_epochs", *ADAPTATION_TASKS[name].options)
    for option, field in type(settings).model_fields.items():
        if option not in options and getattr(settings, option) != field.default:
            raise SettingsError(
                f"tasks.{name}.{option}={getattr(settings, option)}: this task has no such "
                "setting; leave it out."
            )
