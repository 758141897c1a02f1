"""How a command runs, whatever the experiment."""

from dataclasses import dataclass

__all__ = ["RunOptions"]


@dataclass(frozen=True)
class RunOptions:
    """How to run, whatever the experiment.

    Attributes
    ----------
    overwrite : bool
        Replace the results of an earlier run.
    resume : bool
        Go on with an interrupted run.
    fast_dev_run : bool
        One batch of everything, to try the settings.
    progress : bool
        Show progress bars.
    """

    overwrite: bool = False
    resume: bool = False
    fast_dev_run: bool = False
    progress: bool = True
