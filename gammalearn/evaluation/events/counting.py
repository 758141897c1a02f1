"""Numbers of events: by particle, and by what was reconstructed of them."""

from collections.abc import Iterable

import numpy as np
from astropy.table import QTable

from ...particles import plural
from .reading import QUANTITIES

__all__ = [
    "choose_signal",
    "event_numbers",
    "metric_names",
    "present_particles",
    "select",
    "tabulate_events",
]

#: Particles that always have their metrics, so that runs can be compared key by key.
USUAL_PARTICLES = ("gamma", "electron", "proton")


def present_particles(events: QTable) -> dict[str, int]:
    """Particle → number of its events, most frequent first."""
    names, counts = np.unique(np.asarray(events["particle"], dtype=str), return_counts=True)
    order = sorted(range(len(names)), key=lambda i: (-counts[i], names[i]))
    return {str(names[i]): int(counts[i]) for i in order}


def select(events: QTable, particle: str, quantity: str) -> QTable:
    """The particle's events for which the quantity was reconstructed."""
    return events[np.asarray(events["particle"] == particle) & events[f"{quantity}_is_valid"]]


def choose_signal(events: QTable, wanted: str) -> tuple[str, list[str]]:
    """The particle to judge by, and a sentence if it is not the one that was wanted."""
    present = present_particles(events)
    if wanted in present or not present:
        return wanted, []
    signal = next(iter(present))
    return signal, [
        f"There are no {plural(wanted)} in these files: migration and resolution are those of "
        f"{plural(signal)}, which say nothing about {plural(wanted)}."
    ]


def event_numbers(events: QTable, signal: str, wanted: str) -> dict[str, object]:
    """Numbers of events, and what they are of."""
    present = present_particles(events)
    metrics = {
        "level": events.meta["level"],
        "n_events": len(events),
        "n_files": len(events.meta["files"]),
        "n_signal": present.get(signal, 0),
        "signal": signal,
        "signal_requested": wanted,
    }
    for particle, name in metric_names("n_events", present).items():
        metrics[name] = present.get(particle, 0)
    for quantity in QUANTITIES:
        metrics[f"algorithm_{quantity}"] = events.meta["algorithms"].get(quantity)
        n_valid = n_signal = None
        if quantity in events.meta["algorithms"]:
            n_valid = int(events[f"{quantity}_is_valid"].sum())
            n_signal = len(select(events, signal, quantity))
        metrics[f"n_{quantity}_reconstructed"] = n_valid
        metrics[f"n_{quantity}_invalid"] = None if n_valid is None else len(events) - n_valid
        metrics[f"n_{quantity}_reconstructed_signal"] = n_signal
    return metrics


def metric_names(prefix: str, present: Iterable[str]) -> dict[str, str]:
    """Particle → name of its metric, of the usual particles and those present."""
    particles = {*USUAL_PARTICLES, *present}
    return {particle: f"{prefix}_{particle.replace(' ', '_')}" for particle in particles}


def tabulate_events(events: QTable, metrics: dict[str, object]) -> list[list[object]]:
    """Events of each particle, and how many of them have each quantity."""
    algorithms = events.meta["algorithms"]
    heading = ["Particle", "Events"]
    heading += [f"With {quantity.replace('_', ' ')}" for quantity in algorithms]
    if "particle_type" in algorithms:
        heading.append("Mean gammaness")
    rows = [heading]
    present = present_particles(events)
    means = metric_names("gammaness_mean", present)
    for particle, number in present.items():
        chosen = np.asarray(events["particle"] == particle)
        row = [particle, number]
        row += [int(events[f"{quantity}_is_valid"][chosen].sum()) for quantity in algorithms]
        if "particle_type" in algorithms:
            row.append(metrics[means[particle]])
        rows.append(row)
    return rows
