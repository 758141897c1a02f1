"""Encoders by their names in the settings, each with the size that it has by default."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

__all__ = ["ENCODERS", "NamedEncoder", "encoder"]

AnyEncoder = TypeVar("AnyEncoder", bound=type[nn.Module])


@dataclass(frozen=True)
class NamedEncoder:
    """What a name in the settings stands for.

    Attributes
    ----------
    make : type of Module
        Called with ``grid, in_channels, embedding, widths`` and the keywords ``keypoints``, ``sky``
        and ``backend``, and with ``blocks`` if there is a default.
    widths : tuple of int
        Features of each stage by default.
    blocks : int or None
        Blocks in each stage by default; None if it has no blocks.
    settings : tuple of str
        Further `gammalearn.settings.NetworkSettings` that ``make`` takes by their names.
    """

    make: type[nn.Module]
    widths: tuple[int, ...]
    blocks: int | None
    settings: tuple[str, ...]


#: All that files of this folder have registered.
ENCODERS: dict[str, NamedEncoder] = {}


def encoder(
    name: str, widths: Sequence[int], blocks: int | None = None, settings: Sequence[str] = ()
) -> Callable[[AnyEncoder], AnyEncoder]:
    """Register a class under a name, see `NamedEncoder`. A class can have several names."""

    def register(make: AnyEncoder) -> AnyEncoder:
        ENCODERS[name] = NamedEncoder(make, tuple(widths), blocks, tuple(settings))
        return make

    return register
