"""Simulation of supernovae: explosions, their spectra in time, and what a survey sees of them."""

from .catalogues import simulate

__all__ = ["simulate"]
