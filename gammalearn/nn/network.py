"""The whole network, from the images of a batch to one output a task and event.

::

    camera A images ─► encoder A ─┐  + telescope position and pointing
    camera B images ─► encoder B ─┴─► all images ─┬─► fusion ─► event ─► heads ──────────► + ─►
                                                  └─► estimates of each image ─► weighted mean ─┘

Each image by itself gives an estimate for each task and says how much it is worth. What the event
adds begins at zero: from the start on, many telescopes are better than one.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from .backbones import build_backbone
from .fusion import ConcatenationFusion, build_fusion
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
        The task, if any, whose first outputs are an offset in the sky (fov_lon, fov_lat) in deg.
        With ``settings.keypoints`` images give their estimates of it as places and precisions, see
        `gammalearn.nn.readout.SkyEstimate`.
    with_uncertainty : collection of str
        Tasks whose last output is the logarithm of the others' standard deviation. Their images
        are worth as much as they are precise.
    """

    def __init__(
        self,
        cameras,
        n_channels: int,
        outputs: Mapping[str, int],
        settings,
        sky_task: str | None = None,
        with_uncertainty: Collection[str] = (),
    ):
        super().__init__()
        self.with_uncertainty = frozenset(with_uncertainty)
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
        #: Pixels of each camera.
        self.n_pixels = {camera.name: camera.grid.n_pixels for camera in cameras}
        n_place = 5  # position (3) and pointing (2)
        self.place = nn.Linear(n_place, settings.embedding)
        self.fusion = build_fusion(settings)
        self.heads = nn.ModuleDict(
            {name: _head(settings, n_outputs) for name, n_outputs in outputs.items()}
        )
        for head in self.heads.values():
            nn.init.zeros_(head[-1].weight)
            nn.init.zeros_(head[-1].bias)
        # One output more where the task has no uncertainty: the logarithm of an image's weight.
        self.image_heads = nn.ModuleDict(
            {
                name: _head(settings, n_outputs + (name not in self.with_uncertainty))
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
            encoder = self.encoders[name]
            if self.training and not len(camera.pixels):
                # What torch has compiled for images does not compute without any.
                encoder = encoder.forward
            encoded = encoder(camera.pixels)
            if self.sky_task:
                encoded, estimate = encoded.tensor_split([encoded.shape[1] - N_SKY], dim=1)
                seen_from_event = nn.functional.pad(camera.pointing, (0, N_SKY - 2))
                estimates.append(estimate + seen_from_event)
            features.append(encoded + self.place(place))
            events.append(camera.event)
        events, features = torch.cat(events), torch.cat(features)
        slots = []
        if isinstance(self.fusion, ConcatenationFusion):
            slots = [torch.cat([camera.tel_id for camera in images.values()])]
        event = self.fusion(features, events, n_events, *slots)
        outputs, of_images = {}, {}
        for name, head in self.heads.items():
            with_uncertainty = name in self.with_uncertainty
            if name == self.sky_task:
                given = torch.cat(estimates)
                mean = weighted_sky_mean(given, events, n_events)
                if with_uncertainty:
                    given, mean = place_and_log_sigma(given), place_and_log_sigma(mean)
            else:
                given = self.image_heads[name](features)
                join = most_likely_mean if with_uncertainty else weighted_mean
                mean = join(given, events, n_events)
            n_outputs = head[-1].out_features
            outputs[name] = head(event) + mean[:, :n_outputs]
            of_images[name] = given[:, :n_outputs]
        return outputs, of_images, events


def _head(settings, n_outputs: int) -> nn.Sequential:
    """From the description of an image or an event to outputs."""
    return nn.Sequential(
        # Else a step too long can leave ReLUs without a single event that they let through.
        nn.LayerNorm(settings.embedding),
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
    outputs, log_weight = estimates.float().tensor_split([estimates.shape[1] - 1], dim=1)
    return _mean_and_weight(outputs, log_weight.clamp(-6, 6).exp(), event, n_events)[0]


def most_likely_mean(estimates: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Mean of what the images of an event give, with the uncertainties that they give.

    The value of the greatest likelihood where each image's is normally distributed, and its
    standard deviation where their errors have nothing in common: weights are 1 / σ², and the
    mean's σ is (Σ 1 / σ²)^(−1/2). What errors have in common is left to the event's head to add.

    Parameters
    ----------
    estimates : Tensor, shape (n_images, n_outputs)
        Values and the logarithm of their standard deviation, which counts up to ±6.
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    n_events : int

    Returns
    -------
    Tensor, shape (n_events, n_outputs)
    """
    values, log_sigma = estimates.float().tensor_split([estimates.shape[1] - 1], dim=1)
    precision = torch.exp(-2 * log_sigma.clamp(-6, 6))
    mean, precision = _mean_and_weight(values, precision, event, n_events)
    return torch.cat([mean, -precision.log() / 2], dim=1)


def _mean_and_weight(values, weight, event, n_events) -> tuple[Tensor, Tensor]:
    """Weighted mean of the values of each event's images, and the sum of their weights."""
    terms = torch.cat([values * weight, weight], dim=1)
    total = terms.new_zeros(n_events, terms.shape[1]).index_add(0, event, terms)
    return total[:, :-1] / total[:, -1:], total[:, -1:]


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
    Tensor, shape (n_events, N_SKY)
        Places and precision matrices.
    """
    lon, lat, xx, xy, yy = estimates.float().unbind(dim=1)
    terms = torch.stack([xx, xy, yy, xx * lon + xy * lat, xy * lon + yy * lat], dim=1)
    total = terms.new_zeros(n_events, 5).index_add(0, event, terms)
    xx, xy, yy, at_lon, at_lat = total.unbind(dim=1)
    determinant = xx * yy - xy * xy
    place = torch.stack([yy * at_lon - xy * at_lat, xx * at_lat - xy * at_lon], dim=1)
    return torch.cat([place / determinant.unsqueeze(1), total[:, :3]], dim=1)


def place_and_log_sigma(estimates: Tensor) -> Tensor:
    """Places in the sky with one uncertainty each, which is alike in all directions.

    Its square is the mean of the variances in two coordinates, half the trace of P⁻¹.

    Parameters
    ----------
    estimates : Tensor, shape (n_estimates, N_SKY)
        Place and precision matrix P.

    Returns
    -------
    Tensor, shape (n_estimates, 3)
        Place (deg) and the logarithm of the standard deviation (deg) in each coordinate.
    """
    lon, lat, xx, xy, yy = estimates.float().unbind(dim=1)
    log_sigma = torch.log((xx + yy) / (2 * (xx * yy - xy * xy))) / 2
    return torch.stack([lon, lat, log_sigma], dim=1)
