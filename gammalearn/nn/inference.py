"""A trained network made ready for use: fewer steps, same output."""

import copy

import torch
from torch import nn

from .indexed import IndexedConv
from .normalisation import IndexedBatchNorm

__all__ = ["for_inference", "inference_device"]


def inference_device(accelerator: str = "auto") -> str:
    """Device that a trained network computes on: a GPU if there is one.

    Parameters
    ----------
    accelerator : str
        As in the settings of the training; ``cpu`` asks for the CPU.
    """
    return "cuda" if torch.cuda.is_available() and accelerator != "cpu" else "cpu"


def for_inference(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, with normalisations folded into the convolutions before them.

    Parameters
    ----------
    network : nn.Module
        Trained; stays as it is.

    Returns
    -------
    nn.Module
        Of the same output up to rounding. Its state_dict is no longer the network's.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        names = list(module._modules)
        # In a sequence one layer follows the other; elsewhere a module says so.
        follows = zip(names, names[1:], strict=False) if isinstance(module, nn.Sequential) else ()
        for first, second in [*follows, *getattr(module, "FOLLOWS", ())]:
            conv, norm = getattr(module, first), getattr(module, second)
            foldable = isinstance(conv, IndexedConv) and not conv.relu
            if foldable and isinstance(norm, IndexedBatchNorm):
                _fold(conv, norm)
                setattr(module, second, nn.Identity())
    return network.requires_grad_(False)


@torch.no_grad()
def _fold(conv: IndexedConv, norm: IndexedBatchNorm) -> None:
    """Give a convolution the output of itself and the normalisation after it."""
    scale, offset = norm.scale_and_offset()
    bias = offset if conv.bias is None else offset + scale * conv.bias
    conv.weight = nn.Parameter(conv.weight * scale[:, None, None])
    conv.bias = nn.Parameter(bias)
    conv.relu = norm.relu
