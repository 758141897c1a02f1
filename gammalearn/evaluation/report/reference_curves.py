"""Published performance to draw beside one's own."""

from collections.abc import Sequence
from importlib.resources import as_file, files

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.axes import Axes

__all__ = ["draw_references", "reference_curve", "reference_sources"]

TABLE = "reference_curves.ecsv"

#: They stand behind the results, told apart by their dashes.
DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


def reference_curve(name: str) -> QTable:
    """One of the curves of the table beside this module.

    Parameters
    ----------
    name : str
        ``lst1_mono``, ``lst4_requirement`` or ``ctao_north``, see
        `gammalearn.settings.EvaluationSettings`.

    Returns
    -------
    curve : astropy.table.QTable
        ``energy`` (TeV), ``angular_resolution_68`` (deg), ``energy_resolution`` and
        ``flux_sensitivity`` (erg/(cm² s), of five bins a decade); NaN where the source gives
        none, or a bound only. ``meta``: ``title``, ``source``, and what a column is, by its name,
        where it is something else than in the other curves.
    """
    with as_file(files(__package__).joinpath(TABLE)) as path:
        table = QTable.read(path, format="ascii.ecsv")
    about = table.meta[name]
    curve = table[table["curve"] == name]
    curve.remove_column("curve")
    curve.meta = dict(about)
    return curve


def reference_sources(names: Sequence[str]) -> dict[str, str]:
    """Title → source of the named curves, for a report."""
    about = (reference_curve(name).meta for name in names)
    return {f"Curve of {meta['title']}": meta["source"] for meta in about}


def draw_references(
    axes: Axes,
    names: Sequence[str],
    column: str,
    unit: u.UnitBase | None = None,
    color: str = "0.45",
) -> list[str]:
    """Draw a column of the named curves against energy, where they have it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    names : sequence of str
    column : str
    unit : astropy.units.UnitBase, optional
        Of the axis; by default that of the table.
    color : str
        Of the lines.

    Returns
    -------
    titles : list of str
        Of the curves that were drawn.
    """
    drawn = []
    for name, dashes in zip(names, DASHES, strict=False):
        curve = reference_curve(name)
        if column not in curve.colnames:
            continue
        values = u.Quantity(curve[column])
        values = values.value if unit is None else values.to_value(unit)
        known = np.isfinite(values)
        if not known.any():
            continue
        other = curve.meta.get(column)
        axes.plot(
            curve["energy"][known].to_value(u.TeV),
            values[known],
            color=color,
            linewidth=1.2,
            linestyle=dashes,
            zorder=1,
            label=f"{curve.meta['title']}{f' ({other})' if other else ''}",
        )
        drawn.append(curve.meta["title"])
    return drawn
