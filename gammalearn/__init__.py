"""Deep-learning event reconstruction for Cherenkov telescopes.

What a notebook needs is here, and is imported when it is asked for: `load`, `read_events`,
`evaluate`, `compare`, `simulate`, `train`, `plot_event`, `read_dl2`, and the settings.
"""

from .lazy import lazily
from .machine.waiting_threads import wait_without_spinning

__version__ = "1.0.0.dev0"

# Here, as it has to come before whatever imports torch.
wait_without_spinning()

# __init__.pyi has the same names for type checkers.
__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "api.evaluation": "compare evaluate read_dl2",
        "api.events": "Events read_events",
        "api.network": "Network load",
        "api.simulation": "simulate",
        "api.training": "train",
        "errors": "GammaLearnError",
        "settings": "AugmentationSettings CleaningSettings CutSettings DataSettings "
        "EvaluationSettings Experiment NetworkSettings OutputSettings SimulationSettings "
        "TaskSettings TrainingSettings WeightSettings",
        "settings.reading": "load_experiment",
        "inspection.show": "plot_event",
    },
)
