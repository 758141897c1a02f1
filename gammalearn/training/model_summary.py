"""Model summary: what a network is made of, before it learns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..camera import CameraType
from ..checkpoint.trained import build_network
from ..data import CameraImages
from ..nn import ReconstructionNetwork
from ..settings import Experiment
from ..tasks import Task

__all__ = ["Part", "dark_images", "in_words", "summarise"]

#: Events to count with: batch normalisation of the one pixel of a small grid wants two.
N_EVENTS = 2


@dataclass(frozen=True)
class Part:
    """A part of a network.

    Attributes
    ----------
    name : str
    parameters : int
    multiply_adds : int
        Of convolutions, linear layers and attention.
    """

    name: str
    parameters: int
    multiply_adds: int


def summarise(
    experiment: Experiment, cameras: Sequence[CameraType], tasks: Mapping[str, Task]
) -> list[Part]:
    """The parts of a network, and what they compute for an event of one image of each camera.

    An indexed convolution counts K · in · out multiply-adds for each output pixel (absent
    neighbours included), whatever backend computes it and with how many zeros beside.

    Parameters
    ----------
    experiment : Experiment
    cameras : sequence of CameraType
    tasks : mapping of str to Task

    Returns
    -------
    list of Part
        In the order of the network: encoders one by one.
    """
    # Where neighbours are gathered, an indexed convolution is a matrix product, which torch counts.
    gathered = {"network": experiment.network.model_copy(update={"backend": "gather"})}
    with torch.random.fork_rng(devices=[]):
        network = build_network(experiment.model_copy(update=gathered), cameras, tasks)
    images = dark_images(network, experiment, cameras, N_EVENTS)
    # As it trains, as torch fuses attention in evaluation to what it does not count.
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        network.requires_grad_(False).train()(images, N_EVENTS)
    counts = counter.get_flop_counts()
    parts = []
    for name, part in _parts(network):
        # What only holds others is never called, and not counted itself.
        called = [f"{name}.{key}" for key in part] if isinstance(part, nn.ModuleDict) else [name]
        operations = sum(
            sum(counts.get(f"{type(network).__name__}.{path}", {}).values()) for path in called
        )
        n_parameters = sum(parameter.numel() for parameter in part.parameters())
        # torch counts a product and its sum as two.
        parts.append(Part(name, n_parameters, operations // (2 * N_EVENTS)))
    return parts


def dark_images(
    network: ReconstructionNetwork,
    experiment: Experiment,
    cameras: Iterable[CameraType],
    n_events: int,
) -> dict[str, CameraImages]:
    """Images without light, one of each camera for each event, as the network takes them.

    Parameters
    ----------
    network : ReconstructionNetwork
    experiment : Experiment
    cameras : iterable of CameraType
    n_events : int
    """
    # Any telescope, of those with a slot where they are fixed.
    tel_id = (experiment.network.telescopes or [1])[0]
    return {
        camera.name: CameraImages.dark(
            torch.arange(n_events),
            (experiment.data.values_per_pixel, camera.n_pixels),
            network.n_scalars,
            len(network.vectors),
            tel_id,
            network.with_pointing,
        )
        for camera in cameras
    }


def _parts(network: ReconstructionNetwork) -> Iterator[tuple[str, nn.Module]]:
    """Encoders one by one, and all that stands beside them."""
    for name, part in network.named_children():
        if name == "encoders":
            yield from (
                (f"{name}.{camera}", encoder) for camera, encoder in network.encoders.items()
            )
        elif not (isinstance(part, nn.ModuleDict) and not part):
            yield name, part


def in_words(parts: list[Part]) -> dict[str, str]:
    """Parameters and multiply-adds of each part and of all together."""
    total = Part(
        "all",
        sum(part.parameters for part in parts),
        sum(part.multiply_adds for part in parts),
    )
    return {
        part.name: f"{part.parameters:,} parameters, {_short(part.multiply_adds)} multiply-adds"
        for part in [*parts, total]
    }


def _short(number: int) -> str:
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)
