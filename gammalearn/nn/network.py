"""The whole network, from the images of a batch to one output a task and event.

::

    camera A images ─► encoder A ─┐  + telescope position and pointing
    camera B images ─► encoder B ─┴─► all images ─┬─► fusion ─► event ─► heads ──────────► + ─►
                                                  └─► estimates of each image ─► weighted mean ─┘

Each image by itself gives an estimate for each task and says how much it is worth. What the event
adds begins at zero: from the start on, many telescopes are better than one.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .backbones import build_backbone
from .fusion import build_fusion
from .readout import N_SKY

__all__ = ["ReconstructionNetwork"]

#: Scale of telescope positions: telescopes stand some 100 m apart.
POSITION_SCALE_M = 100.0


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
        The task, if any, whose outputs are an offset in the sky (fov_lon, fov_lat) in deg. With
        ``settings.keypoints`` images give their estimates of it as places and precisions, see
        `gammalearn.nn.readout.SkyEstimate`.
    """

    def __init__(
        self,
        cameras,
        n_channels: int,
        outputs: Mapping[str, int],
        settings,
        sky_task: str | None = None,
    ):
        super().__init__()
        self.sky_task = sky_task if settings.keypoints else None
        self.encoders = nn.ModuleDict(
            {
                camera.name: build_backbone(
                    settings,
                    camera.grid,
                    n_channels,
                    sky=camera.sky_of_cells if self.sky_task else None,
                )
                for camera in cameras
            }
        )
        n_place = 5  # position (3) and pointing (2)
        self.place = nn.Linear(n_place, settings.embedding)
        self.fusion = build_fusion(settings)
        self.heads = nn.ModuleDict(
            {name: _head(settings, n_outputs) for name, n_outputs in outputs.items()}
        )
        for head in self.heads.values():
            nn.init.zeros_(head[-1].weight)
            nn.init.zeros_(head[-1].bias)
        # One output more than the task has: the logarithm of an image's weight.
        self.image_heads = nn.ModuleDict(
            {
                name: _head(settings, n_outputs + 1)
                for name, n_outputs in outputs.items()
                if name != self.sky_task
            }
        )

    def forward(self, images: Mapping, n_events: int) -> dict[str, Tensor]:
        """Outputs of all tasks, see `of_events_and_images`."""
        return self.of_events_and_images(images, n_events)[0]

    def of_events_and_images(
        self, images: Mapping, n_events: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Outputs of all tasks, and what each image gives for them.

        Parameters
        ----------
        images : mapping of camera name to gammalearn.data.CameraImages
        n_events : int
            Number of events the images belong to.

        Returns
        -------
        outputs : dict of str to Tensor, shape (n_events, n_outputs)
        of_images : dict of str to Tensor, shape (n_images, n_outputs)
        event : Tensor of int64, shape (n_images,)
            Row of each image's event.
        """
        features, events, estimates = [], [], []
        for name, camera in images.items():
            place = torch.cat([camera.position / POSITION_SCALE_M, camera.pointing], dim=1)
            encoded = self.encoders[name](camera.pixels)
            if self.sky_task:
                encoded, estimate = encoded.tensor_split([encoded.shape[1] - N_SKY], dim=1)
                seen_from_event = nn.functional.pad(camera.pointing, (0, N_SKY - 2))
                estimates.append(estimate + seen_from_event)
            features.append(encoded + self.place(place))
            events.append(camera.event)
        events, features = torch.cat(events), torch.cat(features)
        event = self.fusion(features, events, n_events)
        outputs, of_images = {}, {}
        for name, head in self.heads.items():
            if name == self.sky_task:
                given = torch.cat(estimates)
                mean = weighted_sky_mean(given, events, n_events)
            else:
                given = self.image_heads[name](features)
                mean = weighted_mean(given, events, n_events)
            outputs[name] = head(event) + mean
            of_images[name] = given[:, : outputs[name].shape[1]]
        return outputs, of_images, events


def _head(settings, n_outputs: int) -> nn.Sequential:
    """From the description of an image or an event to outputs."""
    return nn.Sequential(
        nn.Linear(settings.embedding, settings.head),
        nn.ReLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.head, n_outputs),
    )


def weighted_mean(estimates: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Mean of what the images of an event give, with the weights that they give.

    Parameters
    ----------
    estimates : Tensor, shape (n_images, n_outputs + 1)
        Outputs and the logarithm of the weight, which counts up to ±6.
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    n_events : int

    Returns
    -------
    Tensor, shape (n_events, n_outputs)
    """
    outputs, weight = estimates.float().tensor_split([estimates.shape[1] - 1], dim=1)
    weight = weight.clamp(-6, 6).exp()
    terms = torch.cat([outputs * weight, weight], dim=1)
    total = terms.new_zeros(n_events, terms.shape[1]).index_add(0, event, terms)
    return total[:, :-1] / total[:, -1:]


def weighted_sky_mean(estimates: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Mean of the places that the images of an event give, weighted with their precisions.

    The place of the greatest likelihood where each image's is normally distributed,
    (Σ P)⁻¹ Σ P x. Long images that cross give the point where their axes do.

    Parameters
    ----------
    estimates : Tensor, shape (n_images, N_SKY)
        Place and precision matrix of each image, see `gammalearn.nn.readout.SkyEstimate`.
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    n_events : int

    Returns
    -------
    Tensor, shape (n_events, 2)
    """
    lon, lat, xx, xy, yy = estimates.float().unbind(dim=1)
    terms = torch.stack([xx, xy, yy, xx * lon + xy * lat, xy * lon + yy * lat], dim=1)
    total = terms.new_zeros(n_events, 5).index_add(0, event, terms)
    xx, xy, yy, at_lon, at_lat = total.unbind(dim=1)
    determinant = xx * yy - xy * xy
    place = torch.stack([yy * at_lon - xy * at_lat, xx * at_lat - xy * at_lon], dim=1)
    return place / determinant.unsqueeze(1)
