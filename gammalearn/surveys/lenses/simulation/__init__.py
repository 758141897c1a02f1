"""Simulation of strong lenses, and of galaxies that look alike."""

from .catalogues import simulate

__all__ = ["simulate"]
