"""Deep-learning event reconstruction for Cherenkov telescopes."""

from .idle_threads import wait_without_spinning

__version__ = "1.0.0.dev0"

# Here, as it has to come before whatever imports torch.
wait_without_spinning()
