"""Training with Lightning."""

from .checkpoint import TrainedNetwork, load_checkpoint
from .fit import fit
from .machine import check_machine

__all__ = ["TrainedNetwork", "check_machine", "fit", "load_checkpoint"]
