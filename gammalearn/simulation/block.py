"""What a simulation hands over: the triggered events of some consecutive showers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

__all__ = [
    "DIGIT",
    "EVENT",
    "OBSERVED",
    "SHOWER",
    "EventBlock",
    "ObservedBlock",
    "TelescopeImages",
    "digits",
]

#: Least difference of charges (p.e.) and of times (ns) in images: a fortieth of the noise of a
#: pixel; digits below it would double the size of the files.
DIGIT = 1.0 / 32.0

#: One simulated shower, whether it triggered or not: its number, energy (TeV), the direction it
#: comes from (rad), height of its first interaction (m above sea level), slant depth of its
#: maximum and of its start (g/cm²), and the number that sim_telarray gives its primary.
SHOWER = np.dtype(
    [
        ("shower", np.int64),
        ("energy", np.float64),
        ("alt", np.float64),
        ("az", np.float64),
        ("h_first_int", np.float64),
        ("x_max", np.float64),
        ("starting_grammage", np.float64),
        ("shower_primary_id", np.int64),
    ]
)

#: One event that triggered the array: the row of its shower in the block, which use of the
#: shower it is, where that use hits the ground (m, ground frame), and its number,
#: 100 · shower + use as in sim_telarray.
EVENT = np.dtype(
    [
        ("row", np.int64),
        ("use", np.int32),
        ("core_x", np.float64),
        ("core_y", np.float64),
        ("event_id", np.int64),
    ]
)

#: One event of an observation, in the order of time: its number within the simulation, when it
#: comes (s after the start), ctapipe's type of event; and the truth, which no observatory has:
#: sim_telarray's number of the primary (-1 of a pedestal), the rest as in the types above.
OBSERVED = np.dtype(
    [
        ("event_id", np.int64),
        ("seconds", np.float64),
        ("event_type", np.int64),
        ("primary_id", np.int64),
        ("energy", np.float64),
        ("alt", np.float64),
        ("az", np.float64),
        ("core_x", np.float64),
        ("core_y", np.float64),
        ("h_first_int", np.float64),
        ("x_max", np.float64),
    ]
)


def digits(values: np.ndarray) -> np.ndarray:
    """Charges (p.e.) or times (ns), float32 of any shape, in the digits that carry information."""
    return np.round(values / DIGIT) * np.float32(DIGIT)


@dataclass(frozen=True)
class TelescopeImages:
    """Images of the telescopes of one type, each of a telescope that triggered."""

    event: np.ndarray
    """Row of the image's event in the block, never decreasing; shape (n,) of int64."""

    tel_id: np.ndarray
    """Shape (n,) of int16; those of one event differ and increase."""

    image: np.ndarray
    """Charge (p.e.); shape (n, n_pixels) of float32."""

    peak_time: np.ndarray
    """Time of the pulse (ns) in the readout window; shape (n, n_pixels) of float32."""

    true_image: np.ndarray
    """Photoelectrons from the shower; shape (n, n_pixels) of int32, or (n, 0) where no truth is
    written."""

    trigger_time: np.ndarray
    """Time of the trigger (ns) after the light front would hit the array's centre; shape (n,)
    of float64."""

    waveform: np.ndarray | None = None
    """Samples (p.e.) of the readout window, those of a pulse add up to its charge; shape
    (n, n_pixels, n_samples) of float32, or None where no waveforms are written."""


@dataclass(frozen=True)
class EventBlock:
    """Triggered events of consecutive showers."""

    showers: np.ndarray
    """Of type :data:`SHOWER`, all that were simulated, in order."""

    events: np.ndarray
    """Of type :data:`EVENT`, in order of event_id."""

    telescopes: Mapping[str, TelescopeImages]
    """By name of the telescope model; a type without images may be missing."""

    core_distance: np.ndarray
    """How far (m) the axis of each use of each shower passes the array's centre, perpendicular
    to the axis, triggered or not; shape (n_showers, reuse) of float32."""


@dataclass(frozen=True)
class ObservedBlock:
    """Events that come one after the other in an observation."""

    events: np.ndarray
    """Of type :data:`OBSERVED`, in the order of time."""

    telescopes: Mapping[str, TelescopeImages]
    """By name of the telescope model, without true images; a type without images may be missing."""

    n_thrown: Mapping[str, int]
    """Showers that were simulated, by particle."""
