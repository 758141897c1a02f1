"""A trained network: what it is, and what it says of events."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import tables
from astropy.table import QTable

from ..camera import CameraType
from ..checkpoint.trained import TrainedNetwork, load_checkpoint
from ..data import EventIndex, check_slots, columns_for
from ..data.readers.formats import open_reader
from ..data.readers.reader import match_rows
from ..dl2 import reconstruct_events
from ..errors import DataError, SettingsError
from ..evaluation.event_table import SUBARRAY, TELESCOPE, EventTable
from ..evaluation.events.columns import add_reconstructed
from ..evaluation.events.reading import particles_by_file
from ..io.finding import MAKE_DL1
from ..io.isolated import read_isolated
from ..models import find_checkpoint, places
from ..nn import ReconstructionNetwork
from ..run.options import RunOptions
from ..run.reconstruction import predict
from ..settings import CutSettings, DataSettings, Experiment, Settings
from ..settings.own_modules import import_modules
from ..tasks import Task
from .events import UNKNOWN, Events, event_table
from .given import Files, files_of, settings_of

__all__ = ["Network", "load"]


class Network:
    """A trained network, as `load` and `train` give it.

    Parameters
    ----------
    trained : TrainedNetwork
    path : Path
        Its checkpoint.
    """

    def __init__(self, trained: TrainedNetwork, path: Path):
        self.trained, self.path = trained, path

    def __repr__(self) -> str:
        cameras = ", ".join(camera.name for camera in self.cameras)
        each = "single images" if self.settings.data.grouping == "mono" else "events"
        return f"<Network '{self.name}': {', '.join(self.tasks)} of {each} of {cameras}>"

    @property
    def name(self) -> str:
        """Its name, if it is a shipped network, or the file of its checkpoint."""
        shipped = self.path.parent == places("")[0].parent
        return self.path.stem if shipped else str(self.path)

    @property
    def settings(self) -> Experiment:
        """The experiment that trained it."""
        return self.trained.experiment

    @property
    def cameras(self) -> list[CameraType]:
        """The cameras that it takes images of."""
        return list(self.trained.cameras)

    @property
    def tasks(self) -> dict[str, Task]:
        """What it reconstructs, by name."""
        return dict(self.trained.tasks)

    @property
    def module(self) -> ReconstructionNetwork:
        """The network itself, a ``torch.nn.Module`` in evaluation mode."""
        return self.trained.network

    def predict(
        self,
        events: Events | Files,
        *,
        telescopes: Sequence[int | str] | int | str | None = None,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> QTable:
        """Reconstruct events; nothing is written.

        Parameters
        ----------
        events : Events, str, Path or sequence of these
            Events that `read_events` has chosen, or DL1 files by names or globs: then all events
            that pass the selection which the network was trained with.
        telescopes : list of int or str, optional
            Of files, the types, names or ids of the telescopes that count.
        batch_size : int, optional
            Events at a time; by default that of the training.
        progress : bool
            Show a progress bar.

        Returns
        -------
        astropy.table.QTable
            One row an event, in the order of the files or of the given events. Beside the columns
            of `Events.table`, as far as the network has the task:

            - ``reco_energy`` (TeV), ``reco_alt``, ``reco_az`` (deg), ``gammaness`` (0–1), with
              ``energy_is_valid``, ``direction_is_valid``, ``particle_type_is_valid``;
            - ``reco_core_x``, ``reco_core_y`` (m), ``reco_x_max`` (g/cm²);
            - with uncertainties ``energy_uncertainty``, ``direction_uncertainty``, …;
            - what further tasks give, by its name in DL2 files behind ``reco_``.

            Values are NaN where the network's own selection leaves a given event out. `evaluate`
            takes the table, or some rows of it.

        Raises
        ------
        SettingsError
            If the events are not of the kind that the network was trained on.
        DataError
            If a file cannot be used, or no event is left.
        """
        if isinstance(events, Events):
            chosen, files = events, events.files
        else:
            chosen, files = None, files_of(events, "files to reconstruct", MAKE_DL1)
        experiment = self._experiment(chosen, telescopes, batch_size)
        index = EventIndex.build(
            files,
            experiment.data,
            self.trained.cameras,
            allow_empty=chosen is not None,
            parameters=columns_for(experiment.network),
        )
        listed, rows = index, np.arange(len(index))
        if chosen:
            listed = chosen.index
            index, rows = _only(index, _rows(listed, index))
        check_slots(experiment.network, [index])
        reconstructed = reconstruct_events(self.trained, index, experiment, progress=progress)
        return self._tabulate(listed, _placed(reconstructed, rows), experiment)

    def write_dl2(
        self,
        files: Files,
        output: str | Path,
        *,
        overwrite: bool = False,
        progress: bool = True,
        settings: Sequence[str] = (),
    ) -> list[Path]:
        """Reconstruct DL1 files and write DL2 files, as ``gammalearn predict`` does.

        Parameters
        ----------
        files : str, Path or sequence of these
            DL1 files, by names or globs.
        output : str or Path
            Folder of the DL2 files, one for each. Those of this network that are there are kept.
        overwrite : bool
            Replace files that are there.
        progress : bool
            Show progress bars.
        settings : sequence of str
            Changes of the settings, such as ``"output.dl1_images=true"``, see ``--set``.

        Returns
        -------
        list of Path
            The DL2 files.

        Raises
        ------
        GammaLearnError
            If the files or the folder cannot be used.
        """
        paths = files_of(files, "files to reconstruct", MAKE_DL1)
        options = RunOptions(overwrite=overwrite, progress=progress)
        names = [str(path) for path in paths]
        return predict(self.path, names, Path(output), options, assignments=settings)

    def _experiment(
        self,
        chosen: Events | None,
        telescopes: str | int | Sequence[str | int] | None,
        batch_size: int | None,
    ) -> Experiment:
        """The settings of the training, with what the chosen events and the caller ask for."""
        experiment = self.settings
        data = experiment.data
        changes: dict[str, object] = {}
        if chosen is not None:
            wanted = chosen.selection
            if telescopes is not None:
                raise SettingsError(
                    "predict: telescopes can be chosen of files only; of chosen events, give "
                    "telescopes to read_events."
                )
            if wanted.grouping != data.grouping:
                raise SettingsError(
                    f"predict: the network was trained with grouping='{data.grouping}' and the "
                    f"events were read with grouping='{wanted.grouping}'; give "
                    f"grouping='{data.grouping}' to read_events."
                )
            telescopes = wanted.telescopes
            changes = {
                "min_multiplicity": max(data.min_multiplicity, wanted.min_multiplicity),
                "cuts": _both(data.cuts, wanted.cuts),
                "on_error": wanted.on_error,
                "cache_directory": wanted.cache_directory or data.cache_directory,
            }
        if telescopes is not None:
            changes["telescopes"] = telescopes
        changed: dict[str, Settings] = {"data": settings_of(DataSettings, data, changes, "predict")}
        if batch_size is not None:
            given = {"batch_size": batch_size}
            training = experiment.training
            changed["training"] = settings_of(type(training), training, given, "predict")
        return experiment.model_copy(update=changed)

    def _tabulate(
        self, index: EventIndex, reconstructed: Mapping, experiment: Experiment
    ) -> QTable:
        """The events with what was reconstructed, as `evaluate` takes them."""
        table = event_table(index)
        main = add_reconstructed(table, reconstructed)
        cache = experiment.data.cache_directory
        table.meta = EventTable(
            level=TELESCOPE if experiment.data.grouping == "mono" else SUBARRAY,
            simulated=bool(np.any(np.asarray(table["particle"]) != UNKNOWN)),
            algorithms=dict.fromkeys(main, experiment.output.algorithm),
            files=[path.name for path in index.files],
            paths=[_with_production(path, cache) for path in index.files],
            skipped=index.skipped,
            particles=particles_by_file(table),
        ).to_meta()
        return table


def load(name: str | Path, imports: Sequence[str] = ()) -> Network:
    """Load a trained network; no code from the file runs.

    Parameters
    ----------
    name : str or Path
        The name of a shipped network, such as ``lst4-stereo``, or a checkpoint.
    imports : sequence of str
        Modules of your own, or their files, with the tasks and the encoder that the network needs.

    Returns
    -------
    Network

    Raises
    ------
    CheckpointError
        If there is no such network, or its file is damaged or of another version.
    MissingPackageError
        If it needs a package that is not installed.
    SettingsError
        If a module cannot be imported.
    UnnamedModuleError
        If it needs a module that is not among the imports.
    """
    import_modules([imports] if isinstance(imports, str) else imports)
    path = find_checkpoint(name)
    return Network(load_checkpoint(path), path)


def _both(trained: CutSettings, wanted: CutSettings) -> CutSettings:
    """All cuts, each once."""
    telescope = {
        name: list(dict.fromkeys([*trained.telescope.get(name, []), *cuts]))
        for name, cuts in {**trained.telescope, **wanted.telescope}.items()
    }
    return CutSettings(
        image=list(dict.fromkeys([*trained.image, *wanted.image])),
        telescope=telescope,
        event=list(dict.fromkeys([*trained.event, *wanted.event])),
    )


def _rows(wanted: EventIndex, index: EventIndex) -> np.ndarray:
    """For each wanted event its row in the index, −1 where it is not there.

    Raises
    ------
    DataError
        If events have the same ids.
    """
    numbers = {path: number for number, path in enumerate(wanted.files)}
    files = np.array([numbers[path] for path in index.files], dtype=np.int64)
    ours, theirs = _keys(wanted), _keys(index)
    theirs[:, 0] = files[theirs[:, 0]]
    if len(np.unique(theirs, axis=0)) < len(theirs):
        raise DataError(
            "Some events have the same obs_id, event_id and tel_id in one file, so that chosen "
            "ones cannot be told from others; give the files to predict."
        )
    return match_rows(ours, theirs)


def _only(index: EventIndex, rows: np.ndarray) -> tuple[EventIndex, np.ndarray]:
    """The index with these rows alone, and their rows in it, −1 where they are −1."""
    if len(index) == 0:
        return index, rows
    keep = np.zeros(len(index), dtype=bool)
    keep[rows[rows >= 0]] = True
    return index.selected(keep, "chosen"), np.where(rows >= 0, (np.cumsum(keep) - 1)[rows], -1)


def _keys(index: EventIndex) -> np.ndarray:
    names = ("file", "obs_id", "event_id", "tel_id", "shower_id")
    if not len(index):
        return np.zeros((0, len(names)), dtype=np.int64)
    return np.column_stack([np.asarray(index.events[name], dtype=np.int64) for name in names])


def _placed(reconstructed: Mapping, rows: np.ndarray) -> dict[str, dict]:
    """The columns by kind in other rows, NaN where a row is −1."""
    known = rows >= 0
    placed: dict[str, dict] = {}
    for kind, columns in reconstructed.items():
        placed[kind] = {}
        for name, values in columns.items():
            filled = np.full(len(rows), np.nan) * getattr(values, "unit", 1)
            filled[known] = values[rows[known]]
            placed[kind][name] = filled
    return placed


def _with_production(path: Path, cache_directory: str | None) -> Path:
    """The HDF5 file that tells how the events of a file were simulated: itself, or its DL1."""
    if tables.is_hdf5_file(str(path)):
        return path
    return read_isolated(partial(_dl1_path, cache_directory=cache_directory), path)


def _dl1_path(path: Path, cache_directory: str | None) -> Path:
    with open_reader(path, cache_directory) as reader:
        return reader.dl1_path or path
