"""The number of processes: that of the devices, whoever starts them.

SLURM's variables are as its manual of srun has them: SLURM_NTASKS also in a batch script and in a
shell of an allocation, SLURM_STEP_NUM_TASKS only in what srun has started.
"""

import pytest

from gammalearn.errors import SettingsError
from gammalearn.settings import TrainingSettings
from gammalearn.training import check_machine, check_processes


@pytest.fixture
def srun(slurm, monkeypatch):
    """Function that makes this process the last one of some that srun has started."""

    def started(n_tasks, name="training"):
        monkeypatch.setenv("SLURM_JOB_NAME", name)
        monkeypatch.setenv("SLURM_STEP_ID", "0")
        monkeypatch.setenv("SLURM_PROCID", str(n_tasks - 1))
        for variable in ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_NUM_TASKS"):
            monkeypatch.setenv(variable, str(n_tasks))

    return started


@pytest.fixture
def torchrun(monkeypatch):
    """Function that makes this process one of some that torchrun has started."""

    def started(n_processes):
        variables = {"RANK": 0, "LOCAL_RANK": 0, "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "run"}
        for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
            variables[name] = n_processes
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return started


def check(**settings):
    settings = TrainingSettings(accelerator="cpu", **settings)
    check_processes(settings, check_machine(settings))


def test_as_many_as_devices(srun, torchrun):
    check()
    srun(1)
    check()
    srun(2)
    check(devices=2)
    torchrun(2)
    check(devices=2)


@pytest.mark.parametrize("n_tasks", [2, 4])
def test_each_of_too_many_would_train_by_itself(srun, n_tasks):
    srun(n_tasks)
    words = f"devices=1 .* need 1 process.*, but srun has started {n_tasks}; set them to the proc"
    with pytest.raises(SettingsError, match=words):
        check()


def test_torchrun_has_started_too_many(torchrun):
    torchrun(2)
    with pytest.raises(SettingsError, match="torchrun has started 2; set .* have torchrun start 1"):
        check()


def test_torchrun_in_a_job_of_slurm(srun, torchrun):
    """srun starts one torchrun, which starts what counts."""
    srun(1)
    torchrun(2)
    check(devices=2)
    with pytest.raises(SettingsError, match="torchrun has started 2"):
        check()


def test_too_few_would_wait_for_the_others(slurm, monkeypatch):
    """A batch script without srun, in a job of two tasks."""
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")
    with pytest.raises(SettingsError, match=r"need 2 process.*, but srun has started 1;"):
        check(devices=2)
    check()


@pytest.mark.parametrize("name", ["bash", "interactive"])
def test_a_shell_in_an_allocation_is_one_process(srun, slurm, monkeypatch, name):
    """Which has started it with or without ``srun --pty``."""
    monkeypatch.setenv("SLURM_JOB_NAME", name)
    monkeypatch.setenv("SLURM_NTASKS", "4")
    check()
    check(devices=2)
    srun(4, name=name)
    monkeypatch.setenv("SLURM_PTY_PORT", "40001")
    check()


def test_what_srun_starts_from_a_shell_has_another_name(srun):
    """Under such a name Lightning would have each process start all the others."""
    srun(2, name="interactive")
    with pytest.raises(SettingsError, match="has started 2 .* 'interactive'.* --job-name=training"):
        check(devices=2)


def test_several_nodes_need_srun_or_torchrun():
    with pytest.raises(SettingsError, match=r"training.nodes=2 .* srun or torchrun"):
        check(nodes=2)
