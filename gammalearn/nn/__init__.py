"""Layers and networks."""

from .indexed import IndexedAveragePool, IndexedConv, IndexedMaxPool
from .network import ReconstructionNetwork

__all__ = ["IndexedAveragePool", "IndexedConv", "IndexedMaxPool", "ReconstructionNetwork"]
