"""Errors that a user can cause, each with one sentence for the person who meets it.

The command line prints the sentence and exits with 2; anything else that is raised is a
bug of ours and keeps its traceback.
"""

__all__ = [
    "CameraError",
    "CheckpointError",
    "CutError",
    "DataError",
    "EmptySelectionError",
    "EvaluationError",
    "GammaLearnError",
    "InputFileError",
    "InstallationError",
    "MissingPackageError",
    "OutputError",
    "SettingsError",
    "SweepError",
    "UnnamedModuleError",
]


class GammaLearnError(Exception):
    """Base of all errors that a user can cause."""


class SettingsError(GammaLearnError):
    """The settings of an experiment are wrong."""


class DataError(GammaLearnError):
    """The data cannot be used as asked."""


class InputFileError(DataError):
    """An input file is missing, unreadable or lacks what is needed."""


class CameraError(DataError):
    """The camera of a telescope cannot be used, or is not the one a network was trained on."""


class CutError(DataError):
    """A cut cannot be evaluated."""


class EmptySelectionError(DataError):
    """The selection leaves nothing to work on."""


class CheckpointError(GammaLearnError):
    """A checkpoint cannot be read or does not fit."""


class OutputError(GammaLearnError):
    """The output cannot be written where it was asked."""


class EvaluationError(GammaLearnError):
    """The reconstructed events cannot be evaluated."""


class MissingPackageError(GammaLearnError):
    """A package that only some uses need is not installed."""


class InstallationError(GammaLearnError):
    """Something of the installation or of the machine is wrong."""


class SweepError(GammaLearnError):
    """Runs of a sweep have failed."""


class UnnamedModuleError(GammaLearnError):
    """Code of the user's own is needed that they have not named."""
