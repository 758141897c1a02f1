"""Reconstructed events: prediction and the DL2 files they go to."""

from .prediction import predict_outputs, reconstruct_events
from .writer import (
    check_ids,
    check_input,
    decode_outputs,
    dl2_file,
    dl2_name,
    energy_and_error,
    write_dl2,
)

__all__ = [
    "check_ids",
    "check_input",
    "decode_outputs",
    "dl2_file",
    "dl2_name",
    "energy_and_error",
    "predict_outputs",
    "reconstruct_events",
    "write_dl2",
]
