"""Networks on cut-outs for other programs: ONNX."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ...checkpoint.export import FREE, N_EVENTS, check_exportable, translated
from ...errors import OutputError
from ...io.writing import write_whole
from ..checkpoint import TrainedSurveyNetwork
from .network import OfCutouts
from .views import Images

__all__ = ["export_onnx"]


class _OfTensors(nn.Module):
    """The network with tensors for everything that goes in."""

    def __init__(self, network: OfCutouts):
        super().__init__()
        self.network = network

    def forward(self, flux: Tensor, dust: Tensor) -> dict[str, Tensor]:
        images = Images(torch.empty(0, dtype=torch.int64), flux, dust)
        return self.network.outputs(self.network.embed(images))


def export_onnx(trained: TrainedSurveyNetwork, path: Path, overwrite: bool = False) -> Path:
    """Write a network as ONNX, for any number of cut-outs.

    Inputs are ``flux``, float32 of shape (n, n_bands, n_pixels, n_pixels), with the zero point
    27.5 mag, and ``dust``, float32 of shape (n,), E(B-V) of the Milky Way in mag. The output has
    the name of the task: logits. Settings, and what the network sees, are in the file's metadata,
    as ``gammalearn_settings`` (YAML) and ``gammalearn_seen`` (JSON).

    Parameters
    ----------
    trained : TrainedSurveyNetwork
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
        If the file exists or cannot be written, or the network is not one on cut-outs.
    """
    network = trained.network
    if not isinstance(network, OfCutouts):
        raise OutputError(
            f"'{path}' cannot be written: networks of the survey '{trained.experiment.survey}' are "
            "not exported; give one on cut-outs."
        )
    check_exportable(path, overwrite)
    n_bands, n_pixels = len(trained.seen["bands"]), trained.seen["n_pixels"]
    inputs = torch.ones(N_EVENTS, n_bands, n_pixels, n_pixels), torch.zeros(N_EVENTS)
    program = translated(
        _OfTensors(network).eval(), inputs, (FREE, FREE), ["flux", "dust"], list(network.heads)
    )
    program.model.metadata_props["gammalearn_settings"] = trained.experiment.to_yaml()
    program.model.metadata_props["gammalearn_seen"] = json.dumps(trained.seen)
    write_whole(path, lambda part: program.save(part, external_data=False))
    return path
