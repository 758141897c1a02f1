"""Learning without labels: tasks that need no truth, so that any events can teach the encoders.

Alone they are a pre-training, whose checkpoint a training with labels begins with
(``training.initial``). Beside other tasks they add to the loss, with unlabelled events too.
"""

from collections.abc import Mapping

from ...errors import SettingsError
from ...settings import TaskSettings
from ...settings.tasks import WITHOUT_LABELS
from .base import ImageNetwork, SeenImages, WithoutLabels
from .contrast import ContrastTask
from .reconstruction import ReconstructionTask, decoded_channels

__all__ = [
    "ImageNetwork",
    "ReconstructionTask",
    "SeenImages",
    "WithoutLabels",
    "build_without_labels",
    "check_without_labels",
    "decoded_channels",
]

#: The tasks by name.
TASKS: dict[str, type[WithoutLabels]] = {
    task.name: task for task in (ReconstructionTask, ContrastTask)
}


def build_without_labels(
    settings: Mapping[str, TaskSettings], images: SeenImages
) -> dict[str, WithoutLabels]:
    """The tasks without labels that the settings name.

    Parameters
    ----------
    settings : mapping of str to gammalearn.settings.TaskSettings
        Of all tasks.
    images : SeenImages

    Raises
    ------
    SettingsError
        If a task does not have a setting.
    """
    check_without_labels(settings)
    return {
        name: TASKS[name](of_task, images)
        for name, of_task in settings.items()
        if name in WITHOUT_LABELS
    }


def check_without_labels(settings: Mapping[str, TaskSettings]) -> None:
    """Refuse what was set but a task without labels does not know.

    Raises
    ------
    SettingsError
    """
    for name, of_task in settings.items():
        if name not in WITHOUT_LABELS:
            continue
        known = ("weight", *TASKS[name].options)
        for option, field in type(of_task).model_fields.items():
            if option not in known and getattr(of_task, option) != field.default:
                raise SettingsError(
                    f"tasks.{name}.{option}={getattr(of_task, option)}: this task has no such "
                    "setting; leave it out."
                )
