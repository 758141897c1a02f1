"""Settings of strong lenses."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ..base import Settings, Strings
from ..training import TrainingSettings
from .experiment import SurveyExperiment, SurveyOutput

__all__ = [
    "LensData",
    "LensEvaluation",
    "LensExperiment",
    "LensNetwork",
    "SimulatedLenses",
]


class SimulatedLenses(Settings):
    """A catalogue of simulated lenses and of galaxies that look alike, made if the file is
    missing."""

    output: str
    """The file, which ends in .h5."""

    n_objects: int = Field(2000, ge=1)
    """Number of lenses and other galaxies."""

    lens_fraction: float = Field(0.5, ge=0, le=1)
    """Fraction of lenses. In the sky it is far less."""

    einstein_radius_min: float = Field(0.8, ge=0.3, le=2)
    """Smallest Einstein radius, in arcsec."""

    signal_to_noise_min: float = Field(15.0, ge=1, le=100)
    """Smallest signal to noise of the arcs of a lens, in the band where it is largest."""

    neighbours: float = Field(0.6, ge=0, le=10)
    """Mean number of stars and other galaxies that are in a cut-out by chance, to magnitude 24.5
    in r."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the galaxies and of the noise."""


class LensData(Settings):
    """Catalogues with cut-outs, and what is used of them."""

    train: Strings = []
    """Catalogues to learn from, as files or globs. Galaxies without a type are left out."""

    test: Strings = []
    """Catalogues to predict and evaluate."""

    validation_fraction: float = Field(0.1, ge=0, lt=1)
    """Fraction of the galaxies that are kept for the validation."""

    turns: bool = True
    """Turn the cut-outs of the training by multiples of 90 degrees, and mirror half of them."""


class LensNetwork(Settings):
    """The network: residual blocks on the cut-out."""

    width: int = Field(24, ge=4, multiple_of=4)
    """Number of features of a pixel in the first layers. Deeper layers have two and four times as
    many."""

    blocks: int = Field(2, ge=1, le=8)
    """Number of residual blocks at each of three scales."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Fraction of the features of a cut-out that are left out at random in the training."""


class LensEvaluation(Settings):
    """Choices of the evaluation."""

    threshold: float = Field(0.5, gt=0, lt=1)
    """Probability above which a galaxy counts as a lens, for the accuracy."""

    false_positive_rates: list[float] = [0.01, 0.001]
    """Fractions of the other galaxies that may be taken for lenses where the completeness is
    given."""

    clear_radius: float = Field(1.4, ge=0)
    """Einstein radius (arcsec) above which a lens is clear, with ``clear_signal_to_noise``."""

    clear_signal_to_noise: float = Field(20.0, ge=0)
    """Signal to noise of the arcs above which a lens is clear."""

    n_bootstrap: int = Field(200, ge=2)
    """Number of bootstrap samples for the errors."""

    baseline: bool = True
    """Train extremely randomised trees on features of arcs of the same galaxies, and show their
    result in the report."""

    @model_validator(mode="after")
    def _rates_are_fractions(self) -> Self:
        for rate in self.false_positive_rates:
            if not 0 < rate < 1:
                raise ValueError(f"expected false_positive_rates between 0 and 1, got {rate:g}")
        if not self.false_positive_rates:
            raise ValueError("expected some false_positive_rates")
        return self


class LensExperiment(SurveyExperiment):
    """All settings of a search for strong lenses."""

    survey: Literal["lenses"] = "lenses"
    """Kind of the experiment."""

    simulation: list[SimulatedLenses] = []
    """Catalogues to simulate if they are missing."""

    data: LensData = LensData()
    """Catalogues, and what is used of them."""

    network: LensNetwork = LensNetwork()
    """The network."""

    training: TrainingSettings = TrainingSettings()
    """Optimiser and machine."""

    evaluation: LensEvaluation = LensEvaluation()
    """Choices of the evaluation."""

    output: SurveyOutput = SurveyOutput()
    """Where results go."""
