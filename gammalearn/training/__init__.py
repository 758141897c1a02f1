"""Training with Lightning."""

from .checkpoint import TrainedNetwork, load_checkpoint
from .fit import fit

__all__ = ["TrainedNetwork", "fit", "load_checkpoint"]
