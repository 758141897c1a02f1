"""Trained networks for other programs: ONNX, which runtimes of many languages read."""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data import CameraImages
from ..errors import MissingPackageError, OutputError
from ..io.writing import write_whole
from ..nn import for_inference
from .trained import TrainedNetwork

__all__ = ["FREE", "N_EVENTS", "check_exportable", "export_onnx", "translated"]

#: Events to trace the network with, and what says that there may be any number of them.
N_EVENTS = 3
FREE = {0: torch.export.Dim.DYNAMIC}


class _OfTensors(nn.Module):
    """The network with tensors for everything that goes in."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(
        self, cameras: Mapping[str, Mapping[str, Tensor]], events: Tensor
    ) -> dict[str, Tensor]:
        images = {name: CameraImages(**inputs) for name, inputs in cameras.items()}
        return self.network(images, events.shape[0])


def export_onnx(trained: TrainedNetwork, path: Path, overwrite: bool = False) -> Path:
    """Write a network as ONNX, for any number of events and images.

    Inputs are, for each camera, ``CAMERA_pixels``, ``CAMERA_event``, ``CAMERA_position`` and
    ``CAMERA_pointing`` as in `gammalearn.data.CameraImages`, with fusion by concatenation also
    ``CAMERA_tel_id``, with parameters ``CAMERA_scalars`` and ``CAMERA_vectors``, with the condition
    ``pointing`` ``CAMERA_sky``, and ``events``, int64 of shape (n_events,), whose values do not
    matter. With the condition ``nsb``, the noise is always that of the dark pixels of the image.
    A camera without images has inputs of length 0; there must be an image of each event. Outputs
    have the names of the tasks. Settings and cameras are in the file's metadata, as
    ``gammalearn_settings`` (YAML) and ``gammalearn_cameras`` (JSON).

    Parameters
    ----------
    trained : gammalearn.checkpoint.trained.TrainedNetwork
    path : Path
        File to make.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    MissingPackageError
        If the packages onnx and onnxscript are not installed.
    OutputError
        If the file exists or cannot be written.
    """
    path = Path(path)
    check_exportable(path, overwrite)
    if not trained.tasks:
        raise OutputError(
            f"'{path}' cannot be written: the network has learned without labels and gives "
            "nothing; export a network whose training began with it (training.initial)."
        )
    n_values, network = trained.experiment.data.values_per_pixel, trained.network
    tel_id = 0 if trained.experiment.network.telescopes else None
    # Any images will do, but numbers that are 0, 1 or alike are taken for fixed or the same.
    inputs = {}
    for number, camera in enumerate(trained.cameras):
        event = torch.arange(N_EVENTS + 1 + number) % N_EVENTS
        images = CameraImages.dark(
            event,
            (n_values, camera.n_pixels),
            network.n_scalars,
            len(network.vectors),
            tel_id,
            network.with_pointing,
        )
        inputs[camera.name] = {k: part for k, part in vars(images).items() if part is not None}
    names = [f"{name}_{part}" for name, parts in inputs.items() for part in parts]
    sizes = {name: dict.fromkeys(parts, FREE) for name, parts in inputs.items()}
    program = translated(
        _OfTensors(for_inference(trained.network)).eval(),
        (inputs, torch.arange(N_EVENTS)),
        (sizes, FREE),
        [*names, "events"],
        trained.network.tasks,
    )
    cameras = [camera.to_dict() for camera in trained.cameras]
    program.model.metadata_props["gammalearn_settings"] = trained.experiment.to_yaml()
    program.model.metadata_props["gammalearn_cameras"] = json.dumps(cameras)
    write_whole(path, lambda part: program.save(part, external_data=False))
    return path


def check_exportable(path: Path, overwrite: bool) -> None:
    """Refuse what cannot be written as ONNX.

    Raises
    ------
    MissingPackageError
        If the packages onnx and onnxscript are not installed.
    OutputError
        If the file exists.
    """
    if path.exists() and not overwrite:
        raise OutputError(f"'{path}' exists; give another name, or --overwrite to replace it.")
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"'{path}' cannot be written without the packages onnx and onnxscript; install them "
            "with pip install onnx onnxscript."
        ) from error


def translated(
    network: nn.Module,
    inputs: tuple[Any, ...],
    sizes: tuple[Any, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> torch.onnx.ONNXProgram:
    """A network as ONNX.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    inputs : tuple
        To trace it with.
    sizes : tuple
        Which of their dimensions are free, as torch.export has it.
    input_names, output_names : sequence of str
    """
    with warnings.catch_warnings():
        # Of torch and its translator about what they themselves call that is to be called no more.
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        # Of its tracer, whatever the model, about numbers that it takes for fixed: ours are free.
        warnings.filterwarnings("ignore", module=r"torch\.(export|onnx|jit)")
        logging.disable(logging.WARNING)
        try:
            program = torch.onnx.export(
                network,
                inputs,
                dynamo=True,
                dynamic_shapes=sizes,
                input_names=list(input_names),
                output_names=list(output_names),
                verbose=False,
            )
        finally:
            logging.disable(logging.NOTSET)
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program.")
    return program
