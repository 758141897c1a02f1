"""Dead time: while cameras are read out, they see nothing.

ctapipe's data model has no place for it. Its home is an attribute of the table of observation
blocks: the time (s) that the readout of one event takes. ctapipe copies the attribute with the
table, from DL1 to DL2 and into merged files. With the number of events that were read out and the
duration of the observation, which the data model has, it gives the dead-time fraction.
"""

import numpy as np
import tables
from ctapipe.io import read_table

from ..ctapipe_tables import OBSERVATION, TRIGGER

__all__ = ["READOUT_DEAD_TIME", "dead_time_fraction", "write_dead_time"]

#: Attribute of the table of observation blocks: time (s) that one event keeps the cameras busy.
READOUT_DEAD_TIME = "READOUT_DEAD_TIME"


def write_dead_time(file: tables.File, seconds: float) -> None:
    """Write the dead time of one event into a file that has its observation blocks.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    seconds : float
        Time (s) after a trigger in which no other event is recorded.
    """
    file.get_node(OBSERVATION)._v_attrs[READOUT_DEAD_TIME] = float(seconds)


def dead_time_fraction(file: tables.File) -> dict[int, float]:
    """The part of each observation in which the cameras were busy with reading out.

    A trigger within the dead time of an event is lost and does not prolong it: the fraction is the
    number of recorded events, calibration included, times the dead time of one, over the duration.

    Parameters
    ----------
    file : tables.File
        In ctapipe's data model, DL1 or DL2, with the events of the trigger table.

    Returns
    -------
    dict of int to float
        Fraction, from 0 to 1, by obs_id. Observations are missing of which the file does not tell
        the dead time of an event, or the actual duration.
    """
    if OBSERVATION not in file or TRIGGER not in file:
        return {}
    attributes = file.get_node(OBSERVATION)._v_attrs
    if READOUT_DEAD_TIME not in attributes:
        return {}
    dead_time = float(attributes[READOUT_DEAD_TIME])
    blocks = read_table(file, OBSERVATION)
    duration = blocks["actual_duration"].quantity.to_value("s")
    events = file.get_node(TRIGGER).col("obs_id").astype(np.int64)
    fractions = {}
    for obs_id, seconds in zip(blocks["obs_id"].astype(np.int64), duration, strict=True):
        if np.isfinite(seconds) and seconds > 0:
            fraction = np.sum(events == obs_id) * dead_time / seconds
            fractions[int(obs_id)] = float(np.clip(fraction, 0, 1))
    return fractions
