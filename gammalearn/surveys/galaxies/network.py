"""What networks on one cut-out of each object have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from ...nn.network import Estimates
from .views import VIEWS, Images

__all__ = ["GROUPS", "OfCutouts"]

#: Groups of the normalisation.
GROUPS = 4


class OfCutouts(nn.Module, ABC):
    """A network whose outputs are those of an embedding of each cut-out."""

    heads: nn.ModuleDict
    """By task."""

    @property
    def n_pixels(self) -> dict[str, int]:
        """Nothing: all batches have cut-outs of one size."""
        return {}

    @abstractmethod
    def embed(self, images: Images) -> Tensor:
        """Embedding of each cut-out, shape (n, n_features)."""

    @abstractmethod
    def outputs(self, embedding: Tensor) -> dict[str, Tensor]:
        """Outputs by task, shape (n, n_outputs)."""

    def forward(self, views: Mapping[str, Images], _n_events: int) -> dict[str, Tensor]:
        """Outputs by task, shape (n_events, n_outputs)."""
        return self.outputs(self.embed(views[VIEWS]))

    def estimates(
        self, views: Mapping[str, Images], n_events: int, _counted: Tensor | None = None
    ) -> Estimates:
        """Outputs of all tasks; an object has one cut-out, so that they are those of images too."""
        images = views[VIEWS]
        embedding = self.embed(images)
        outputs = self.outputs(embedding)
        return Estimates(outputs, outputs, images.event, embedding, embedding)
