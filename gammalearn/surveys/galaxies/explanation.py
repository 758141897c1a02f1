"""What the result of a cut-out comes from: its pixels, and squares of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.image import AxesImage
from torch import Tensor

from ...plotting.style import picture_style
from ..explanation.objects import ObjectExplanation
from .views import Images

__all__ = ["draw_explanation", "patches", "without"]

#: Squares along each side of a cut-out.
SQUARES = 8


def patches(images: Images) -> np.ndarray:
    """Squares of a cut-out in all bands, shape (n_squares, n_bands, n_pixels, n_pixels)."""
    n_bands, n_pixels = images.flux.shape[1:3]
    square = np.arange(n_pixels) * SQUARES // n_pixels
    number = square[:, None] * SQUARES + square
    masks = number == np.arange(SQUARES**2)[:, None, None]
    return np.repeat(masks[:, None], n_bands, axis=1)


def without(images: Images, masks: Tensor) -> Images:
    """Cut-outs with empty sky in some pixels."""
    return replace(images, flux=images.flux * ~masks)


def draw_explanation(explanation: ObjectExplanation, bands: Sequence[str]) -> Picture:
    """Each band of a cut-out, what its pixels give to the result, and what squares of it give."""
    flux, shares = explanation.views.flux[0].numpy(), explanation.shares
    with picture_style():
        picture = Picture(figsize=(2.4 * len(bands) + 2.8, 5.6), layout="constrained")
        picture.suptitle(explanation.title)
        rows = picture.subplots(2, len(bands) + 1)
        for number, band in enumerate(bands):
            # Faint pixels are seen beside bright ones.
            bright = np.arcsinh(flux[number] / (flux[number].std() or 1.0))
            rows[0, number].imshow(bright, cmap="gray", origin="lower")
            rows[0, number].set_title(band)
            drawn = _signed(rows[1, number], shares[number], shares)
        rows[0, 0].set_ylabel("flux")
        rows[1, 0].set_ylabel("integrated gradient")
        picture.colorbar(drawn, ax=rows[1, -2])
        # All bands of a square are left out together.
        changes = explanation.changes[0]
        picture.colorbar(_signed(rows[1, -1], changes, changes), ax=rows[1, -1])
        rows[1, -1].set_title("change with a square")
        rows[0, -1].set_visible(False)
        for axes in rows.ravel():
            axes.set_xticks([])
            axes.set_yticks([])
    return picture


def _signed(axes: Axes, values: np.ndarray, of_all: np.ndarray) -> AxesImage:
    """Draw values around zero; some pixels may be beyond the colours."""
    largest = float(np.quantile(np.abs(of_all), 0.999)) or 1.0
    return axes.imshow(values, cmap="RdBu_r", vmin=-largest, vmax=largest, origin="lower")
