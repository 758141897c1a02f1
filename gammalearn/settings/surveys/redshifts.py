"""Settings of photometric redshifts."""

from typing import Literal

from pydantic import Field

from ..base import Settings, Strings
from ..training import TrainingSettings
from .experiment import SurveyExperiment, SurveyOutput

__all__ = [
    "CutoutData",
    "CutoutNetwork",
    "RedshiftEvaluation",
    "RedshiftExperiment",
    "SimulatedGalaxies",
]


class SimulatedGalaxies(Settings):
    """A catalogue of simulated galaxies with cut-outs, made if the file is missing."""

    output: str
    """The file, which ends in .h5."""

    n_objects: int = Field(2000, ge=1)
    """Number of galaxies."""

    magnitude_limit: float = Field(17.8, ge=16, le=21)
    """Magnitude in r of the faintest galaxies."""

    redshift_max: float = Field(0.4, ge=0.05, le=1)
    """Largest redshift."""

    neighbours: float = Field(2.0, ge=0, le=20)
    """Mean number of stars and other galaxies in a cut-out, to magnitude 23 in r."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the galaxies and of the noise."""


class CutoutNetwork(Settings):
    """The network for cut-outs: colours within masks that it finds, and the shape."""

    width: int = Field(24, ge=4, multiple_of=4)
    """Number of features of a pixel in the first layers. Deeper layers have two and four times as
    many."""

    masks: int = Field(8, ge=1)
    """Number of masks within which colours are measured."""

    embedding: int = Field(96, ge=8)
    """Number of features of a cut-out."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Fraction of the features that are left out at random in the training."""

    smoothing: float = Field(2.0, gt=0, le=3)
    """Width, in bins, over which densities are smooth."""


class CutoutData(Settings):
    """Catalogues with cut-outs, and what is used of them."""

    train: Strings = []
    """Catalogues to learn from, as files or globs. Galaxies without a redshift are left out."""

    test: Strings = []
    """Catalogues to predict and evaluate."""

    validation_fraction: float = Field(0.1, ge=0, lt=1)
    """Fraction of the galaxies that are kept for the validation."""

    redshift_max: float = Field(0.4, gt=0, le=10)
    """Redshift where the 180 bins of the density end. Galaxies beyond it are not learned from."""

    turns: bool = True
    """Turn the cut-outs of the training by multiples of 90 degrees, and mirror half of them."""


class RedshiftEvaluation(Settings):
    """Choices of the evaluation."""

    outlier: float = Field(0.05, gt=0, lt=1)
    """Galaxies whose error is larger than this times 1 + z are outliers (eta)."""

    n_bootstrap: int = Field(200, ge=2)
    """Number of bootstrap samples for the errors."""

    baseline: bool = True
    """Train extremely randomised trees on colours and concentration of the same galaxies, and show
    their result in the report."""


class RedshiftExperiment(SurveyExperiment):
    """All settings of photometric redshifts."""

    survey: Literal["redshifts"] = "redshifts"
    """Kind of the experiment."""

    simulation: list[SimulatedGalaxies] = []
    """Catalogues to simulate if they are missing."""

    data: CutoutData = CutoutData()
    """Catalogues, and what is used of them."""

    network: CutoutNetwork = CutoutNetwork()
    """The network."""

    crps_weight: float = Field(1.0, ge=0)
    """Weight of the continuous ranked probability score in the loss, beside the likelihood of the
    density."""

    training: TrainingSettings = TrainingSettings()
    """Optimiser and machine."""

    evaluation: RedshiftEvaluation = RedshiftEvaluation()
    """Choices of the evaluation."""

    output: SurveyOutput = SurveyOutput()
    """Where results go."""
