"""Processes of one training: which of them this is."""

from lightning.pytorch.utilities import rank_zero_only

__all__ = ["is_first_process"]


def is_first_process() -> bool:
    """Whether this is the process that writes files and tells the user, as Lightning counts."""
    # Lightning has the number as an attribute of the function, which its annotations do not know.
    return getattr(rank_zero_only, "rank", 0) == 0
