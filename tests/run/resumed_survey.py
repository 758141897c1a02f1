"""A training of a survey that is interrupted and resumed, beside one that is not."""

import torch

from gammalearn.cli.program import main
from gammalearn.surveys.loading import ObjectLoader


def assert_resumed_is_uninterrupted(settings, whole, output, monkeypatch):
    """Interrupt a run of the settings in its fifth batch, resume it, and compare the weights.

    ``whole`` is the folder of the run that nothing interrupted; ``output`` is that of the other.
    """
    make, made = ObjectLoader._batch, []

    def interrupted(self, rows, rng):
        made.append(rows)
        if len(made) == 5:
            raise KeyboardInterrupt
        return make(self, rows, rng)

    command = ["run", str(settings), "-o", str(output), "-q"]
    # The report is shown by the first run.
    monkeypatch.setattr("gammalearn.run.surveys._evaluated", lambda *_: {})
    with monkeypatch.context() as patch:
        patch.setattr(ObjectLoader, "_batch", interrupted)
        patch.setattr(
            "gammalearn.training.callbacks.checkpointing.MidEpochCheckpoint._is_told",
            lambda self, trainer: False,
        )
        assert main(command) == 130
    assert main([*command, "--resume"]) == 0
    expected, found = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (whole, output)
    )
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
