"""The names that :mod:`gammalearn` imports when they are asked for, as type checkers see them."""

from .api.evaluation import compare as compare
from .api.evaluation import evaluate as evaluate
from .api.evaluation import read_dl2 as read_dl2
from .api.events import Events as Events
from .api.events import read_events as read_events
from .api.network import Network as Network
from .api.network import load as load
from .api.simulation import simulate as simulate
from .api.training import train as train
from .errors import GammaLearnError as GammaLearnError
from .inspection.show import plot_event as plot_event
from .settings import AugmentationSettings as AugmentationSettings
from .settings import CleaningSettings as CleaningSettings
from .settings import CutSettings as CutSettings
from .settings import DataSettings as DataSettings
from .settings import EvaluationSettings as EvaluationSettings
from .settings import Experiment as Experiment
from .settings import NetworkSettings as NetworkSettings
from .settings import OutputSettings as OutputSettings
from .settings import SimulationSettings as SimulationSettings
from .settings import TaskSettings as TaskSettings
from .settings import TrainingSettings as TrainingSettings
from .settings import WeightSettings as WeightSettings
from .settings.reading import load_experiment as load_experiment

__version__: str
