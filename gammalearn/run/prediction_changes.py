"""What may be different at a prediction from the training of its network."""

from collections.abc import Iterator, Sequence

from ..errors import SettingsError
from ..settings import CutSettings, DataSettings, Experiment
from ..settings.reading import override

__all__ = ["changed_for_prediction", "selection_changes"]

#: Settings, and sections of them, that a prediction may change. All others decide what the network
#: is or what it sees.
CHANGEABLE = (
    "data.telescopes",
    "data.min_multiplicity",
    "data.cuts",
    "data.on_error",
    "data.cache_directory",
    "training.accelerator",
    "training.batch_size",
    "training.workers",
    "output",
)

#: Those of them that decide which events are reconstructed, and from which images.
SELECTION = ("data.telescopes", "data.min_multiplicity", "data.cuts")


def changed_for_prediction(experiment: Experiment, assignments: Sequence[str]) -> Experiment:
    """The settings of a training with what a prediction changes.

    Parameters
    ----------
    experiment : Experiment
        Of the training.
    assignments : sequence of str
        ``a.b=value``, as ``--set`` has them.

    Returns
    -------
    Experiment

    Raises
    ------
    SettingsError
        If an assignment is wrong, changes what the network was trained with, or loosens a cut.
    """
    changed = override(experiment, list(assignments))
    for name in _differences(experiment, changed):
        if not _is_in(name, CHANGEABLE):
            raise SettingsError(
                f"--set {name}: the network was trained with this setting, so that a prediction "
                f"cannot change it; it can change {', '.join(CHANGEABLE)}."
            )
    _check_selection(experiment.data, changed.data)
    return changed


def selection_changes(experiment: Experiment, changed: Experiment) -> str:
    """What is different in the selection of events, in words; empty where nothing is.

    Parameters
    ----------
    experiment, changed : Experiment
        Of the training and of the prediction.
    """
    before, after = _values(experiment), _values(changed)
    names = [name for name in _differences(experiment, changed) if _is_in(name, SELECTION)]
    return ", ".join(f"{name}={after.get(name)} in place of {before.get(name)}" for name in names)


def _check_selection(trained: DataSettings, wanted: DataSettings) -> None:
    """Refuse events of a kind that the network has not learnt from."""
    if wanted.min_multiplicity < trained.min_multiplicity:
        raise SettingsError(
            f"--set data.min_multiplicity={wanted.min_multiplicity}: the network was trained on "
            f"events of {trained.min_multiplicity} images or more; give {trained.min_multiplicity} "
            "or more."
        )
    missing = _cuts(trained.cuts) - _cuts(wanted.cuts)
    if missing:
        where, cut = min(missing)
        raise SettingsError(
            f"--set data.cuts.{where}: the cut '{cut}' of the training is missing; a prediction "
            "can add cuts, and cannot take any away."
        )


def _cuts(cuts: CutSettings) -> set[tuple[str, str]]:
    """Each cut with the setting that it stands in."""
    of_telescopes = {f"telescope.{name}": of_one for name, of_one in cuts.telescope.items()}
    lists = {"image": cuts.image, "event": cuts.event, **of_telescopes}
    return {(where, cut) for where, of_one in lists.items() for cut in of_one}


def _differences(experiment: Experiment, changed: Experiment) -> list[str]:
    """Names of the settings that differ, sorted."""
    before, after = _values(experiment), _values(changed)
    return sorted(name for name in before | after if before.get(name) != after.get(name))


def _values(experiment: Experiment) -> dict[str, object]:
    """All settings by their dotted names."""

    def flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                yield from flat(f"{prefix}.{key}" if prefix else str(key), item)
        else:
            yield prefix, value

    return dict(flat("", experiment.model_dump(mode="json")))


def _is_in(name: str, settings: Sequence[str]) -> bool:
    return any(name == known or name.startswith(f"{known}.") for known in settings)
