"""Settings of supernovae."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ..base import Settings, Strings
from ..tasks import named_tasks
from ..training import TrainingSettings
from .experiment import SurveyExperiment, SurveyOutput

__all__ = [
    "LightCurveData",
    "LightCurveNetwork",
    "LightCurveTask",
    "SimulatedCatalogue",
    "SupernovaEvaluation",
    "SupernovaExperiment",
]


class SimulatedCatalogue(Settings):
    """A catalogue of simulated supernovae, made if the file is missing."""

    output: str
    """The file, which ends in .h5."""

    n_objects: int = Field(2000, ge=1)
    """Number of supernovae that are detected."""

    cadence: Literal["wide", "deep"] = "deep"
    """How often and how deep the survey looks: ``wide`` has few visits of each band and lower
    depth, ``deep`` has visits of all bands every few nights."""

    redshift_max: float = Field(1.0, gt=0, le=2)
    """Largest redshift."""

    fractions: dict[str, float] = {"Ia": 0.4, "Ib": 0.1, "Ic": 0.1, "II": 0.4}
    """Fraction of each type among the explosions, before the detection."""

    confirmed_fraction: float = Field(1.0, ge=0, le=1)
    """Fraction of the objects whose type is known from a spectrum. The brightest ones are
    preferred if it is less than 1."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the supernovae and of the noise."""

    @field_validator("fractions")
    @classmethod
    def _known_types(cls, fractions: dict[str, float]) -> dict[str, float]:
        known = ("Ia", "Ib", "Ic", "II")
        for name, value in fractions.items():
            if name not in known or not value >= 0:
                raise ValueError(
                    f"expected fractions of {', '.join(known)} that are not negative, got "
                    f"{name}: {value}"
                )
        if not sum(fractions.values()) > 0:
            raise ValueError("expected some fraction above 0")
        return fractions


class LightCurveData(Settings):
    """Catalogues, and what is used of them."""

    train: Strings = []
    """Catalogues or files of SNANA to learn from, as files or globs. Objects without a type take
    part without it."""

    unlabelled: Strings = []
    """Catalogues or files of SNANA whose types are not used: only their light curves take part."""

    test: Strings = []
    """Catalogues or files of SNANA to classify and evaluate."""

    validation_fraction: float = Field(0.1, ge=0, lt=1)
    """Fraction of the objects with a type that are kept for the validation."""

    labels: Literal["all", "confirmed"] = "all"
    """Objects of ``train`` whose type is used: all that have one, or those with a spectrum. The
    other ones take part without their type."""

    minimum_observations: int = Field(5, ge=1)
    """Least number of observations of an object that is learned from."""

    host_redshift: bool = True
    """Use the redshift of the host galaxy and its error as input."""

    unlabelled_fraction: float = Field(0.5, ge=0, lt=1)
    """Fraction of the objects without a type in each batch."""

    repeats: int = Field(1, ge=1)
    """How often each object with a type comes in an epoch."""

    type_fractions: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    """Fractions of the classes Ia, Ibc and II among the objects of an epoch that have a type, such
    as ``{Ia: 0.34, Ibc: 0.2, II: 0.46}``. Objects of the other classes are repeated. Without it the
    fractions are those of the catalogue. It helps if spectra were taken of type Ia rather than of
    others."""

    redshifted_fraction: float = Field(0.0, ge=0, le=1)
    """Fraction of the light curves that are replaced by a version at another redshift and
    brightness, with the epochs and the noise of another object. It helps if the objects with a type
    are brighter than the others."""

    mask_fraction: float = Field(0.2, ge=0, lt=1)
    """Fraction of the observations that are hidden from the network in the training. The task
    ``auto_encoder`` predicts them."""

    @field_validator("type_fractions")
    @classmethod
    def _all_classes(cls, fractions: dict[str, float]) -> dict[str, float]:
        classes = ("Ia", "Ibc", "II")
        whole = set(fractions) == set(classes) and abs(sum(fractions.values()) - 1) < 1e-6
        if fractions and not whole:
            raise ValueError(
                f"expected fractions of {', '.join(classes)} whose sum is 1, got {fractions}"
            )
        return fractions


class LightCurveNetwork(Settings):
    """The network for light curves: attention between the nights of observations."""

    embedding: int = Field(64, ge=8)
    """Number of features of a night and of a light curve."""

    layers: int = Field(3, ge=1)
    """Number of layers of attention."""

    heads: int = Field(4, ge=1)
    """Number of heads of the attention; it divides ``embedding``."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Fraction of the features that are left out at random in the training."""

    shortest_period: float = Field(2.0, gt=0)
    """Shortest period (d) of the encoding of the time; the longest one is 1000 d."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.embedding % self.heads:
            raise ValueError(f"embedding={self.embedding} is no multiple of heads={self.heads}")
        return self


class LightCurveTask(Settings):
    """A quantity to learn, or a way to learn without types."""

    weight: float = Field(1.0, gt=0)
    """Weight of the loss of the task."""


class SupernovaEvaluation(Settings):
    """Choices of the evaluation."""

    threshold: float = Field(0.5, gt=0, lt=1)
    """Probability of the type Ia above which an object counts as one."""

    precisions: list[float] = [0.95, 0.98]
    """Precisions (purities of the type Ia) at which the recall (efficiency) is given."""

    n_bootstrap: int = Field(200, ge=2)
    """Number of bootstrap samples for the errors."""

    baseline: bool = True
    """Train extremely randomised trees on features of the light curves of the same objects, and
    show their result in the report."""


TASKS = ("type_ia", "supernova_type", "auto_encoder", "contrast", "sparsity")


class SupernovaExperiment(SurveyExperiment):
    """All settings of a classification of supernovae."""

    survey: Literal["supernovae"] = "supernovae"
    """Kind of the experiment."""

    simulation: list[SimulatedCatalogue] = []
    """Catalogues to simulate if they are missing."""

    data: LightCurveData = LightCurveData()
    """Catalogues, and what is used of them."""

    network: LightCurveNetwork = LightCurveNetwork()
    """The network."""

    tasks: Annotated[dict[str, LightCurveTask], BeforeValidator(named_tasks)] = {
        "type_ia": LightCurveTask(),
        "supernova_type": LightCurveTask(weight=0.3),
        "auto_encoder": LightCurveTask(weight=0.3),
    }
    """What is learned: ``type_ia`` (Ia or not), ``supernova_type`` (all types), ``auto_encoder``
    (hidden observations from the others), ``contrast`` (versions of one light curve are alike,
    others are not), ``sparsity`` (few features of a light curve are active, by the Kullback-Leibler
    divergence). The last three also learn from objects without a type."""

    training: TrainingSettings = TrainingSettings()
    """Optimiser and machine."""

    evaluation: SupernovaEvaluation = SupernovaEvaluation()
    """Choices of the evaluation."""

    output: SurveyOutput = SurveyOutput()
    """Where results go."""

    @field_validator("tasks")
    @classmethod
    def _known_tasks(cls, tasks: dict[str, LightCurveTask]) -> dict[str, LightCurveTask]:
        unknown = [name for name in tasks if name not in TASKS]
        if unknown:
            raise ValueError(f"no such task: {unknown[0]}; known: {', '.join(TASKS)}")
        if "type_ia" not in tasks:
            raise ValueError("expected type_ia among the tasks")
        return tasks

    @model_validator(mode="after")
    def _observations_are_hidden(self) -> Self:
        if "auto_encoder" in self.tasks and self.data.mask_fraction == 0:
            raise ValueError(
                "tasks.auto_encoder predicts hidden observations, and data.mask_fraction=0 hides "
                "none"
            )
        return self
