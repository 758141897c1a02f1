"""One result an event from those of its telescopes."""

from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.table import Column, QTable, Table

from ..event_table import NO_TELESCOPE, SUBARRAY, EventTable
from ..quantities import MAIN_QUANTITIES, QUANTITIES, Quantity

__all__ = ["WEIGHTS", "combine_telescopes"]

#: ctapipe's weights → image parameters that they are made of.
WEIGHTS = {
    "none": (),
    "intensity": ("hillas_intensity",),
    "konrad": ("hillas_intensity", "hillas_length", "hillas_width"),
}

#: Name of the results while ctapipe works on them.
PREFIX = "mean"


def combine_telescopes(images: QTable, weights: str = "none") -> QTable:
    """Mean of the telescopes' results of each event, by ctapipe's ``StereoMeanCombiner``.

    The energy is the mean of its logarithms, the direction that of the unit vectors (whatever the
    azimuth and the zenith distance), the gammaness the plain mean, of all telescopes with a valid
    result (and weight). What is valid for no telescope is invalid for the event.

    Parameters
    ----------
    images : astropy.table.QTable
        From `read_events`, at telescope level, with the parameters that the weights need.
    weights : str
        ``none``: all telescopes count alike, ctapipe's default; ``intensity``: by the light of
        their images; ``konrad``: by intensity · length / width.

    Returns
    -------
    events : astropy.table.QTable
        As from `read_events` at subarray level, in the order of the events' first images;
        ``multiplicity`` counts the telescopes with any valid result.
    """
    of_images = EventTable.of(images)
    _, first, event = np.unique(_events(images), axis=0, return_index=True, return_inverse=True)
    by_first = np.argsort(first)
    event = np.argsort(by_first)[event.reshape(-1)]

    # ctapipe takes the images of an event to lie side by side.
    order = np.argsort(event, kind="stable")
    images, event = images[order], event[order]
    events = images[np.flatnonzero(np.diff(event, prepend=-1))]
    events["tel_id"] = np.full(len(events), NO_TELESCOPE)

    for quantity in QUANTITIES.values():
        # What single telescopes give besides is not that of their mean.
        besides = [*quantity.optional, *([] if quantity.is_main else quantity.columns)]
        events.remove_columns(set(besides) & set(events.colnames))

    used = np.zeros(len(images), dtype=bool)
    for quantity in (MAIN_QUANTITIES[name] for name in of_images.algorithms):
        valid = np.array(quantity.is_known(images))
        for name in WEIGHTS[weights]:
            valid &= np.isfinite(images[name])
        used |= valid
        means = _mean(images, event, quantity, valid, weights) if np.any(valid) else None
        for name, (suffix, unit) in quantity.columns.items():
            values = np.full(len(events), np.nan) if means is None else means[f"{PREFIX}_{suffix}"]
            events[name] = u.Quantity(values, getattr(values, "unit", None) or unit).to(unit)
        events[f"{quantity.name}_is_valid"] = np.isfinite(events[name])
    events["multiplicity"] = np.bincount(event, used, len(events)).astype(np.int64)
    events.meta = replace(of_images, level=SUBARRAY).to_meta()
    return events


def _events(images: QTable) -> np.ndarray:
    """What the images of one event share alone, shape (n_images, n).

    Files of several pointings repeat obs_id and event_id, and the same shower may be seen by
    each: where a telescope would have several images of an event, the pointing tells.
    """
    keys = np.column_stack([images[name] for name in ("file", "obs_id", "event_id", "shower")])
    event = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    pairs = np.column_stack([event, images["tel_id"]])
    unique, count = np.unique(pairs, axis=0, return_counts=True)
    repeated = np.isin(event, unique[count > 1, 0])
    if not np.any(repeated):
        return keys
    pointing = [images[f"pointing_{angle}"].to_value(u.deg) for angle in ("alt", "az")]
    pointing = np.nan_to_num(np.column_stack(pointing))
    return np.column_stack([keys, np.where(repeated[:, None], pointing, 0)])


def _mean(
    images: QTable, event: np.ndarray, quantity: Quantity, valid: np.ndarray, weights: str
) -> Table:
    """What ctapipe makes of the images, one row an event."""
    # Only where it is needed: with it ctapipe loads scikit-learn's estimators, and these torch.
    from ctapipe.reco import ReconstructionProperty
    from ctapipe.reco.stereo_combination import StereoMeanCombiner

    # Ids may repeat between files: the running number does for both.
    table = Table({"obs_id": event, "event_id": event, "tel_id": np.asarray(images["tel_id"])})
    for name, (suffix, unit) in quantity.columns.items():
        values = u.Quantity(images[name], unit).value
        table[f"{PREFIX}_tel_{suffix}"] = Column(values, unit=unit)
    table[f"{PREFIX}_tel_is_valid"] = valid
    for name in WEIGHTS[weights]:
        table[name] = np.asarray(images[name])
    combiner = StereoMeanCombiner(
        prefix=PREFIX,
        property=ReconstructionProperty[quantity.ctapipe_property],
        log_target=quantity.is_logarithmic,
        weights=weights,
    )
    return combiner.predict_table(table)
