"""What the result of a supernova comes from: its observations, one by one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure as Picture
from torch import Tensor

from ...plotting.style import PALETTE, picture_style
from ..explanation.objects import ObjectExplanation
from .light_curves import LightCurves

__all__ = ["draw_explanation", "patches", "without"]


def patches(curves: LightCurves) -> np.ndarray:
    """Each observation of a light curve, shape (n_observations, n_nights, n_bands)."""
    observed = curves.observed[0].numpy()
    masks = np.zeros((observed.sum(), *observed.shape), dtype=bool)
    masks[(np.arange(len(masks)), *np.nonzero(observed))] = True
    return masks


def without(curves: LightCurves, masks: Tensor) -> LightCurves:
    """Light curves in which some fluxes were not observed."""
    return replace(curves, observed=curves.observed & ~masks)


def draw_explanation(explanation: ObjectExplanation, bands: Sequence[str]) -> Picture:
    """The light curve, and below it what each observation gives to the result."""
    curves: LightCurves = explanation.views
    observed, time = curves.observed[0].numpy(), curves.time[0].numpy()
    flux, error = curves.flux[0].numpy(), curves.error[0].numpy()
    with picture_style():
        picture = Picture(figsize=(7.5, 8.0), layout="constrained")
        picture.suptitle(explanation.title)
        light, shares, changes = picture.subplots(3, sharex=True)
        for number, band in enumerate(bands):
            seen, color = observed[:, number], PALETTE[number % len(PALETTE)]
            when = time[seen]
            light.errorbar(
                when,
                flux[seen, number],
                error[seen, number],
                fmt="o",
                ms=4,
                color=color,
                label=band,
            )
            shares.vlines(when, 0, explanation.shares[seen, number], color=color)
            shares.plot(when, explanation.shares[seen, number], "o", ms=4, color=color)
            changes.vlines(when, 0, explanation.changes[seen, number], color=color)
            changes.plot(when, explanation.changes[seen, number], "o", ms=4, color=color)
        light.set_ylabel("flux (largest is 1)")
        light.legend(ncols=min(len(bands), 6))
        shares.set_ylabel("integrated gradient")
        changes.set_ylabel("change with the observation")
        changes.set_xlabel("days from the night with the largest signal to noise")
        for axes in (shares, changes):
            axes.axhline(0, color="0.6", lw=0.8)
        for axes in (light, shares, changes):
            axes.grid(alpha=0.3)
    return picture
