"""Prediction: the network's outputs for all events of an index."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from ..data import Batch, EventDataset, EventIndex, event_loader
from ..memory import keep_freed_memory
from ..nn import for_inference
from ..tasks import Task

__all__ = ["predict_outputs", "read_ahead"]


@torch.inference_mode()
def predict_outputs(
    network: nn.Module,
    tasks: Mapping[str, Task],
    index: EventIndex,
    data_settings,
    batch_size: int,
    workers: int = 0,
    device: str = "cpu",
    max_batches: int | None = None,
    progress: bool = True,
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

    Returns
    -------
    dict of str to ndarray of float32, shape (len(index), n_outputs)
        By task, NaN for events without output.
    """
    outputs = {
        name: np.full((len(index), task.n_outputs), np.nan, dtype=np.float32)
        for name, task in tasks.items()
    }
    if len(index) == 0:
        return outputs
    if device == "cpu":
        keep_freed_memory()
    network = for_inference(network).to(device)
    dataset = EventDataset(index, data_settings, parameters=network.image_parameters)
    bar = tqdm(
        total=len(index),
        unit=" events",
        desc=f"Reconstructing {index.files[0].name}",
        disable=not progress,
    )
    with closing(dataset), bar:
        for number, batch in enumerate(read_ahead(event_loader(dataset, batch_size, workers))):
            if number == max_batches:
                break
            predicted = network(batch.to(device).images, batch.n_events)
            for name, output in predicted.items():
                outputs[name][batch.index.numpy()] = output.float().cpu().numpy()
            bar.update(batch.n_events)
    return outputs


def read_ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same batches, of which a thread reads the next while one is used."""
    batches = iter(batches)
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(next, batches, None)
        while (batch := ahead.result()) is not None:
            ahead = reader.submit(next, batches, None)
            yield batch
