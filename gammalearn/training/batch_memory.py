"""Memory of a batch: what its images and a training step take, before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..camera import CameraType
from ..checkpoint.trained import build_network
from ..data import EventIndex
from ..nn import ReconstructionNetwork
from ..settings import Experiment
from ..tasks import Task
from .model_summary import dark_images

__all__ = ["BatchMemory", "estimate_batch_memory"]

#: Events of the two batches that are compared.
FEW, MORE = 2, 4

#: Numbers that an optimiser keeps of each weight, beside the weight and its gradient.
OPTIMISER_STATES = {"adamw": 2, "sgd": 1}


@dataclass(frozen=True)
class BatchMemory:
    """Memory that a batch of the training takes on its device.

    Attributes
    ----------
    n_events : int
    images_per_event : float
        Mean of the selected events.
    pixels : float
        Bytes of the channels, and samples, of all pixels.
    step : float
        Bytes of a training step: what is kept for the gradients, the weights, their gradients and
        the numbers of the optimiser. An estimate: how libraries compute adds to it.
    """

    n_events: int
    images_per_event: float
    pixels: float
    step: float


def estimate_batch_memory(
    experiment: Experiment, index: EventIndex, tasks: Mapping[str, Task], n_training: int
) -> BatchMemory:
    """Estimate the memory of a batch of mean events.

    The network is run on a few images without light of each camera, and what it keeps for the
    gradients is counted.

    Parameters
    ----------
    experiment : Experiment
    index : EventIndex
        Selected events; at least one.
    tasks : mapping of str to Task
    n_training : int
        Number of training events, which may be fewer than a batch.
    """
    settings = experiment.training
    n_events = min(settings.batch_size, n_training)
    counts = np.bincount(index.images["camera"], minlength=len(index.cameras)) / len(index)
    with torch.random.fork_rng(devices=[]):
        network = build_network(experiment, index.cameras, tasks).train()
    n_values = experiment.data.values_per_pixel
    pixels = kept = 0.0
    for camera, images_per_event in zip(index.cameras, counts, strict=True):
        n_images = n_events * images_per_event
        pixels += n_images * n_values * camera.n_pixels * torch.float32.itemsize
        kept += n_images * _kept_per_image(network, experiment, [camera])
    n_weights = sum(parameter.numel() for parameter in network.parameters())
    states = 2 + OPTIMISER_STATES[settings.optimizer]
    step = kept + n_weights * states * torch.float32.itemsize
    return BatchMemory(n_events, float(counts.sum()), pixels, step)


def _kept_per_image(
    network: ReconstructionNetwork, experiment: Experiment, cameras: Sequence[CameraType]
) -> float:
    """Bytes that are kept for the gradients for each image more."""
    few, more = (_kept(network, dark_images(network, experiment, cameras, n)) for n in (FEW, MORE))
    return (more - few) / (MORE - FEW)


def _kept(network: ReconstructionNetwork, images: Mapping) -> int:
    """Bytes that a network keeps of images for the gradients, each place in memory once."""
    own = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    # Held until all are counted, so that no place is used twice.
    kept: dict[int, Tensor] = {}

    def count(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            kept[place] = tensor
        return tensor

    n_events = len(next(iter(images.values())).event)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        outputs = network(images, n_events)
    n_bytes = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del outputs
    return n_bytes
