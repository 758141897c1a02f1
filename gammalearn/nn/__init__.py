"""Layers and networks."""

from .attention import DualAttention, SpatialAttention, SqueezeExcitation
from .conditioning import ImageConditioning
from .indexed import IndexedAveragePool, IndexedConv, IndexedMaxPool
from .inference import for_inference, inference_device
from .layout import CellsToPixels, PixelsToCells
from .network import ReconstructionNetwork
from .normalisation import IndexedBatchNorm

__all__ = [
    "CellsToPixels",
    "DualAttention",
    "ImageConditioning",
    "IndexedAveragePool",
    "IndexedBatchNorm",
    "IndexedConv",
    "IndexedMaxPool",
    "PixelsToCells",
    "ReconstructionNetwork",
    "SpatialAttention",
    "SqueezeExcitation",
    "for_inference",
    "inference_device",
]
