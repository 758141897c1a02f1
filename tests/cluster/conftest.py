"""A SLURM of two nodes on this machine, for the tests alone, with daemons and files of its own."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

#: Where `gammalearn` is, as after the environment was activated, and where Debian has the daemons.
SEARCHED = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"

DAEMONS = ("munged", "slurmctld", "slurmd")

#: Two nodes of one host: each slurmd has a port and a folder of its own. A job that is queued again
#: starts when its credential has expired (``cred_expire``), by default after two minutes.
CONFIGURATION = """
ClusterName=gammalearn
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdTimeout=10
ReturnToService=2
KillWait=60
MinJobAge=7200
NodeName=one,two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]},{ports[2]} CPUs=4
PartitionName=all Nodes=ALL Default=YES State=UP
"""

#: Seconds that a job may take, on a machine that does much else.
PATIENCE = 1800


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens to."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """What its user and its administrator can do."""

    nodes = ("one", "two")

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {
            # Nothing of the tests' own processes, but where the programs and their caches are.
            **{name: os.environ[name] for name in ("HOME", "PYTHONPATH") if name in os.environ},
            "PATH": SEARCHED,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
            # The nodes' names are no hosts'.
            "MASTER_ADDR": "127.0.0.1",
        }

    def start(self) -> None:
        configuration = CONFIGURATION.format(
            folder=self.folder,
            host=socket.gethostname(),
            user=getpass.getuser(),
            ports=free_ports(3),
        )
        (self.folder / "slurm.conf").write_text(configuration)
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self.call(
            "munged",
            f"--key-file={key}",
            *(f"--{name}-file={self.folder}/munged.{name}" for name in ("pid", "log", "seed")),
            f"--socket={self.folder}/munge.socket",
            "--force",
        )
        self.call("slurmctld")
        for node in self.nodes:
            self.start_node(node)

    def start_node(self, node: str) -> None:
        self.call("slurmd", "-N", node)
        self.until(
            lambda: self.call("sinfo", "-hn", node, "-o%T") == "idle", f"node {node} is idle"
        )

    def stop(self) -> None:
        """End jobs and daemons."""
        with suppress(subprocess.CalledProcessError):
            self.call("scancel", "--signal=KILL", "--user", getpass.getuser())
            self.call("scancel", "--user", getpass.getuser())
            self.until(lambda: not self.call("squeue", "-h"), "all jobs end", 60)
        for name in (*(f"slurmd-{node}" for node in self.nodes), "slurmctld", "munged"):
            with suppress(OSError, ValueError):
                os.kill(self.process(name), signal.SIGTERM)

    @staticmethod
    def until(reached: Callable, what: str, patience: float = PATIENCE):
        """Wait until something is true, and return it."""
        end = time.monotonic() + patience
        while not (value := reached()):
            if time.monotonic() > end:
                pytest.fail(f"{what}: not within {patience} s")
            time.sleep(0.5)
        return value

    def process(self, daemon: str) -> int:
        return int((self.folder / f"{daemon}.pid").read_text())

    def call(self, program: str, *arguments, given: str | None = None) -> str:
        """What a program of SLURM prints."""
        done = subprocess.run(
            [shutil.which(program, path=SEARCHED), *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def submit(self, script: str, *options: str, **environment) -> str:
        """Queue a script; returns the number of its job."""
        variables = ",".join(["ALL", *(f"{name}={value}" for name, value in environment.items())])
        return self.call("sbatch", "--parsable", f"--export={variables}", *options, given=script)

    def job(self, number: str) -> dict[str, str]:
        """What SLURM knows of a job: JobState, Restarts and so on."""
        words = self.call("scontrol", "--oneliner", "show", "job", number).splitlines()[0].split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, number: str, state: str = "COMPLETED") -> dict[str, str]:
        """Wait until a job has ended, in this state."""
        moving = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "NODE_FAIL"}
        self.until(lambda: self.job(number)["JobState"] not in moving, f"job {number} ends")
        job = self.job(number)
        assert job["JobState"] == state, (job, Path(job["StdOut"]).read_text())
        self.until(lambda: not self.processes(number), f"processes of job {number} end", 120)
        return job

    def processes(self, number: str) -> list[int]:
        """Processes of a job, and what SLURM watches them with."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                variables = (process / "environ").read_bytes().split(b"\0")
                words = (process / "cmdline").read_bytes()
                ours = f"SLURM_CONF={self.folder}/slurm.conf".encode() in variables
                # Another SLURM on this machine may have a job of this number too.
                watches = (
                    words.startswith(f"slurmstepd: [{number}.".encode())
                    and (process / "cwd").resolve() == self.folder.resolve()
                )
                if watches or (ours and f"SLURM_JOB_ID={number}".encode() in variables):
                    found.append(int(process.name))
        return found

    def fail(self, node: str, number: str) -> None:
        """The end of a node, with all that runs there: a job of it alone, and its daemon."""
        for process in [self.process(f"slurmd-{node}"), *self.processes(number)]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    missing = [name for name in DAEMONS if not shutil.which(name, path=SEARCHED)]
    if missing:
        pytest.skip(
            f"SLURM is not installed ({', '.join(missing)} not found): as root, "
            "apt-get install slurm-wlm munge"
        )
    folder = tmp_path_factory.mktemp("cluster")
    # munge wants no folder on the way that others may write to, and finds its socket by all.
    folder.chmod(0o755)
    started = Cluster(folder)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def options() -> Sequence[str]:
    """Of all jobs, as in docs/cluster; output of a job that starts again is appended."""
    return ("--ntasks-per-node=1", "--requeue", "--open-mode=append")
