"""Yes or no: one logit, by its cross-entropy."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from .base import Task, average_binary_logits

__all__ = ["BinaryTask"]


class BinaryTask(Task):
    """Whether something is so: targets are 1, 0, or NaN where it is not known."""

    n_outputs = 1

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(output, target, reduction="none").squeeze(1)

    def average(self, outputs: Tensor) -> Tensor:
        """Logits of the mean probability."""
        return average_binary_logits(outputs)

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        from torchmetrics.functional.classification import binary_auroc

        is_so = target.squeeze(1).to(torch.int64)
        if len(is_so.unique()) < 2:
            return {"auc": np.nan}
        rank = output.squeeze(1).unique(return_inverse=True)[1].double()
        right = ((output.squeeze(1) > 0) == (is_so > 0)).double().mean()
        return {
            "auc": float(binary_auroc(rank / rank.max().clamp(min=1), is_so)),
            "accuracy": float(right),
        }
