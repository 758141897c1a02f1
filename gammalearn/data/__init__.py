"""Data: readers, event index, cuts, splits and batches."""

from .batch import Batch, CameraImages
from .dataset import EventDataset
from .descriptors import columns_of
from .index import EventIndex, count_repeated
from .loader import EventLoader, event_loader
from .packed import pack_images
from .split import split_by_shower
from .turns import EventTurns, Turn
from .weights import check_weights, describe_weights, event_weights

__all__ = [
    "Batch",
    "CameraImages",
    "EventDataset",
    "EventIndex",
    "EventLoader",
    "EventTurns",
    "Turn",
    "check_weights",
    "columns_of",
    "count_repeated",
    "describe_weights",
    "event_loader",
    "event_weights",
    "pack_images",
    "split_by_shower",
]
