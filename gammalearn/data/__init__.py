"""Data: readers, event index, cuts, splits and batches."""

from .batch import Batch, CameraImages
from .dataset import EventDataset, event_loader
from .index import EventIndex
from .split import split_by_shower

__all__ = [
    "Batch",
    "CameraImages",
    "EventDataset",
    "EventIndex",
    "event_loader",
    "split_by_shower",
]
