"""DeepJDOT: optimal transport carries the truth of training events to unlabelled events."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...errors import MissingPackageError
from ...settings import TaskSettings
from ..base import Task
from .base import Adaptation, EventSet

__all__ = ["DeepJdotTask"]


class DeepJdotTask(Adaptation):
    """Joint distribution optimal transport (Damodaran et al. 2018, eq. 6).

    A pair of a training event and an unlabelled event costs the squared distance of their
    embeddings, divided by the number of features, and ``label_cost`` times the loss that the
    unlabelled event would have with the truth of the training event, summed over the tasks with
    their weights. The plan of least cost that pairs all events is computed with POT, and the loss
    is the mean cost of the pairs of that plan.
    """

    name = "deepjdot"
    options = ("label_cost",)

    def __init__(self, settings: TaskSettings, n_features: int, tasks: Mapping[str, Task]):
        super().__init__(settings, n_features, tasks)
        self.label_cost = settings.label_cost
        try:
            import ot  # noqa: F401
        except ImportError as error:
            raise MissingPackageError(
                "tasks.deepjdot needs the package POT; install it with pip install POT."
            ) from error

    def cost(self, labelled: EventSet, unlabelled: EventSet) -> Tensor:
        """Cost of each pair, shape (n_labelled, n_unlabelled)."""
        apart = labelled.embedding.unsqueeze(1) - unlabelled.embedding.unsqueeze(0)
        cost = apart.square().mean(dim=2)
        if self.label_cost:
            cost = cost + self.label_cost * self._of_labels(labelled, unlabelled)
        return cost

    def _of_labels(self, labelled: EventSet, unlabelled: EventSet) -> Tensor:
        n, m = len(labelled), len(unlabelled)
        total = labelled.embedding.new_zeros(n, m)
        for name, task in self.tasks.items():
            target = labelled.targets[name]
            learnt = ~torch.isnan(target).any(dim=1)
            n_learnt = int(learnt.sum())
            # Row by row: each learnt truth with the outputs of all unlabelled events.
            outputs = unlabelled.outputs[name].repeat(n_learnt, 1)
            losses = task.loss(outputs, target[learnt].repeat_interleave(m, dim=0))
            rows = torch.zeros_like(total)
            rows[learnt] = losses.reshape(n_learnt, m).to(total.dtype)
            total = total + task.weight * rows
        return total

    def forward(
        self, labelled: EventSet, unlabelled: EventSet, strength: float
    ) -> tuple[Tensor, Tensor]:
        import ot

        cost = self.cost(labelled, unlabelled)
        values = cost.detach().double().cpu().numpy()
        # The plan is fixed while the network learns (section 3.2).
        plan = torch.from_numpy(ot.emd([], [], values)).to(cost)
        loss = (plan * cost).sum()
        return strength * loss, loss
