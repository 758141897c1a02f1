"""Simulation of supernovae: explosions, their spectra in time, and what a survey sees of them."""

from .catalogues import make_missing_catalogues, simulate

__all__ = ["make_missing_catalogues", "simulate"]
