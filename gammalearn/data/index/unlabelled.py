"""Unlabelled events: those that take part in a training without their truth."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...camera import CameraType
from ...settings import DataSettings
from ..readers.reader import TRUTH_UNITS
from .cuts import names_in
from .events import EventIndex

__all__ = ["cuts_of_truth", "index_unlabelled"]

log = logging.getLogger(__name__)

#: Columns of the event table that only simulated events have.
TRUTH = {*TRUTH_UNITS, "particle", "spectral_index"}


def cuts_of_truth(settings: DataSettings) -> list[str]:
    """The cuts that name the truth, and so cannot apply to unlabelled events.

    Parameters
    ----------
    settings : gammalearn.settings.DataSettings
    """
    cuts = settings.cuts
    expressions = [*cuts.image, *(e for of_type in cuts.telescope.values() for e in of_type)]
    return [e for e in [*expressions, *cuts.event] if TRUTH & names_in([e])]


def index_unlabelled(
    files: Sequence[Path],
    settings: DataSettings,
    cameras: Sequence[CameraType] | None = None,
    parameters: Sequence[str] = (),
    processes: int = 0,
) -> EventIndex:
    """Index files whose truth, if they have some, is not used.

    Parameters
    ----------
    files : sequence of Path
    settings : gammalearn.settings.DataSettings
        Its cuts apply, but for those that name the truth.
    cameras : sequence of CameraType, optional
        Those of the training events; others are refused. By default all.
    parameters : sequence of str
        DL1 image parameters to have of each image.
    processes : int
        Processes that index at a time.

    Returns
    -------
    EventIndex
        Without particle, truth and spectral index, also of simulated events; each event is a
        shower of its own.

    Raises
    ------
    DataError
        If a file cannot be used, or nothing is left by the selection.
    """
    dropped = set(cuts_of_truth(settings))
    if dropped:
        log.warning(
            "Cuts that name the truth do not apply to unlabelled events: %s.",
            "; ".join(sorted(dropped)),
        )

    def kept(expressions: Sequence[str]) -> list[str]:
        return [e for e in expressions if e not in dropped]

    cuts = settings.cuts
    cuts = cuts.model_copy(
        update={
            "image": kept(cuts.image),
            "telescope": {name: kept(of_type) for name, of_type in cuts.telescope.items()},
            "event": kept(cuts.event),
        }
    )
    settings = settings.model_copy(update={"cuts": cuts})
    index = EventIndex.build(
        files, settings, cameras=cameras, processes=processes, parameters=parameters
    )
    # Nothing after this can see what was simulated.
    for name in TRUTH - {"particle"}:
        index.events[name][:] = np.nan
    index.events["particle"][:] = ""
    # Those of simulated showers are made of their truth, and would decide on the split.
    index.events["shower_id"][:] = index.events["event_id"]
    return index
