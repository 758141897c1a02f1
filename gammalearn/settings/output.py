"""Settings of the output."""

from typing import Literal

from pydantic import Field

from .base import Settings

__all__ = ["OutputSettings"]


class OutputSettings(Settings):
    """Output folder and layout of the results."""

    directory: str | None = None
    """Output folder. By default ``runs/`` and the name of the settings file."""

    algorithm: str = Field("GammaLearn", pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Name of the DL2 algorithm, which is the prefix of its columns."""

    dl1_images: bool = False
    """Copy the DL1 images into the DL2 files."""

    truth: Literal["copy", "link"] = "copy"
    """Copy the truth of simulated events into the DL2 files, or link to the DL1 file that has it.
    Files with links are smaller, but the DL1 file must stay in its place."""

    dl2_format: Literal["ctapipe", "lstchain"] = "ctapipe"
    """Layout of the DL2 files: ctapipe's data model, or lstchain's layout (for lstchain DL1 and
    networks of single telescopes)."""
