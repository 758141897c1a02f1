"""CORAL: the embeddings of both kinds of events get the same covariance."""

from torch import Tensor

from .base import Adaptation, EventSet

__all__ = ["CoralTask", "coral_loss"]


def _covariance(x: Tensor) -> Tensor:
    x = x - x.mean(dim=0)
    return x.T @ x / max(len(x) - 1, 1)


def coral_loss(a: Tensor, b: Tensor) -> Tensor:
    """Squared Frobenius norm of the covariances' difference, over 4d² (Sun & Saenko 2016, eq. 1).

    Parameters
    ----------
    a, b : Tensor, shape (n, d) and (m, d)

    Returns
    -------
    Tensor, shape ()
    """
    return (_covariance(a) - _covariance(b)).square().sum() / (4 * a.shape[1] ** 2)


class CoralTask(Adaptation):
    """Correlation alignment (Sun & Saenko 2016): see `coral_loss`."""

    name = "coral"
    options = ("conditional",)

    def forward(
        self, labelled: EventSet, unlabelled: EventSet, strength: float
    ) -> tuple[Tensor, Tensor]:
        loss = coral_loss(self.features(labelled), self.features(unlabelled))
        return strength * loss, loss
