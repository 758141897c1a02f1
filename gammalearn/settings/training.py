"""Settings of the optimiser and the machine."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from .base import Minutes, Settings, Strings, as_path

__all__ = ["TrainingSettings"]


class TrainingSettings(Settings):
    """Optimiser and machine."""

    initial: Annotated[str | None, BeforeValidator(as_path)] = None
    """Checkpoint of another run, or name of a shipped network, whose weights the training starts
    from. Each part whose shapes fit is taken: encoders by camera, heads by task. Other parts start
    with random weights."""

    frozen: Strings = []
    """Parts that keep the weights of ``training.initial``, e.g. ``encoders``, ``encoders.LSTCam``,
    ``fusion`` or ``heads.energy``."""

    epochs: int = Field(20, ge=1)
    """Number of times that each training event is used."""

    batch_size: int = Field(64, ge=1)
    """Number of events in a batch, for each device."""

    accumulation: int = Field(1, ge=1)
    """Number of batches whose gradients are averaged for one step. A step then has more events with
    the memory of one batch."""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov & Hutter 2019), or stochastic gradient descent with momentum."""

    momentum: float = Field(0.9, ge=0, lt=1)
    """Fraction of the previous step that is kept (sgd)."""

    learning_rate: float = Field(1e-3, gt=0)
    """Step size; with a schedule, the largest step size."""

    schedule: Literal["constant", "one_cycle", "cosine", "step", "plateau"] = "constant"
    """How the step size changes: not at all (constant); up in the first third and down to zero at
    the end (one_cycle, Smith & Topin 2018); up in the warm-up and down as a cosine (cosine); down
    every ``decay_epochs`` (step); or down after that many epochs without a lower validation loss
    (plateau). one_cycle and cosine learn more in few epochs, but cannot be continued beyond the
    planned epochs."""

    warm_up: float = Field(0.05, ge=0, lt=1)
    """Fraction of the training in which the step size rises (cosine)."""

    decay_epochs: int = Field(5, ge=1)
    """Number of epochs between two reductions of the step size (step), or without a lower
    validation loss before a reduction (plateau)."""

    decay_factor: float = Field(0.3, gt=0, lt=1)
    """Factor of each reduction of the step size (step and plateau)."""

    weight_decay: float = Field(0.0, ge=0)
    """Decay of the weights towards zero at each step, relative to the step size."""

    gradient_clipping: float | None = Field(None, gt=0)
    """Largest norm of the gradient of all weights. Longer gradients are shortened to it."""

    weight_averaging: float = Field(0.0, ge=0, lt=1)
    """Validate, save and use a moving average of the weights instead of the last weights. Each step
    keeps this fraction of the average: 0.999 averages about a thousand steps, 0 does not
    average."""

    early_stopping: int | None = Field(None, ge=1)
    """Number of epochs without a lower validation loss after which the training ends. By default it
    does not end early."""

    checkpoint_minutes: Minutes = Field(10.0, gt=0, le=1e6)
    """Time (minutes, or text with another unit) between two checkpoints within an epoch. An
    interrupted run continues from the last one. There is also one after each epoch."""

    picture_epochs: int = Field(5, ge=1)
    """Number of epochs between two pictures of the validation in TensorBoard: some events with the
    results of the network, and migration matrices of energy and direction."""

    image_losses: float = Field(1.0, ge=0, allow_inf_nan=False)
    """Weight of the losses of the image estimates, relative to the loss of the event (stereo). With
    it each telescope trains the encoder directly, which helps most in short trainings. It is also
    the weight of the earlier fits of the geometry."""

    balancing: Literal["fixed", "uncertainty", "dwa", "gradnorm", "pcgrad"] = "fixed"
    """How the losses of the tasks are weighted: with their settings (fixed), with learned
    uncertainties (uncertainty), by how fast each falls (dwa), with learned weights that give all
    tasks similar training rates (gradnorm), or by changing gradients that oppose each other
    (pcgrad). The last two need one more backward pass for each task."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the split, the order of the events, the first weights and dropout."""

    workers: int = Field(0, ge=0)
    """Number of processes that load data. With 0 the training process loads them."""

    accelerator: str = "auto"
    """``cpu``, ``gpu`` or ``auto``, as in Lightning."""

    devices: int | list[int] | Literal["auto"] = 1
    """Number of devices on each node, or a list of devices."""

    nodes: int = Field(1, ge=1)
    """Number of nodes."""

    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """Precision of the numbers, with Lightning's names."""

    compile: bool = False
    """Let torch compile the encoders. The first steps take a minute longer, later steps are faster
    (with the native backend on a CPU by a tenth at most). If there is no compiler, the training
    continues without."""

    @model_validator(mode="after")
    def _frozen_parts_have_learnt(self) -> Self:
        if self.frozen and self.initial is None:
            raise ValueError(
                f"frozen={self.frozen} would keep random weights; set initial to a checkpoint to "
                "begin with"
            )
        return self
