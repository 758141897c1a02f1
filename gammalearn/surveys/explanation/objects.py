"""What a network's result of an object comes from: pixels or observations."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import SettingsError
from ...inspection.attribution import AT_A_TIME, shares_of_inputs
from ..catalogue import Catalogue
from ..checkpoint import TrainedSurveyNetwork
from ..kinds import survey_of

__all__ = ["STEPS", "ObjectExplanation", "explain_object"]

#: Points of the integral, and the power of equal ones that they are.
STEPS, POWER = 256, 3


@dataclass(frozen=True)
class ObjectExplanation:
    """What a result of an object comes from.

    Attributes
    ----------
    object_id : str
    task : str
    explained_as : str
        The number that is explained, in words.
    value : float
        That number.
    without_light : float
        The same with all fluxes zero. Times, errors, redshift and dust stay as they are.
    views : Views
        What the network sees of the object.
    shares : ndarray
        Integrated gradients of each flux, of the shape of the object's fluxes.
    changes : ndarray
        By how much the number is larger with a flux than without it; NaN where it was not tried.
    """

    object_id: str
    task: str
    explained_as: str
    value: float
    without_light: float
    views: Any
    shares: np.ndarray
    changes: np.ndarray

    @property
    def unexplained(self) -> float:
        """What the integrated gradients miss of the difference that they share."""
        return self.value - self.without_light - float(self.shares.sum())

    @property
    def title(self) -> str:
        """The numbers in words."""
        return (
            f"{self.object_id}: {self.explained_as} {self.value:.3g}, without light "
            f"{self.without_light:.3g} (gradients miss {self.unexplained:.2g})"
        )


def explain_object(
    trained: TrainedSurveyNetwork,
    catalogue: Catalogue,
    object_id: str,
    task: str | None = None,
    steps: int = STEPS,
) -> ObjectExplanation:
    """Explain what a network says of an object.

    Parameters
    ----------
    trained : TrainedSurveyNetwork
    catalogue : Catalogue
    object_id : str
    task : str, optional
        What to explain, by default the first that the network has.
    steps : int
        Points of the integral of the gradients.

    Raises
    ------
    SettingsError
        If there is no such object or no such task.
    InputFileError
        If the object is not of the kind that the network was made for.
    """
    survey = survey_of(trained.experiment.survey)
    names = np.asarray(catalogue.objects["object_id"]).astype(str)
    (rows,) = np.nonzero(names == object_id)
    if not len(rows):
        known = ", ".join(names[:3]) if len(names) else "none"
        raise SettingsError(
            f"No object_id of the {survey.objects} in the files is '{object_id}'; the first ones "
            f"are: {known}."
        )
    views, _ = survey.views(trained, catalogue.select(rows), f"The object '{object_id}'")
    (kind, view), *_ = views.items()
    network = trained.network
    with torch.inference_mode():
        outputs = network(views, 1)
    tasks = {n: one for n, one in survey.tasks(trained.experiment).items() if n in outputs}
    if task is not None and task not in tasks:
        raise SettingsError(
            f"The network does not predict '{task}'; choose from {', '.join(tasks)}."
        )
    explained = tasks[task or next(iter(tasks))]

    def score(of: Any) -> Tensor:
        return explained.explained(network({kind: of}, len(of.event))[explained.name])

    def of_copies(fluxes: list[Tensor]) -> Tensor:
        return score(copies_of(view, fluxes[0].flatten(0, 1)))

    (shares,) = shares_of_inputs(of_copies, [view.flux], steps, POWER)
    with torch.inference_mode():
        value = float(score(view))
        without_light = float(score(copies_of(view, torch.zeros_like(view.flux))))
        changes = np.full(view.flux.shape[1:], np.nan, dtype=np.float32)
        for masks in np.array_split(patches := survey.patches(view), -(-len(patches) // AT_A_TIME)):
            whole = copies_of(view, view.flux.expand(len(masks), *view.flux.shape[1:]))
            found = score(survey.without(whole, torch.from_numpy(masks)))
            for mask, result in zip(masks, found, strict=True):
                changes[mask] = value - float(result)
    return ObjectExplanation(
        object_id,
        explained.name,
        explained.explained_as,
        value,
        without_light,
        view,
        shares[0],
        changes,
    )


def copies_of(view: Any, flux: Tensor) -> Any:
    """What a network sees of so many objects that differ in their fluxes alone."""
    number = len(flux)
    copies = view.map(lambda tensor: tensor.expand(number, *tensor.shape[1:]))
    return replace(copies, flux=flux, event=torch.arange(number))
