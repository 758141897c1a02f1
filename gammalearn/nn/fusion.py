"""Telescope fusion: from the images of an event, however many, to one description of it.

Attention and mean are sets: the order of the telescopes does not matter, absent telescopes are
absent, and an event of one image goes the same way as an event of many. The concatenation of fixed
telescopes is what came before, to compare with.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..settings import NetworkSettings
from .means import images_of_events, mean_over_images

__all__ = [
    "AttentionFusion",
    "ConcatenationFusion",
    "MeanFusion",
    "TelescopeAttention",
    "build_fusion",
]

#: Heads of each attention among telescopes.
N_HEADS = 8


def pad_events(x: Tensor, event: Tensor, n_events: int) -> tuple[Tensor, Tensor, Tensor]:
    """The images of each event side by side.

    Parameters
    ----------
    x : Tensor, shape (n_images, features)
    event : Tensor of int64, shape (n_images,)
        Row of each image's event, in any order.
    n_events : int

    Returns
    -------
    padded : Tensor, shape (n_events, max_images, features)
    absent : Tensor of bool, shape (n_events, max_images)
        True where there is no image.
    place : Tensor of int64, shape (n_images,)
        Where each image is: ``padded[event, place]`` is ``x`` again.
    """
    count = images_of_events(event, n_events)
    row = torch.arange(event.shape[0], device=event.device)
    # Sorted by event, then by row: stable, which exported networks cannot be asked to be.
    order = torch.argsort(event * event.shape[0] + row)
    first = torch.cumsum(count, 0) - count
    place = torch.empty_like(row).index_put((order,), row - first[event[order]])
    # No int() about it, which would fix the number of telescopes of an exported network.
    most: int = count.max().item()  # type: ignore[assignment]  # item() of integers is an int
    if torch.compiler.is_exporting():
        torch._check(most >= 2)
    shape = (n_events, most)
    padded = x.new_zeros(*shape, x.shape[1]).index_put((event, place), x)
    absent = torch.ones(shape, dtype=torch.bool, device=x.device)
    absent[event, place] = False
    return padded, absent, place


class MeanFusion(nn.Module):
    """Mean over the telescopes of a small network's output for each.

    Parameters
    ----------
    features : int
        Features of an image and of an event.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, features), nn.ReLU())

    def forward(self, x: Tensor, event: Tensor, n_events: int) -> Tensor:
        return mean_over_images(self.image(x), event, n_events)


def _transformer(features: int, layers: int, dropout: float) -> nn.TransformerEncoder:
    """Layers in which the telescopes of an event attend to each other."""
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(
            features,
            N_HEADS,
            dim_feedforward=2 * features,
            dropout=dropout,
            batch_first=True,
            norm_first=True,
        ),
        layers,
        norm=nn.LayerNorm(features),
        # Nested tensors do not go with normalisation first.
        enable_nested_tensor=False,
    )


class TelescopeAttention(nn.Module):
    """Telescopes attend to each other, and each keeps its own description.

    Parameters
    ----------
    features : int
        Features of an image, a multiple of 8.
    layers : int
        Transformer layers.
    dropout : float
        Dropout within the layers.
    """

    def __init__(self, features: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.among = _transformer(features, layers, dropout)

    def forward(self, x: Tensor, event: Tensor, n_events: int) -> Tensor:
        images, absent, place = pad_events(x, event, n_events)
        return self.among(images, src_key_padding_mask=absent)[event, place]


class AttentionFusion(nn.Module):
    """Telescopes attend to each other, then a learnt query gathers them (Lee et al. 2019).

    Parameters
    ----------
    features : int
        Features of an image and of an event, a multiple of 8.
    layers : int
        Transformer layers among the telescopes.
    dropout : float
        Dropout within the layers.
    """

    def __init__(self, features: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.among = _transformer(features, layers, dropout)
        self.query = nn.Parameter(torch.randn(1, 1, features) * features**-0.5)
        self.gather = nn.MultiheadAttention(features, N_HEADS, batch_first=True)

    def forward(self, x: Tensor, event: Tensor, n_events: int) -> Tensor:
        images, absent, _ = pad_events(x, event, n_events)  # (n_events, max_images, features)
        images = self.among(images, src_key_padding_mask=absent)
        query = self.query.expand(n_events, -1, -1)
        gathered, _ = self.gather(
            query, images, images, key_padding_mask=absent, need_weights=False
        )
        # The mean keeps a short way for the gradient, as a residual connection would.
        mean = images.masked_fill(absent.unsqueeze(2), 0).sum(1) / (~absent).sum(1, keepdim=True)
        return mean + gathered.squeeze(1)  # (n_events, features)


class ConcatenationFusion(nn.Module):
    """A slot for each telescope of an array, side by side, zeros in those of absent ones.

    The telescopes are fixed: weights belong to a telescope, not to what it sees.

    Parameters
    ----------
    features : int
        Features of an image and of an event.
    telescopes : sequence of int
        Ids of the telescopes with a slot, in the order of the slots.
    """

    telescopes: Tensor

    def __init__(self, features: int, telescopes: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("telescopes", torch.tensor(telescopes), persistent=False)
        self.join = nn.Sequential(nn.Linear(len(telescopes) * features, features), nn.ReLU())

    def forward(self, x: Tensor, event: Tensor, n_events: int, tel_id: Tensor) -> Tensor:
        has_slot = tel_id[:, None] == self.telescopes  # (n_images, n_slots)
        if not torch.compiler.is_exporting() and not has_slot.any(dim=1).all():
            raise ValueError(
                f"ConcatenationFusion has slots for telescopes {self.telescopes.tolist()}, "
                f"got {tel_id.tolist()}."
            )
        slot = has_slot.to(torch.int64).argmax(dim=1)
        slots = x.new_zeros(n_events, len(self.telescopes), x.shape[1])
        return self.join(slots.index_put((event, slot), x).flatten(1))  # (n_events, features)


def build_fusion(settings: NetworkSettings) -> nn.Module:
    """The fusion that the settings (:class:`gammalearn.settings.NetworkSettings`) ask for."""
    if settings.fusion == "mean":
        return MeanFusion(settings.embedding)
    if settings.fusion == "concatenation":
        # The settings see to it that there are telescopes.
        return ConcatenationFusion(settings.embedding, settings.telescopes or ())
    return AttentionFusion(settings.embedding, settings.fusion_layers, settings.dropout)
