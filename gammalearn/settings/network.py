"""Settings of the network."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from .base import Settings

__all__ = ["NetworkSettings"]

#: Features and layers of any part of a network: more would take all memory before they are of use.
MOST_FEATURES, MOST_LAYERS = 4096, 100

#: What DL1 parameters tell of an image, see :mod:`gammalearn.data.images.descriptors`.
Descriptor = Literal[
    "light",
    "length",
    "width",
    "kurtosis",
    "concentration",
    "leakage",
    "time",
    "islands",
    "centroid",
    "axis",
    "skewness",
    "time_slope",
]


def _as_descriptors(value: Any) -> Any:
    return list(get_args(Descriptor)) if value in ("all", ["all"]) else value


def _or_own_class(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """A name of ours, or a class as ``module:Class``."""
    is_own = isinstance(value, str) and re.fullmatch(r"[\w.-]+:\w+", value)
    return value if is_own else validate(value)


#: An encoder of ours, or ``module:Class`` of the user's own.
Encoder = Annotated[
    Literal[
        "none",
        "gammaphysnet",
        "gammaphysnet_light",
        "gammaphysnet_deep",
        "conv4",
        "conv5",
        "convnext",
        "transformer",
    ],
    WrapValidator(_or_own_class),
    PlainSerializer(str),
]


class NetworkSettings(Settings):
    """The network: one encoder for each camera type, telescope fusion, one head for each task."""

    renamed: ClassVar = {
        "network.backbone": "network.encoder",
        "network.channels": "network.widths",
    }

    encoder: Encoder = "gammaphysnet"
    """Encoder of the images: residual blocks with attention (gammaphysnet, and with fewer or more
    weights _light and _deep), 4 or 5 plain layers (conv4, conv5), wide convolutions of each channel
    (convnext), or patches that attend to each other (transformer). none is a network of
    ``parameters`` alone, with ``data.channels=[]``. ``module:Class`` is your own encoder, from a
    module in ``imports``."""

    parameters: Annotated[list[Descriptor], BeforeValidator(_as_descriptors)] = []
    """DL1 parameters of each image that the network sees in addition to the pixels: scalars and, in
    the sky, vectors (``centroid``, ``axis``, ``skewness``, ``time_slope``), or ``all``. They come
    from the file. If the file has none, ctapipe computes them. The network is told which are
    missing."""

    condition: list[Literal["nsb", "bad_pixels", "pointing"]] = []
    """State of sky and camera that the network takes into account in each image: the noise of the
    dark pixels (``nsb``), the fraction of missing pixels (``bad_pixels``), and where in the sky the
    telescope points (``pointing``: zenith and azimuth). They modulate the features of the image
    (FiLM). The first two are computed from the pixels. Combine them with ``data.augmentation``, and
    ``pointing`` with training files of several zenith angles, to show the network different
    conditions in the training."""

    geometry: bool = False
    """Reconstruct the shower axis in the network: direction and core by weighted least squares of
    the image axes in the sky and on the ground, and from these the distance of each telescope from
    the axis. All tasks see the result. It needs the ``parameters`` centroid and axis."""

    geometry_rounds: int = Field(1, ge=1, le=8)
    """Number of times that the telescopes attend to each other and direction and core are fitted
    again (geometry)."""

    widths: list[Annotated[int, Field(ge=1, le=MOST_FEATURES)]] | None = Field(
        None, max_length=MOST_LAYERS
    )
    """Number of features in each stage. By default 16, 32, 64 for gammaphysnet and _deep, 8, 16, 32
    for _light, 32, 64 for convnext, and 64 for the patches of the transformer."""

    blocks: int | None = Field(None, ge=1, le=MOST_LAYERS)
    """Number of blocks in each stage. By default 3 for gammaphysnet and convnext, 2 for
    gammaphysnet_light, 6 for gammaphysnet_deep, and 4 for the transformer."""

    temporal_channels: int = Field(4, ge=1, le=64)
    """Number of channels that the temporal convolution makes of the samples of each pixel
    (``data.input=waveforms``). They follow ``data.channels``."""

    attention: Literal["dual", "spatial", "squeeze_excitation", "none"] = "dual"
    """Attention after each stage (gammaphysnet): weights for pixels (spatial), for features
    (squeeze_excitation), for both (dual), or none."""

    keypoints: int = Field(0, ge=0, le=MOST_FEATURES)
    """Number of places in the camera that each encoder looks for, in addition to the flattened
    feature map. Each image then gives a direction with its own precision, and the network starts
    from their mean. It learns directions from far fewer events."""

    backend: Literal["auto", "native", "dense", "gather", "indexedconv"] = "auto"
    """How convolutions are computed. All give the same result: on pixels and their neighbours with
    code compiled for the CPU (native), as dense convolutions on the index matrix (dense), on
    gathered neighbours (gather), or with the IndexedConv package. auto chooses the fastest."""

    embedding: int = Field(256, ge=8, le=MOST_FEATURES, multiple_of=8)
    """Number of features that describe an image, and an event after the fusion."""

    fusion: Literal["attention", "mean", "concatenation"] = "attention"
    """How the images of an event are joined: with attention, with their mean, or by concatenation.
    Concatenation needs fixed telescopes and is for comparison with older methods."""

    telescopes: list[int] | None = Field(None, min_length=1, max_length=MOST_FEATURES)
    """Ids of all telescopes of the array, one slot for each (fusion='concatenation')."""

    fusion_layers: int = Field(1, ge=1, le=MOST_LAYERS)
    """Number of transformer layers among the telescopes (fusion='attention')."""

    head: int = Field(128, ge=1, le=MOST_FEATURES)
    """Number of hidden features in the head of each task."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Fraction of the features that are removed at random during the training, in fusion and
    heads."""

    @model_validator(mode="after")
    def _stages(self) -> Self:
        n_stages = {"conv4": 4, "conv5": 5, "transformer": 1}.get(self.encoder)
        if self.widths is not None and n_stages and len(self.widths) != n_stages:
            raise ValueError(
                f"encoder={self.encoder!r} needs {n_stages} "
                f"value{'s' * (n_stages > 1)} in widths, got {len(self.widths)}"
            )
        if self.widths is not None and not self.widths:
            raise ValueError("widths needs at least one value")
        if self.widths is not None and self.encoder == "transformer" and self.widths[0] % 8:
            raise ValueError(
                f"encoder='transformer' needs a multiple of 8 in widths, got {self.widths[0]}"
            )
        if (self.fusion == "concatenation") != (self.telescopes is not None):
            raise ValueError(
                f"fusion={self.fusion!r} "
                + ("has no slots; leave out" if self.telescopes else "needs the ids of")
                + " telescopes"
            )
        if self.telescopes is not None and len(set(self.telescopes)) < len(self.telescopes):
            raise ValueError("expected different ids in telescopes")
        if self.geometry and not {"centroid", "axis"} <= set(self.parameters):
            raise ValueError(
                "geometry=true needs the axes of the images; add centroid and axis to parameters, "
                "or set parameters to all"
            )
        if self.encoder == "none" and not self.parameters:
            raise ValueError(
                "encoder='none' leaves the network nothing to see; set parameters to all"
            )
        if self.encoder == "none" and self.keypoints:
            raise ValueError("encoder='none' has no images to find keypoints in; set them to 0")
        if ":" in self.encoder and (self.keypoints or self.widths or self.blocks):
            raise ValueError(
                f"encoder={self.encoder!r} is an encoder of your own, which decides on its "
                "layers; leave out widths, blocks and keypoints"
            )
        if self.encoder == "convnext" and self.backend == "indexedconv":
            raise ValueError(
                "encoder='convnext' has convolutions of single channels, which "
                "backend='indexedconv' does not compute; set another backend"
            )
        return self
