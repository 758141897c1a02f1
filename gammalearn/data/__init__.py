"""Data: readers, event index, cuts, splits and batches."""

from ..lazy import lazily

# What only reads files is there without torch.
__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "loading.batch": "Batch CameraImages",
        "loading.dataset": "EventDataset",
        "images.descriptors": "columns_for columns_of",
        "index.events": "EventIndex count_repeated",
        "loading.loader": "EventLoader event_loader",
        "loading.packed": "pack_images",
        "index.slots": "check_slots",
        "index.split": "split_by_shower",
        "images.rotations": "EventRotations Rotation",
        "index.unlabelled": "cuts_of_truth index_unlabelled",
        "loading.unlabelled": "ChainedLoader PairedLoader shares_of_batch",
        "index.weights": "check_weights describe_weights event_weights",
    },
)
