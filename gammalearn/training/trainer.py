"""The trainer: Lightning's on the devices that the settings ask for."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.multiprocessing import ProcessRaisedException

from .. import errors
from ..errors import SettingsError
from ..machine.cores import check_workers
from ..machine.memory import keep_freed_memory
from ..nn import ReconstructionNetwork
from ..settings import TrainingSettings
from .callbacks.checkpointing import WholeFiles
from .callbacks.threads import FreeCoresOnly

__all__ = [
    "check_machine",
    "check_processes",
    "compile_encoders",
    "interruptible",
    "make_trainer",
]

log = logging.getLogger(__name__)


def make_trainer(settings: TrainingSettings, **options: Any) -> lightning.Trainer:
    """Lightning's trainer.

    Parameters
    ----------
    settings : gammalearn.settings.TrainingSettings
    **options
        Of the trainer, beside those that the settings decide.

    Raises
    ------
    SettingsError
        If the machine does not have what was asked for.
    """
    if not log.isEnabledFor(logging.DEBUG):
        # Lightning tells much of what the user did not ask.
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        trainer = lightning.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=_strategy(settings),
            num_nodes=settings.nodes,
            precision=settings.precision,
            # Clipped by the module, which looks at the gradient's length anyway.
            accumulate_grad_batches=settings.accumulation,
            plugins=[WholeFiles()],
            use_distributed_sampler=False,
            deterministic="warn",
            **options,
        )
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise SettingsError(
            f"training: this machine cannot be used as the settings ask (accelerator="
            f"{settings.accelerator}, devices={settings.devices}, precision="
            f"{settings.precision}): {error}"
        ) from error
    if isinstance(trainer.accelerator, CPUAccelerator):
        # Of GPUs Lightning knows how many there are.
        if trainer.num_devices > (os.cpu_count() or 1):
            raise SettingsError(
                f"training.devices={settings.devices} is more than the {os.cpu_count()} CPU cores "
                "of this machine."
            )
        keep_freed_memory()
        trainer.callbacks.append(FreeCoresOnly())  # type: ignore[attr-defined]  # set as it is made
    return trainer


def check_machine(settings: TrainingSettings) -> int:
    """Refuse settings that this machine cannot serve, before anything is written.

    Returns
    -------
    int
        Number of processes that train together.

    Raises
    ------
    SettingsError
        If it does not have what was asked for.
    """
    check_workers(settings.workers)
    trainer = make_trainer(
        settings,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    return trainer.num_devices * trainer.num_nodes


def check_processes(settings: TrainingSettings, n_processes: int) -> None:
    """Refuse a run that was started in other than its number of processes.

    Each of too many would train by itself and write the same files; too few would wait for the
    others without end.

    Parameters
    ----------
    settings : gammalearn.settings.TrainingSettings
    n_processes : int
        From `check_machine`.

    Raises
    ------
    SettingsError
        If SLURM or torchrun has started another number, or nothing has that could start a run on
        several nodes.
    """
    if TorchElasticEnvironment.detect():
        starter, n_started = "torchrun", TorchElasticEnvironment().world_size()
    else:
        starter, n_started = "srun", _tasks_of_srun()
    if starter == "srun" and not SLURMEnvironment.detect():
        if n_started > 1:
            # Lightning goes by the name, and each process would start all the others again.
            raise SettingsError(
                f"srun has started {n_started} processes in a job called "
                f"'{SLURMEnvironment.job_name()}', which is taken for one shell; give another "
                "name to salloc or sbatch, such as --job-name=training."
            )
        if settings.nodes > 1:
            raise SettingsError(
                f"training.nodes={settings.nodes} needs processes on each node, which only srun "
                "or torchrun starts; start it with one of them (see docs/cluster), or set "
                "training.nodes to 1."
            )
        return
    if n_started != n_processes:
        raise SettingsError(
            f"training.devices={settings.devices} and training.nodes={settings.nodes} need "
            f"{n_processes} process(es), but {starter} has started {n_started}; set them "
            f"to the processes of a node and the nodes, or have {starter} start {n_processes}."
        )


def _tasks_of_srun() -> int:
    """How many processes srun has started beside this one, with it; 1 for one that it has not.

    Not SLURM_NTASKS, which a batch script and a shell in an allocation have too.
    """
    # Of the tasks of `srun --pty`, a person has the first.
    is_shell = "SLURM_PTY_PORT" in os.environ
    return 1 if is_shell else int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))


def _strategy(settings: TrainingSettings) -> str:
    """How processes share the training, in Lightning's words.

    On one machine, only the training runs in several processes, and what called it goes on in
    one; SLURM and torchrun start whole runs instead, as do several nodes.
    """
    started_outside = SLURMEnvironment.detect() or TorchElasticEnvironment.detect()
    if settings.nodes > 1 or (started_outside and settings.devices != 1):
        return "ddp"
    devices = settings.devices
    if devices == "auto" or devices == -1:
        devices = torch.cuda.device_count()
    count = len(devices) if isinstance(devices, list) else devices
    return "ddp_spawn" if count > 1 else "auto"


def compile_encoders(network: ReconstructionNetwork, several_gradients: bool = False) -> None:
    """Let torch compile the encoders of a network; what it cannot compile runs as it is.

    Parameters
    ----------
    network : ReconstructionNetwork
    several_gradients : bool
        Whether more than one gradient is taken of the same output.
    """
    torch._dynamo.config.suppress_errors = True
    if several_gradients:
        # Else the first gradient may compute in the memory of what the next one needs.
        torch._functorch.config.donated_buffer = False
    failures: list[Exception] = []

    def compile_graph(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        try:
            return torch._dynamo.lookup_backend("inductor")(graph, inputs)
        except torch._dynamo.exc.RestartAnalysis:
            # No failure: torch traces again, with what it has learnt of the numbers in the graph.
            raise
        except Exception as error:  # of whatever compiler there is
            if not failures:
                log.warning("The encoders are not compiled (%s).", str(error).partition("\n")[0])
            failures.append(error)
            return graph

    for encoder in network.encoders.values():
        # Batches have as many events, but not as many images, as others.
        encoder.compile(dynamic=True, backend=compile_graph)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let through what ends a training: Lightning turns Ctrl-C into the end of the process, and
    torch what a process that it has started raises into text."""
    try:
        yield
    except SystemExit as exit:
        if not isinstance(exit.__context__, KeyboardInterrupt):
            raise
        raise exit.__context__ from None
    except ProcessRaisedException as error:
        names = "|".join(errors.__all__)
        ours = re.findall(rf"^gammalearn\.errors\.({names}): (.+)$", str(error), re.MULTILINE)
        if not ours:
            raise
        name, sentence = ours[-1]
        raise getattr(errors, name)(sentence) from error
