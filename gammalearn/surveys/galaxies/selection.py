"""Selection: galaxies whose cut-outs can be used; the others are counted."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ...errors import InputFileError
from ..catalogue import Catalogue
from ..cutouts import blocks

__all__ = ["alike_and_usable", "check_alike", "check_cutouts", "cutouts_and_dust", "kept", "usable"]

log = logging.getLogger(__name__)

#: Least number of pixels of a side.
FEWEST_PIXELS = 16

#: Part by which the sizes of pixels may differ.
SAME_SCALE = 0.01


def check_cutouts(catalogue: Catalogue, what: str) -> None:
    """Refuse catalogues whose cut-outs no network can be made for.

    Raises
    ------
    InputFileError
    """
    if catalogue.cutouts is None:
        raise InputFileError(f"{what} has no cut-outs; give catalogues with them.")
    n_pixels, n_bands = catalogue.cutouts.shape[-1], len(catalogue.bands)
    if n_pixels < FEWEST_PIXELS or n_pixels % 8:
        raise InputFileError(
            f"{what} has cut-outs of {n_pixels} x {n_pixels} pixels; give some of {FEWEST_PIXELS} "
            "or more, a multiple of 8, such as 64 x 64."
        )
    if n_bands < 2:
        raise InputFileError(
            f"{what} has cut-outs in the band {catalogue.bands[0]} alone, and colours need two; "
            "give catalogues with more bands."
        )


def check_alike(
    catalogue: Catalogue, bands: list[str], n_pixels: int, pixel_scale: float, what: str
) -> Catalogue:
    """The catalogue with bands in the order of a network, if its cut-outs are as its are.

    Raises
    ------
    InputFileError
        If bands, number of pixels or their size are others.
    """
    check_cutouts(catalogue, what)
    cutouts = catalogue.cutouts
    if cutouts is None or cutouts.shape[-1] != n_pixels:
        size = 0 if cutouts is None else cutouts.shape[-1]
        raise InputFileError(
            f"{what} has cut-outs of {size} x {size} pixels, and the network was made for "
            f"{n_pixels} x {n_pixels}; make cut-outs of that size, or train a network with these."
        )
    for name, known, whose in (
        *((name, bands, "the network does not have") for name in catalogue.bands),
        *((name, list(catalogue.bands), "it does not have") for name in bands),
    ):
        if name not in known:
            raise InputFileError(
                f"{what} has cut-outs in {', '.join(catalogue.bands)}, and the network was made "
                f"for {', '.join(bands)}: the band '{name}' is one that {whose}; give cut-outs in "
                "the bands of the network, or train one with these."
            )
    scale = catalogue.pixel_scale
    both = np.isfinite(scale) and np.isfinite(pixel_scale)
    if both and abs(scale / pixel_scale - 1) > SAME_SCALE:
        raise InputFileError(
            f"{what} has pixels of {scale:g} arcsec, and the network was made for {pixel_scale:g} "
            "arcsec; resample the cut-outs, or train a network with these."
        )
    order = [catalogue.bands.index(name) for name in bands]
    return replace(catalogue, bands=tuple(bands), cutouts=cutouts.with_bands(order))


def usable(catalogue: Catalogue) -> Catalogue:
    """The galaxies whose cut-outs and reddening are finite; the others are counted.

    Parameters
    ----------
    catalogue : Catalogue
        With cut-outs.
    """
    if catalogue.cutouts is None:
        return catalogue
    whole = [np.isfinite(block).all(axis=(1, 2, 3)) for block in blocks(catalogue.cutouts)]
    finite = np.concatenate([np.empty(0, dtype=bool), *whole])
    dusty = np.isfinite(np.asarray(catalogue.objects["ebv"], dtype=float))
    return kept(
        catalogue,
        {
            "galaxies with a band or pixels that are missing (left out)": finite,
            "galaxies without E(B-V) (left out)": dusty | ~finite,
        },
    )


def kept(catalogue: Catalogue, conditions: dict[str, np.ndarray]) -> Catalogue:
    """The objects that meet all conditions; how many do not is counted by its words.

    Parameters
    ----------
    catalogue : Catalogue
    conditions : dict of str to ndarray of bool, shape (n_objects,)
        By what is counted.
    """
    good = np.all(list(conditions.values()), axis=0)
    counted = {what: int((~one).sum()) for what, one in conditions.items() if not one.all()}
    if not counted:
        return catalogue
    return replace(catalogue.select(good), faults={**catalogue.faults, **counted})


def alike_and_usable(catalogue: Catalogue, seen: Mapping[str, Any], what: str) -> Catalogue:
    """The galaxies that a network can predict; it is said how many others there are.

    Parameters
    ----------
    catalogue : Catalogue
    seen : mapping of str to object
        ``bands``, ``n_pixels`` and ``pixel_scale`` of the network.
    what : str
        Which catalogue it is.

    Raises
    ------
    InputFileError
        If bands, number of pixels or their size are others.
    """
    alike = check_alike(catalogue, seen["bands"], seen["n_pixels"], seen["pixel_scale"], what)
    whole = usable(alike)
    for fault, number in whole.faults.items():
        if fault not in alike.faults:
            log.warning("%d %s.", number, fault)
    return whole


def cutouts_and_dust(
    catalogue: Catalogue, progress: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All cut-outs and their E(B-V), some at a time.

    Parameters
    ----------
    catalogue : Catalogue
    progress : bool
        Show a progress bar.

    Raises
    ------
    InputFileError
        If there are none.
    """
    if catalogue.cutouts is None or not len(catalogue):
        raise InputFileError("No galaxy is left to predict; give catalogues with whole cut-outs.")
    dust, first = np.asarray(catalogue.objects["ebv"], dtype=float), 0
    bar = tqdm(total=len(catalogue), unit=" galaxies", desc="Predicting", disable=not progress)
    with bar:
        for images in blocks(catalogue.cutouts):
            yield images, dust[first : first + len(images)]
            first += len(images)
            bar.update(len(images))
