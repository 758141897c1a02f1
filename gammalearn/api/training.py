"""Training of a network, from a notebook."""

from pathlib import Path

from ..checkpoint.trained import load_checkpoint
from ..errors import SettingsError
from ..run.experiment import train as train_network
from ..run.options import RunOptions
from ..settings import Experiment
from ..settings.own_modules import import_modules
from .network import Network

__all__ = ["train"]


def train(
    experiment: Experiment,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    fast_dev_run: bool = False,
    progress: bool = True,
) -> Network:
    """Train a network. Test events are not needed: `Network.predict` and `evaluate` come after.

    Parameters
    ----------
    experiment : Experiment
        Its ``imports`` are imported: modules of your own, with tasks or an encoder.
    output : str or Path, optional
        Folder of the checkpoints and the learning curves; by default ``output.directory`` of the
        experiment.
    overwrite : bool
        Replace the results of an earlier training.
    resume : bool
        Go on with an interrupted training.
    fast_dev_run : bool
        One batch of everything, to try the settings.
    progress : bool
        Show progress bars.

    Returns
    -------
    Network
        With the weights of the best epoch.

    Raises
    ------
    SettingsError
        If a setting is wrong, or a module cannot be imported.
    GammaLearnError
        If the data or the output folder cannot be used.

    See Also
    --------
    gammalearn.run.experiment.run : trains, reconstructs the test events and writes the report.
    """
    if not isinstance(experiment, Experiment):
        raise SettingsError(
            f"gammalearn.train: expected an Experiment, got {type(experiment).__name__}; "
            "gammalearn.load_experiment reads one from a file."
        )
    folder = output or experiment.output.directory
    if folder is None:
        raise SettingsError(
            "gammalearn.train: there is no folder for the results; give output, such as "
            "output='runs/first'."
        )
    import_modules(experiment.imports)
    options = RunOptions(
        overwrite=overwrite, resume=resume, fast_dev_run=fast_dev_run, progress=progress
    )
    path = train_network(experiment, Path(folder), options)
    return Network(load_checkpoint(path), path)
