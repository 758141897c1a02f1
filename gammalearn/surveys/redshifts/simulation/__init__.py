"""Simulation of galaxies: spectra, bulges and discs, and what a survey sees of them."""

from .catalogues import simulate

__all__ = ["simulate"]
