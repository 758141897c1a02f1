"""Warnings of Lightning that tell nothing to who trains by our settings; all others are shown."""

import warnings

__all__ = ["SILENCED", "silence"]

#: How each begins (a regular expression), and why it is not shown.
SILENCED = {
    r"The '\w+' does not have many workers": "training.workers is set by who knows the machine",
    r"Consider setting `persistent_workers=True`": "our loader keeps its workers by itself",
    r"You defined a `validation_step` but have no `val_dataloader`": (
        "data.validation_fraction=0 asks for it"
    ),
    r"Be aware that when using `ckpt_path`, callbacks": (
        "a resumed run has those that its settings ask for"
    ),
    r"You're resuming from a checkpoint that ended before the epoch ended": (
        "our loader goes on from any batch"
    ),
    r"Found \d+ module\(s\) in eval mode": "training.frozen keeps parts as they are",
    r"Checkpoint directory .* exists and is not empty": "a resumed run goes on in its folder",
    r"GPU available but not used": "training.accelerator is set by who knows the machine",
}


def silence() -> None:
    """Show these warnings no more, within ``warnings.catch_warnings()``."""
    for beginning in SILENCED:
        warnings.filterwarnings("ignore", message=beginning)
