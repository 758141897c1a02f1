"""Settings of the surveys: experiments with a ``survey`` of their own instead of telescopes."""

from .experiment import SurveyExperiment, SurveyOutput
from .lenses import LensData, LensEvaluation, LensExperiment, LensNetwork, SimulatedLenses
from .redshifts import (
    CutoutData,
    CutoutNetwork,
    RedshiftEvaluation,
    RedshiftExperiment,
    SimulatedGalaxies,
)
from .supernovae import (
    LightCurveData,
    LightCurveNetwork,
    LightCurveTask,
    SimulatedCatalogue,
    SupernovaEvaluation,
    SupernovaExperiment,
)

__all__ = [
    "SURVEYS",
    "CutoutData",
    "CutoutNetwork",
    "LensData",
    "LensEvaluation",
    "LensExperiment",
    "LensNetwork",
    "LightCurveData",
    "LightCurveNetwork",
    "LightCurveTask",
    "RedshiftEvaluation",
    "RedshiftExperiment",
    "SimulatedCatalogue",
    "SimulatedGalaxies",
    "SimulatedLenses",
    "SupernovaEvaluation",
    "SupernovaExperiment",
    "SurveyExperiment",
    "SurveyOutput",
]

#: Settings of each survey, by the value of ``survey``.
SURVEYS: dict[str, type[SurveyExperiment]] = {
    "supernovae": SupernovaExperiment,
    "redshifts": RedshiftExperiment,
    "lenses": LensExperiment,
}
