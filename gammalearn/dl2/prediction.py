"""Prediction: the network's outputs for all events of an index."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from ..checkpoint.trained import TrainedNetwork
from ..data import Batch, EventDataset, EventIndex, event_loader
from ..machine.cores import usable_cores
from ..machine.free_cores import ThreadsOnFreeCores
from ..machine.memory import keep_freed_memory
from ..nn import for_inference, inference_device
from ..settings import DataSettings, Experiment
from ..tasks import Columns, Task
from ..tasks.without_labels import ImageNetwork, ReconstructionTask
from .writer import decode_outputs

__all__ = ["ANOMALY", "predict_outputs", "read_ahead", "reconstruct_events"]

#: Kind of quantity that the anomaly score is, and group of its tables in DL2 files.
ANOMALY = "anomaly"


@torch.inference_mode()
def predict_outputs(
    network: nn.Module,
    tasks: Mapping[str, Task],
    index: EventIndex,
    data_settings: DataSettings,
    batch_size: int,
    workers: int = 0,
    device: str = "cpu",
    max_batches: int | None = None,
    progress: bool = True,
    reconstruction: ReconstructionTask | None = None,
) -> dict[str, np.ndarray]:
    """Outputs of the network in evaluation mode.

    Parameters
    ----------
    network : ReconstructionNetwork
    tasks : mapping of str to Task
    index : EventIndex
    data_settings : gammalearn.settings.DataSettings
        Those the network was trained with.
    batch_size : int
        Events a batch.
    workers : int
        Processes that read.
    device : str
        ``cpu``, ``cuda``, …
    max_batches : int, optional
        Stop after so many batches; the other events stay without output.
    progress : bool
        Show a progress bar.
    reconstruction : ReconstructionTask, optional
        Also give the anomaly scores of the events, as the output of this task.

    Returns
    -------
    dict of str to ndarray of float32, shape (len(index), n_outputs)
        By task, NaN for events without output.
    """
    outputs = {
        name: np.full((len(index), task.n_outputs), np.nan, dtype=np.float32)
        for name, task in tasks.items()
    }
    if reconstruction is not None:
        outputs[reconstruction.name] = np.full((len(index), 1), np.nan, dtype=np.float32)
        reconstruction = reconstruction.to(device)
    if len(index) == 0:
        return outputs
    if device == "cpu":
        keep_freed_memory()
    network = for_inference(network).to(device)
    dataset = EventDataset(index, data_settings, parameters=network.image_parameters)
    bar = tqdm(
        total=len(index),
        unit=" events",
        desc=f"Reconstructing {_in_words(index.files)}",
        disable=not progress,
    )
    threads = ThreadsOnFreeCores(torch.get_num_threads, torch.set_num_threads)
    with closing(dataset), bar, closing(threads):
        for number, batch in enumerate(read_ahead(event_loader(dataset, batch_size, workers))):
            if number == max_batches:
                break
            threads()
            images = batch.to(device).images
            predicted = network(images, batch.n_events)
            if reconstruction is not None:
                seeing = cast(ImageNetwork, network)
                score = reconstruction.score(seeing, images, batch.n_events)
                predicted[reconstruction.name] = score.unsqueeze(1)
            for name, output in predicted.items():
                outputs[name][batch.index.numpy()] = output.float().cpu().numpy()
            bar.update(batch.n_events)
    return outputs


def _in_words(files: Sequence[Path]) -> str:
    return files[0].name if len(files) == 1 else f"{len(files)} files"


def reconstruct_events(
    trained: TrainedNetwork,
    index: EventIndex,
    experiment: Experiment,
    max_batches: int | None = None,
    progress: bool = True,
) -> dict[str, Columns]:
    """What the network says of the events of an index.

    Parameters
    ----------
    trained : TrainedNetwork
    index : EventIndex
    experiment : Experiment
        How to read the images, and on which machine.
    max_batches : int, optional
        Stop after so many batches; the other events stay without result.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict of str to Columns
        By kind of quantity, columns with unit, see `decode_outputs`.

    Raises
    ------
    DataError
        If a file turns out to be damaged.
    """
    outputs = predict_outputs(
        trained.network,
        trained.tasks,
        index,
        experiment.data,
        experiment.training.batch_size,
        # Those of the training, which may have had a larger machine.
        min(experiment.training.workers, usable_cores()),
        inference_device(experiment.training.accelerator),
        max_batches=max_batches,
        progress=progress,
        reconstruction=trained.reconstruction,
    )
    decoded = decode_outputs(index, trained.tasks, outputs, trained.event_classes)
    if trained.reconstruction is not None:
        decoded[ANOMALY] = {"anomaly_score": outputs[trained.reconstruction.name][:, 0]}
    return decoded


def read_ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same batches, of which a thread reads the next while one is used."""
    batches = iter(batches)
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield batch
