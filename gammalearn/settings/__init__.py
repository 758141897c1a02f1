"""What an experiment is.

All settings with their defaults and what they may be, one file for each section.
:meth:`Experiment.to_yaml` writes them resolved, defaults included.
:mod:`gammalearn.settings.reading` reads them.
"""

from .base import Particle, Settings
from .data import AugmentationSettings, CleaningSettings, CutSettings, DataSettings, WeightSettings
from .evaluation import EvaluationSettings, Reference
from .experiment import Experiment
from .network import NetworkSettings
from .observation import DiffuseSettings, ObservationSettings, SourceSettings, SpectrumSettings
from .output import OutputSettings
from .simulation import SimulationSettings
from .tasks import TaskSettings, named_tasks
from .training import TrainingSettings

__all__ = [
    "AugmentationSettings",
    "CleaningSettings",
    "CutSettings",
    "DataSettings",
    "DiffuseSettings",
    "EvaluationSettings",
    "Experiment",
    "NetworkSettings",
    "ObservationSettings",
    "OutputSettings",
    "Particle",
    "Reference",
    "Settings",
    "SimulationSettings",
    "SourceSettings",
    "SpectrumSettings",
    "TaskSettings",
    "TrainingSettings",
    "WeightSettings",
    "named_tasks",
]
