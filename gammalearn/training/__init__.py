"""Training with Lightning."""

from ..checkpoint.trained import TrainedNetwork, load_checkpoint
from .callbacks.stopping import requeued_at_time_limit, slurm_job, was_requeued
from .fine_tuning import check_initial
from .fit import TrainingSummary, check_events, fit
from .processes import is_first_process
from .range_test import draw_range_test, range_test
from .trainer import check_machine, check_processes

__all__ = [
    "TrainedNetwork",
    "TrainingSummary",
    "check_events",
    "check_initial",
    "check_machine",
    "check_processes",
    "draw_range_test",
    "fit",
    "is_first_process",
    "load_checkpoint",
    "range_test",
    "requeued_at_time_limit",
    "slurm_job",
    "was_requeued",
]
