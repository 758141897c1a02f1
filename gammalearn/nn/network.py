"""The whole network, from the images of a batch to one output a task and event.

::

    camera A images ─► encoder A ─┐  + telescope position and pointing
    camera B images ─► encoder B ─┴─► all images ─► fusion ─► event ─┬─► head energy
                                                                     ├─► head direction
                                                                     └─► …
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .backbones import build_backbone
from .fusion import build_fusion

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
    """

    def __init__(self, cameras, n_channels: int, outputs: Mapping[str, int], settings):
        super().__init__()
        self.encoders = nn.ModuleDict(
            {camera.name: build_backbone(settings, camera.grid, n_channels) for camera in cameras}
        )
        n_place = 5  # position (3) and pointing (2)
        self.place = nn.Linear(n_place, settings.embedding)
        self.fusion = build_fusion(settings)
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(settings.embedding, settings.head),
                    nn.ReLU(),
                    nn.Dropout(settings.dropout),
                    nn.Linear(settings.head, n_outputs),
                )
                for name, n_outputs in outputs.items()
            }
        )

    def forward(self, images: Mapping, n_events: int) -> dict[str, Tensor]:
        """Outputs of all tasks.

        Parameters
        ----------
        images : mapping of camera name to gammalearn.data.CameraImages
        n_events : int
            Number of events the images belong to.

        Returns
        -------
        dict of str to Tensor, shape (n_events, n_outputs)
        """
        features, events = [], []
        for name, camera in images.items():
            place = torch.cat([camera.position / POSITION_SCALE_M, camera.pointing], dim=1)
            features.append(self.encoders[name](camera.pixels) + self.place(place))
            events.append(camera.event)
        event = self.fusion(torch.cat(features), torch.cat(events), n_events)
        return {name: head(event) for name, head in self.heads.items()}
