"""Which telescopes of an array the settings mean."""

from collections.abc import Sequence

from ctapipe.instrument import SubarrayDescription

from ...errors import DataError

__all__ = ["chosen_telescopes", "telescopes_matching"]


def chosen_telescopes(
    subarray: SubarrayDescription, selectors: Sequence | None, source: object
) -> set[int]:
    """Ids of the telescopes that ``data.telescopes`` chooses, of all if it is None.

    Parameters
    ----------
    subarray : SubarrayDescription
    selectors : sequence of int or str, optional
    source : object
        Where the subarray comes from, for the error.

    Raises
    ------
    DataError
        If a selector is of no telescope.
    """
    if selectors is None:
        return {int(tel_id) for tel_id in subarray.tel}
    chosen = set()
    for selector in selectors:
        matches = telescopes_matching(subarray, selector)
        if not matches:
            there = ", ".join(f"{tel_id} ({subarray.tel[tel_id]})" for tel_id in subarray.tel)
            raise DataError(
                f"data.telescopes: no telescope {selector!r} in '{source}', which has: {there}."
            )
        chosen.update(matches)
    return chosen


def telescopes_matching(subarray: SubarrayDescription, selector: int | str) -> list[int]:
    """Telescopes with this id, type (LST), name, camera name or description."""
    if isinstance(selector, int):
        return [selector] if selector in subarray.tel else []
    return [
        int(tel_id)
        for tel_id, telescope in subarray.tel.items()
        if selector in {telescope.type, telescope.name, telescope.camera.name, str(telescope)}
    ]
