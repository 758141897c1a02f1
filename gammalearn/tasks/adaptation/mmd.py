"""MMD: the embeddings of both kinds of events get the same distribution."""

import torch
from torch import Tensor

from .base import Adaptation, EventSet

__all__ = ["MmdTask", "mmd_loss"]

#: Widths of the kernels, relative to the mean squared distance of two events.
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def _squared_distances(x: Tensor) -> Tensor:
    # Relative to the mean, or rounding would count where all are far from 0.
    x = x - x.mean(dim=0).detach()
    squares = x.square().sum(dim=1)
    return (squares.unsqueeze(1) + squares - 2 * x @ x.T).clamp(min=0)


def mmd_loss(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy with Gaussian kernels (Gretton et al. 2012, eq. 5).

    The kernel is the mean of exp(−|x − y|² / (w s)) over the `WIDTHS` w, where s is the mean of
    |x − y|² over all pairs of different events of both sets, without a gradient (Long et al. 2015).
    The estimate is the biased one, which is 0 for identical sets and never negative.

    Parameters
    ----------
    a, b : Tensor, shape (n, d) and (m, d)

    Returns
    -------
    Tensor, shape ()
    """
    both = torch.cat([a, b])
    squared = _squared_distances(both)
    n_pairs = max(len(both) * (len(both) - 1), 1)
    scale = (squared.detach().sum() / n_pairs).clamp(min=torch.finfo(squared.dtype).tiny)
    kernel = torch.stack([torch.exp(-squared / (width * scale)) for width in WIDTHS]).mean(dim=0)
    n = len(a)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


class MmdTask(Adaptation):
    """Maximum mean discrepancy (Long et al. 2015): see `mmd_loss`."""

    name = "mmd"
    options = ("conditional",)

    def forward(
        self, labelled: EventSet, unlabelled: EventSet, strength: float
    ) -> tuple[Tensor, Tensor]:
        loss = mmd_loss(self.features(labelled), self.features(unlabelled))
        return strength * loss, loss
