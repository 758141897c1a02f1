"""Data: readers, event index, cuts, splits and batches."""

from ..lazy import lazily

# What only reads files is there without torch.
__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "batch": "Batch CameraImages",
        "dataset": "EventDataset",
        "descriptors": "columns_of",
        "index": "EventIndex count_repeated",
        "loader": "EventLoader event_loader",
        "packed": "pack_images",
        "slots": "check_slots",
        "split": "split_by_shower",
        "turns": "EventTurns Turn",
        "weights": "check_weights describe_weights event_weights",
    },
)
