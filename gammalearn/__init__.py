"""Deep-learning event reconstruction for Cherenkov telescopes."""

__version__ = "1.0.0.dev0"
