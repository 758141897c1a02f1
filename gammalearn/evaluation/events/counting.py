"""Numbers of events, by what was reconstructed of them."""

from collections.abc import Mapping

import numpy as np
from astropy.table import QTable

from ..event_table import EventTable
from ..quantities import MAIN_QUANTITIES
from ..statistics.by_particle import metric_names, present_particles

__all__ = ["event_numbers", "tabulate_events"]


def event_numbers(events: QTable, signal: str, wanted: str) -> dict[str, object]:
    """Numbers of events, and what they are of."""
    present, about = present_particles(events), EventTable.of(events)
    metrics: dict[str, object] = {
        "level": about.level,
        "n_events": len(events),
        "n_files": len(about.files),
        "n_signal": present.get(signal, 0),
        "signal": signal,
        "signal_requested": wanted,
    }
    for particle, name in metric_names("n_events", present).items():
        metrics[name] = present.get(particle, 0)
    for name, quantity in MAIN_QUANTITIES.items():
        metrics[f"algorithm_{name}"] = about.algorithms.get(name)
        n_valid = n_signal = None
        if quantity.is_in(events):
            n_valid = int(quantity.is_known(events).sum())
            n_signal = len(quantity.select(events, signal))
        metrics[f"n_{name}_reconstructed"] = n_valid
        metrics[f"n_{name}_invalid"] = None if n_valid is None else len(events) - n_valid
        metrics[f"n_{name}_reconstructed_signal"] = n_signal
    return metrics


def tabulate_events(events: QTable, metrics: Mapping[str, object]) -> list[list[object]]:
    """Events of each particle, and how many of them have each quantity."""
    algorithms = EventTable.of(events).algorithms
    heading: list[object] = ["Particle", "Events"]
    heading += [f"With {quantity.replace('_', ' ')}" for quantity in algorithms]
    if "particle_type" in algorithms:
        heading.append("Mean gammaness")
    rows = [heading]
    present = present_particles(events)
    means = metric_names("gammaness_mean", present)
    for particle, number in present.items():
        chosen = np.asarray(events["particle"] == particle)
        row: list[object] = [particle, number]
        row += [int(events[f"{quantity}_is_valid"][chosen].sum()) for quantity in algorithms]
        if "particle_type" in algorithms:
            row.append(metrics[means[particle]])
        rows.append(row)
    return rows
