"""Training with Lightning."""

from ..checkpoint import TrainedNetwork, load_checkpoint
from .fine_tuning import check_initial
from .fit import check_events, check_slots, fit
from .machine import check_machine
from .stopping import was_requeued

__all__ = [
    "TrainedNetwork",
    "check_events",
    "check_initial",
    "check_machine",
    "check_slots",
    "fit",
    "load_checkpoint",
    "was_requeued",
]
