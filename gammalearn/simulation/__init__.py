"""Simulation of air showers and of the telescopes that see them."""

from collections.abc import Callable

__all__ = ["simulate", "simulate_observation"]


def __getattr__(name: str) -> Callable:
    # ctapipe imports this package to look for event sources: what compiles and writes comes later.
    if name == "simulate":
        from .production import simulate

        return simulate
    if name == "simulate_observation":
        from .observe import simulate_observation

        return simulate_observation
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
