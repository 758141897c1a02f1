"""Networks that are shipped: weights in ``NAME.ckpt``, what is said of them in ``NAME.yaml``."""

from .card import ModelCard, read_card
from .registry import (
    alike,
    card_of,
    find_checkpoint,
    is_shipped,
    names_network,
    overview,
    places,
    shipped_networks,
)

__all__ = [
    "ModelCard",
    "alike",
    "card_of",
    "find_checkpoint",
    "is_shipped",
    "names_network",
    "overview",
    "places",
    "read_card",
    "shipped_networks",
]
