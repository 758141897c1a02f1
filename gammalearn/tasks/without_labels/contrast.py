"""Contrast: two views of one event belong together, those of different events do not."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...data import Batch, EventRotations
from ...settings import TaskSettings
from .base import Embedded, ImageNetwork, Losses, SeenImages, WithoutLabels, mean_of_events
from .masks import PatchMasks

__all__ = ["ContrastTask", "info_nce"]


def info_nce(features: Tensor, event: Tensor, temperature: float) -> Losses:
    """InfoNCE of views (van den Oord et al. 2018), with all views of an event as positives.

    The loss of a view is the mean, over the other views of its event, of −log of the probability
    that the softmax of the cosines over the temperature gives to that view among all others (Khosla
    et al. 2020, eq. 2; with two views an event, SimCLR's, Chen et al. 2020).

    Parameters
    ----------
    features : Tensor, shape (n_views, n_features)
    event : Tensor of int64, shape (n_views,)
        Of each view.
    temperature : float

    Returns
    -------
    losses : Tensor, shape (n_views,)
        0 for views that are the only one of their event.
    has_one : Tensor of bool, shape (n_views,)
    """
    unit = normalize(features, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    # A finite number, or the gradient of a view that is alone would not be one.
    cosines = (unit @ unit.T / temperature).masked_fill(itself, -1e9)
    together = (event.unsqueeze(1) == event) & ~itself
    n_others = together.sum(dim=1)
    surprise = -(cosines.log_softmax(dim=1) * together).sum(dim=1)
    return surprise / n_others.clamp(min=1), n_others > 0


class ContrastTask(WithoutLabels):
    """Contrastive learning (SimCLR): the views of one event are alike, see `info_nce`.

    With ``views="turns"`` the views are an event and the same event turned by a random angle that
    its cameras allow, some patches of whose images are hidden: else the noise of the pixels would
    give it away. With ``"telescopes"`` they are the images of its telescopes. What is compared is a
    small network's output for the embedding, so that the embedding itself may know the angle.
    """

    name = "contrast"
    options = ("masked", "views", "temperature")
    uses_embedding = True

    def __init__(self, settings: TaskSettings, images: SeenImages):
        super().__init__(settings, images)
        self.temperature, self.of_telescopes = settings.temperature, settings.views == "telescopes"
        n = images.n_features
        self.project = nn.Sequential(nn.LayerNorm(n), nn.Linear(n, n), nn.GELU(), nn.Linear(n, n))
        self.masks = PatchMasks(images.cameras, settings.masked)
        self.rotations = EventRotations(list(images.cameras))

    def losses(self, network: ImageNetwork, batch: Batch, seen: Embedded) -> Losses:
        if self.of_telescopes:
            return self._of_telescopes(batch, seen)
        n_turns = len(self.rotations.angles)
        # Not as it is, if there is another way.
        turn = torch.randint(min(1, n_turns - 1), n_turns, (batch.n_events,))
        turned = self._turned(batch, turn.to(batch.index.device))
        return self._of_turns(network, batch, seen, turned, self.masks.random(turned.images))

    def steady_losses(self, network: ImageNetwork, batch: Batch, seen: Embedded) -> Losses:
        if self.of_telescopes:
            return self._of_telescopes(batch, seen)
        turned = self._turned(batch, batch.index % len(self.rotations.angles))
        return self._of_turns(network, batch, seen, turned, self.masks.steady(turned.images, 0))

    def _turned(self, batch: Batch, number: Tensor) -> Batch:
        return self.rotations.rotated(replace(batch, targets={}), number, {})

    def _of_turns(
        self,
        network: ImageNetwork,
        batch: Batch,
        seen: Embedded,
        turned: Batch,
        hidden: dict[str, Tensor],
    ) -> Losses:
        images = {
            name: replace(camera, pixels=camera.pixels.masked_fill(hidden[name].unsqueeze(1), 0))
            for name, camera in turned.images.items()
        }
        other = network.estimates(images, batch.n_events)
        n_events = batch.n_events
        event = torch.arange(n_events, device=batch.index.device).repeat(2)
        both = self.project(torch.cat([seen.embedding, other.embedding]).float())
        losses, known = info_nce(both, event, self.temperature)
        return mean_of_events(losses, event, n_events), known[:n_events]

    def _of_telescopes(self, batch: Batch, seen: Embedded) -> Losses:
        losses, _ = info_nce(self.project(seen.seen.float()), seen.event, self.temperature)
        n_views = torch.bincount(seen.event, minlength=batch.n_events)
        return mean_of_events(losses, seen.event, batch.n_events), n_views > 1
