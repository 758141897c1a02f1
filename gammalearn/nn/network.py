"""The whole network, from the images of a batch to one output a task and event.

::

    camera A images ─► encoder A ─┐
    camera B images ─► encoder B ─┴─► tokens ─► geometry ─┬─► fusion ─► event ─► heads ──────► + ─►
    descriptors, positions ───────────┘  │                └─► estimates of images ─► mean ─────┘
                                         └─► direction and impact

Each image is a token: what its encoder says of it, its descriptors, its telescope's place. With
`network.geometry` tokens get to know the shower's axis, and direction and impact come out of it.
For all other tasks each image by itself gives an estimate and says how much it is worth. What the
event adds begins at zero: from the start on, many telescopes are better than one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..camera import CameraType
from ..settings import NetworkSettings
from .conditioning import ImageConditioning
from .decoder import PatchDecoder
from .encoders import build_encoder
from .fusion import ConcatenationFusion, build_fusion
from .geometry import Sighting, StereoGeometry
from .image_head import N_SKY
from .means import most_likely_mean, place_and_log_sigma, weighted_mean, weighted_sky_mean
from .normalisation import borrowed_statistics, is_synchronised, kept_statistics
from .tokens import Descriptors, Tokens

__all__ = ["Estimates", "ReconstructionNetwork"]

#: Scale of telescope positions: telescopes stand some 100 m apart.
POSITION_SCALE_M = 100.0


@dataclass
class Estimates:
    """What the network says of a batch.

    Attributes
    ----------
    events : dict of str to Tensor, shape (n_events, n_outputs)
        Outputs by task.
    images : dict of str to Tensor, shape (n_images, n_outputs)
        The same by each image alone.
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    embedding : Tensor, shape (n_events, n_features)
        What the heads see of each event, after the fusion.
    seen : Tensor, shape (n_images, n_features)
        What the encoders see of each image.
    earlier : list of dict of str to Tensor
        What the geometry said of events before it was refined, and keypoints by themselves, as
        ``events``, of some tasks.
    """

    events: dict[str, Tensor]
    images: dict[str, Tensor]
    event: Tensor
    embedding: Tensor
    seen: Tensor
    earlier: list[dict[str, Tensor]] = field(default_factory=list)


class ReconstructionNetwork(nn.Module):
    """One encoder a camera type, telescope fusion, one head a task.

    Mono is the case of one image an event and takes the same way.

    Parameters
    ----------
    cameras : sequence of CameraType
        The cameras whose images the network can read; the encoder of a camera is shared by
        all its telescopes.
    n_channels : int
        Channels of the images.
    outputs : mapping of str to int
        Number of outputs of each task.
    settings : gammalearn.settings.NetworkSettings
    sky_task : str, optional
        The task, if any, whose first outputs are an offset in the sky (fov_lon, fov_lat) in deg.
        With ``settings.keypoints`` images give their estimates of it as places and precisions, see
        `gammalearn.nn.image_head.SkyEstimate`.
    with_uncertainty : collection of str
        Tasks whose last output is the logarithm of the others' standard deviation. Their images
        are worth as much as they are precise.
    ground_task : str, optional
        The task, if any, whose first outputs are a place on the ground, see
        `gammalearn.tasks.Task`.
    n_scalars : int
        Number of scalars among the images' descriptors.
    vectors : sequence of str
        Names of the vectors among the images' descriptors.
    conditioning : gammalearn.nn.conditioning.ImageConditioning, optional
        Modulates what encoders say of images.
    descriptor_conditioning : gammalearn.nn.conditioning.ImageConditioning, optional
        Modulates what descriptors say of images, by the pointing.
    n_decoded : int
        Values of each pixel that decoders reconstruct from images; 0 for no decoders.
    n_samples : int
        Samples of each pixel that follow its channels, see `gammalearn.nn.temporal`; 0 for none.
    """

    def __init__(
        self,
        cameras: Sequence[CameraType],
        n_channels: int,
        outputs: Mapping[str, int],
        settings: NetworkSettings,
        sky_task: str | None = None,
        with_uncertainty: Collection[str] = (),
        ground_task: str | None = None,
        n_scalars: int = 0,
        vectors: Sequence[str] = (),
        conditioning: ImageConditioning | None = None,
        descriptor_conditioning: ImageConditioning | None = None,
        n_decoded: int = 0,
        n_samples: int = 0,
    ) -> None:
        super().__init__()
        self.with_uncertainty = frozenset(with_uncertainty)
        with_sky = bool(settings.keypoints) and (sky_task is not None or settings.geometry)
        self.with_sky = with_sky
        self.sky_task = sky_task if with_sky or settings.geometry else None
        self.ground_task = ground_task if settings.geometry else None
        self.outputs, self.tasks = dict(outputs), list(outputs)
        #: What data sets have to give of each image beside its pixels.
        self.image_parameters = tuple(settings.parameters)
        self.n_scalars = n_scalars if settings.parameters else None
        self.vectors = tuple(vectors)
        self.encoders = nn.ModuleDict()
        if settings.encoder != "none":
            for camera in cameras:
                sky = camera.sky_of_cells if with_sky else None
                encoder = build_encoder(settings, camera.grid, n_channels, sky, n_samples)
                self.encoders[camera.name] = encoder
        #: Pixels of each camera.
        self.n_pixels = {camera.name: camera.grid.n_pixels for camera in cameras}
        self.embedding = settings.embedding
        self.conditioning = conditioning
        self.descriptor_conditioning = descriptor_conditioning
        parts = (conditioning, descriptor_conditioning)
        #: Whether images have to tell where in the sky their telescopes point.
        self.with_pointing = any(
            part is not None and "pointing" in part.conditions for part in parts
        )
        # Without geometry, where a telescope is can only be learnt: position (3) and pointing (2).
        self.place = None if settings.geometry else nn.Linear(5, settings.embedding)
        self.describe = self.geometry = self.norm = None
        if settings.parameters and self.encoders:
            # Encoders have nothing to say at first: what parameters say is learnt before.
            self.norm = nn.LayerNorm(settings.embedding)
            nn.init.constant_(self.norm.weight, 0.1)
        if settings.parameters:
            nothing = torch.zeros(1, n_scalars), torch.zeros(1, len(vectors), 2)
            described = self._described(Descriptors.of(*nothing, vectors), settings.geometry)
            self.describe = nn.Sequential(
                nn.Linear(described.shape[1], settings.embedding),
                nn.GELU(),
                nn.Linear(settings.embedding, settings.embedding),
                nn.GELU(),
                nn.Linear(settings.embedding, settings.embedding),
            )
        if settings.geometry:
            self.geometry = StereoGeometry(
                settings.embedding,
                vectors,
                with_sky,
                settings.geometry_rounds,
                settings.fusion_layers,
                settings.dropout,
            )
        self.fusion = build_fusion(settings)
        by_geometry = {self.sky_task, self.ground_task} if settings.geometry else set()
        self.heads = nn.ModuleDict(
            {
                name: _head(settings, n_outputs)
                for name, n_outputs in outputs.items()
                if name not in by_geometry
            }
        )
        for head in self.heads.values():
            nn.init.zeros_(head.get_parameter(f"{LAST}.weight"))
            nn.init.zeros_(head.get_parameter(f"{LAST}.bias"))
        # One output more where the task has no uncertainty: the logarithm of an image's weight.
        self.image_heads = nn.ModuleDict(
            {
                name: _head(settings, n_outputs + (name not in self.with_uncertainty))
                for name, n_outputs in outputs.items()
                if name not in {self.sky_task, *by_geometry}
            }
        )

        # Last, so that the other first weights are those of a network without.
        self.decoders = nn.ModuleDict()
        if n_decoded:
            for camera in cameras:
                decoder = PatchDecoder(camera.grid, settings.embedding, n_decoded)
                self.decoders[camera.name] = decoder

    @staticmethod
    def _described(descriptors: Descriptors, geometry: bool) -> Tensor:
        """What a token begins with: with geometry, nothing that depends on a turn of the event."""
        return descriptors.invariant() if geometry else descriptors.plain()

    def forward(self, images: Mapping, n_events: int) -> dict[str, Tensor]:
        """Outputs of all tasks, see `Estimates`."""
        return self.estimates(images, n_events).events

    def estimates(self, images: Mapping, n_events: int, counted: Tensor | None = None) -> Estimates:
        """Outputs of all tasks, and what leads to them.

        Parameters
        ----------
        images : mapping of camera name to gammalearn.data.CameraImages
        n_events : int
            Number of events the images belong to.
        counted : Tensor of bool, shape (n_events,), optional
            Events whose images give the statistics of batch normalisations in training; by default
            all. Other images are normalised with these statistics, which they do not change.
        """
        tokens = self._tokens(images, counted)
        event, features = tokens.event, tokens.features
        sightings = []
        if self.geometry is not None:
            # In full precision, whatever the network's: places are differences of numbers alike.
            with torch.autocast(features.device.type, enabled=False):
                features, sightings = self.geometry(tokens.float(), n_events)
        slots = []
        if isinstance(self.fusion, ConcatenationFusion):
            slots = [torch.cat([camera.tel_id for camera in images.values()])]
        fused = self.fusion(features, event, n_events, *slots)
        outputs, of_images = {}, {}
        for name in self.tasks:
            with_uncertainty = name in self.with_uncertainty
            if name == self.sky_task or name == self.ground_task:
                given, mean = self._places(name, tokens, sightings, n_events)
                if with_uncertainty:
                    given, mean = place_and_log_sigma(given), place_and_log_sigma(mean)
                n_outputs = 2 + with_uncertainty
            else:
                given = self.image_heads[name](features)
                join = most_likely_mean if with_uncertainty else weighted_mean
                mean = join(given, event, n_events)
                n_outputs = self.outputs[name]
            outputs[name], of_images[name] = mean[:, :n_outputs], given[:, :n_outputs]
            if name in self.heads:
                outputs[name] = outputs[name] + self.heads[name](fused)
        earlier = [self._earlier(sighting.direction, sighting.core) for sighting in sightings[:-1]]
        if sightings and tokens.sky is not None:
            # Keypoints learn by themselves too, or the geometry would never come to trust them.
            earlier.append(self._earlier(weighted_sky_mean(tokens.sky, event, n_events)))
        seen = features if tokens.encoded is None else tokens.encoded
        return Estimates(outputs, of_images, event, fused, seen, earlier)

    def _places(
        self, name: str, tokens: Tokens, sightings: Sequence[Sighting], n_events: int
    ) -> tuple[Tensor, Tensor]:
        """Places and precisions in the sky or on the ground, of images and of events."""
        if not sightings:
            if tokens.sky is None:
                raise ValueError("Neither keypoints nor a geometry give a direction.")
            return tokens.sky, weighted_sky_mean(tokens.sky, tokens.event, n_events)
        if name == self.sky_task:
            return sightings[-1].direction_of_images, sightings[-1].direction
        return sightings[-1].core_of_images, sightings[-1].core

    def _earlier(self, direction: Tensor, core: Tensor | None = None) -> dict[str, Tensor]:
        """Outputs of the tasks that have a direction and a core."""
        places = {self.sky_task: direction, self.ground_task: core}
        return {
            name: place_and_log_sigma(place) if name in self.with_uncertainty else place[:, :2]
            for name, place in places.items()
            if name is not None and place is not None
        }

    def _encoded(self, name: str, pixels: Tensor, counted: Tensor | None) -> Tensor:
        """What the encoder of a camera says of images, whose statistics are of the counted ones."""
        if counted is None or not self.training:
            return self._called(name, pixels)
        encoder = self.encoders[name]
        parts, rows = [], [torch.nonzero(kind).flatten() for kind in (counted, ~counted)]
        with kept_statistics(encoder):
            # Processes take statistics together, also where one has no image.
            if len(rows[0]) or is_synchronised(encoder):
                parts.append(self._called(name, pixels[rows[0]]))
            if len(rows[1]):
                with borrowed_statistics(encoder):
                    parts.append(self._called(name, pixels[rows[1]]))
        return torch.cat(parts)[torch.cat(rows).argsort()]

    def _called(self, name: str, pixels: Tensor) -> Tensor:
        encoder: Callable[[Tensor], Tensor] = self.encoders[name]
        if self.training and not len(pixels):
            # What torch has compiled for images does not compute without any.
            encoder = self.encoders[name].forward
        return encoder(pixels)

    def _described_images(
        self, name: str, camera: Any, shown: Tensor, counted: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What the encoder of a camera says of images, and its estimate of the direction.

        ``shown`` are the pixels that it sees; the state of sky and camera is that of all pixels.
        """
        encoded, estimate = self._encoded(name, shown, counted), None
        if self.with_sky:
            encoded, estimate = encoded.tensor_split([encoded.shape[1] - N_SKY], dim=1)
        if self.conditioning is not None:
            encoded = self.conditioning(encoded, camera.pixels, camera.sky, camera.noise)
        return encoded, estimate

    def decoded(self, images: Mapping[str, Any], hidden: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the decoders say of the pixels of images that are shown in part.

        Parameters
        ----------
        images : mapping of camera name to gammalearn.data.CameraImages
        hidden : mapping of camera name to Tensor of bool, shape (n_images, n_pixels)
            Pixels that the encoders do not see: they are as missing ones.

        Returns
        -------
        dict of str to Tensor, shape (n_images, n_decoded, n_pixels)
        """
        decoded = {}
        for name, camera in images.items():
            shown = camera.pixels.masked_fill(hidden[name].unsqueeze(1), 0)
            encoded, _ = self._described_images(name, camera, shown)
            decoded[name] = self.decoders[name](encoded)
        return decoded

    def _tokens(self, images: Mapping, counted: Tensor | None = None) -> Tokens:
        """What is known of each image, of all cameras."""

        def joined(name: str) -> Tensor:
            return torch.cat([getattr(camera, name) for camera in images.values()])

        position, pointing = joined("position") / POSITION_SCALE_M, joined("pointing")
        of_cameras: list[Tensor] = []
        estimates: list[Tensor] = []
        for name, camera in images.items():
            if not self.encoders:
                of_cameras.append(camera.position.new_zeros(len(camera.event), self.embedding))
                continue
            mine = None if counted is None else counted[camera.event]
            encoded, estimate = self._described_images(name, camera, camera.pixels, mine)
            if estimate is not None:
                seen_from_event = nn.functional.pad(camera.pointing, (0, N_SKY - 2))
                estimates.append(estimate + seen_from_event)
            of_cameras.append(encoded)
        features = of_images = torch.cat(of_cameras)
        descriptors = seen = None
        if self.norm is not None:
            features = self.norm(features)
        if self.geometry is not None and self.encoders:
            features, seen = torch.zeros_like(features), features
        if self.place is not None:
            features = features + self.place(torch.cat([position, pointing], dim=1))
        if self.describe is not None:
            descriptors = Descriptors.of(joined("scalars"), joined("vectors"), self.vectors)
            described = self.describe(self._described(descriptors, self.geometry is not None))
            if self.descriptor_conditioning is not None:
                described = self.descriptor_conditioning(described, None, joined("sky"))
            features = features + described
        return Tokens(
            features,
            joined("event"),
            position[:, :2],
            pointing,
            descriptors,
            torch.cat(estimates) if estimates else None,
            seen,
            of_images,
        )


#: Position of the last layer of a head.
LAST = 4


def _head(settings: NetworkSettings, n_outputs: int) -> nn.Sequential:
    """From the description of an image or an event to outputs."""
    return nn.Sequential(
        # Else a step too long can leave ReLUs without a single event that they let through.
        nn.LayerNorm(settings.embedding),
        nn.Linear(settings.embedding, settings.head),
        nn.ReLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.head, n_outputs),
    )
