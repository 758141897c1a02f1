"""Slots: telescopes that a network of fixed ones can take."""

from collections.abc import Iterable

import numpy as np

from ...errors import DataError
from ...settings import NetworkSettings
from .events import EventIndex

__all__ = ["check_slots"]


def check_slots(settings: NetworkSettings, indices: Iterable[EventIndex]) -> None:
    """Refuse events with a telescope that has no slot, where the network has those of fixed ones.

    Parameters
    ----------
    settings : gammalearn.settings.NetworkSettings
    indices : iterable of EventIndex

    Raises
    ------
    DataError
        If an event has such a telescope.
    """
    for index in indices if settings.telescopes else []:
        others = ~np.isin(index.images["tel_id"], settings.telescopes or ())
        if others.any():
            image = index.images[np.argmax(others)]
            file = index.files[index.events["file"][image["event"]]]
            raise DataError(
                f"'{file}' has events of telescope {image['tel_id']}, which has no slot in "
                f"network.telescopes={settings.telescopes}; leave it out with data.telescopes, or "
                "set network.fusion to attention, which takes any telescopes."
            )
