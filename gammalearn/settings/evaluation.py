"""Settings of the evaluation."""

from typing import Literal

from pydantic import Field, field_validator

from .base import Particle, Settings, TeV

__all__ = ["EvaluationSettings", "Reference"]

Reference = Literal["lst1_mono", "lst4_requirement", "ctao_north"]


class EvaluationSettings(Settings):
    """Bins and choices of the evaluation."""

    energy_range: tuple[TeV, TeV] = (0.01, 100.0)
    """Edges of the energy axis (TeV, or text with another unit, such as `50 GeV`)."""

    bins_per_decade: int = Field(5, ge=1)
    """Number of energy bins in each factor of ten."""

    signal: Particle = "gamma"
    """Particle whose migration and resolution are shown."""

    algorithm: str | None = None
    """Name of the DL2 algorithm, or several names separated by commas (ctapipe has one for each
    quantity). Needed if a file has several results for one quantity."""

    references: list[Reference] = []
    """Published resolutions to draw for comparison: ``lst1_mono`` (LST-1, random forests),
    ``lst4_requirement`` (four LSTs, also its sensitivity), ``ctao_north`` (four LSTs and nine MSTs,
    prod5)."""

    on_error: Literal["raise", "skip"] = "raise"
    """What happens if a DL2 file cannot be used: the command stops (``raise``), or the file is left
    out with a warning and named in the report (``skip``)."""

    @field_validator("energy_range")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] < value[1]:
            raise ValueError("expected two increasing positive energies (TeV)")
        return value
