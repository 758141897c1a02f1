"""Optimisation: optimisers, schedules of the step size, and the average of the weights."""

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch import Tensor, nn
from torch.optim import lr_scheduler

from ..settings import TrainingSettings

__all__ = ["PLANNED", "average_weights", "build_optimizer", "build_schedule"]

#: Schedules that depend on the number of steps of the whole training.
PLANNED = ("one_cycle", "cosine")


def build_optimizer(
    settings: TrainingSettings, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimiser of the settings.

    Parameters
    ----------
    settings : gammalearn.settings.TrainingSettings
    parameters : iterable of torch.nn.Parameter, or of dict
        Or groups of them, as torch's optimisers take them.
    """
    options: dict[str, Any] = {
        "lr": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        # One pass over all moments. Scaled gradients it would unscale itself, after their clipping.
        "fused": settings.precision != "16-mixed",
    }
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=settings.momentum, **options)
    return torch.optim.AdamW(parameters, **options)


def build_schedule(
    settings: TrainingSettings, optimizer: torch.optim.Optimizer, n_steps: int, n_batches: int
) -> LRSchedulerConfigType:
    """The schedule of the settings, as Lightning wants it.

    Parameters
    ----------
    settings : gammalearn.settings.TrainingSettings
        Its schedule is not constant.
    optimizer : torch.optim.Optimizer
    n_steps : int
        Steps of the whole training.
    n_batches : int
        Batches of an epoch.
    """
    schedule: lr_scheduler.LRScheduler
    if settings.schedule == "step":
        schedule = lr_scheduler.StepLR(optimizer, settings.decay_epochs, settings.decay_factor)
        return {"scheduler": schedule, "interval": "epoch"}
    if settings.schedule == "plateau":
        plateau = lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=settings.decay_factor,
            # torch counts the epochs that are tolerated.
            patience=settings.decay_epochs - 1,
            threshold=0,
        )
        # After each epoch's validation, as its last step: Lightning's "epoch" comes only after the
        # checkpoint is written, and a resumed run would not know of it.
        return {
            "scheduler": plateau,
            "interval": "step",
            "frequency": n_batches,
            "monitor": "validation/loss",
        }
    if settings.schedule == "one_cycle":
        schedule = lr_scheduler.OneCycleLR(
            optimizer,
            settings.learning_rate,
            total_steps=n_steps,
            # SGD keeps the momentum of the settings.
            cycle_momentum=settings.optimizer == "adamw",
        )
    else:
        share = partial(_cosine, n_steps=n_steps, n_warm_up=settings.warm_up * n_steps)
        schedule = lr_scheduler.LambdaLR(optimizer, share)
    return {"scheduler": schedule, "interval": "step"}


def _cosine(step: int, n_steps: int, n_warm_up: float) -> float:
    """Share of the largest step size: linearly up, then half a cosine down to nothing."""
    if step < n_warm_up:
        return (step + 1) / (n_warm_up + 1)
    return (1 + math.cos(math.pi * (step - n_warm_up) / (n_steps - n_warm_up))) / 2


def average_weights(decay: float) -> WeightAveraging:
    """Lightning's callback that validates, saves and returns a moving average of the weights.

    Parameters
    ----------
    decay : float
        What each step leaves of the average before; less in the first ones, (1 + n) / (10 + n)
        after n, or the average would long be of the weights that training began with.
    """
    # With the buffers, that is the statistics of batch normalisations, which belong to the weights.
    return WeightAveraging(use_buffers=True, multi_avg_fn=partial(_average, decay))


def _average(
    decay: float, averages: list[Tensor], weights: list[Tensor], n_averaged: Tensor | int
) -> None:
    if torch.is_floating_point(averages[0]):
        n = int(n_averaged)
        torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + n) / (10 + n)))
    else:
        # Counts, and the tables of neighbours: a mean of them would be none.
        torch._foreach_copy_(averages, weights)
