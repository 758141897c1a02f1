"""Reconstructed events: prediction and the DL2 files they go to."""

from .prediction import predict_outputs
from .writer import check_input, dl2_name, write_dl2

__all__ = ["check_input", "dl2_name", "predict_outputs", "write_dl2"]
