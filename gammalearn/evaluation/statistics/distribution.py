"""How reconstructed values are distributed, which is all that can be said without a truth."""

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.figure import Figure

from ...plotting.style import PALETTE, count_events, make_logarithmic, say_empty
from ..report.results import Result

__all__ = ["distribution", "show_distribution"]


def distribution(values: u.Quantity, edges: u.Quantity, name: str) -> QTable:
    """Numbers of events in bins of a quantity.

    Parameters
    ----------
    values : astropy.units.Quantity
        Shape (n_events,).
    edges : astropy.units.Quantity
        Shape (n_bins + 1,).
    name : str
        Of the quantity.

    Returns
    -------
    table : astropy.table.QTable
        One row a bin: ``NAME_low``, ``NAME_high``, ``n_events``. ``meta``: ``n_out_of_range``.
    """
    table = QTable({f"{name}_low": edges[:-1], f"{name}_high": edges[1:]})
    table["n_events"] = np.histogram(values.to_value(edges.unit), edges.value)[0]
    table.meta["n_out_of_range"] = len(values) - int(table["n_events"].sum())
    return table


def show_distribution(table: QTable, name: str, label: str, caption: str) -> Result:
    """A table from `distribution` with its picture.

    Parameters
    ----------
    table : astropy.table.QTable
    name : str
        Of the quantity.
    label : str
        What the axis is called.
    caption : str
        Title of the picture, and what its caption begins with.
    """
    number, outside = int(table["n_events"].sum()), table.meta["n_out_of_range"]
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(True)
    axes.set_title(f"{caption}, {count_events(number, 'event')}")
    axes.set_xlabel(label)
    axes.set_ylabel("events in a bin")
    low, high = table[f"{name}_low"].value, table[f"{name}_high"].value
    if name.endswith("energy"):
        make_logarithmic(axes, "x")
    axes.set_xlim(low[0], high[-1])
    if number == 0:
        say_empty(axes, "no events in this range")
    axes.stairs(table["n_events"], np.append(low, high[-1]), fill=True, color=PALETTE[0], alpha=0.5)
    left_out = f"; {count_events(outside, 'event')} lie outside" if outside else ""
    return Result(name, figure, f"{caption}{left_out}.", table)
