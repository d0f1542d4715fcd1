"""A Slurm cluster of one machine, in a temporary folder: munged, slurmctld and slurmd. Needs root and slurm-wlm."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from steward.testing.waiting import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CONF = """
ClusterName=steward-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
KillWait=15
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing_for_slurm() -> str:
    """Return why this machine cannot start a cluster; "" if it can."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        return f"needs Debian's slurm-wlm and munge: {', '.join(missing)} are missing"
    return "" if os.geteuid() == 0 else "a cluster of one's own needs root"


@dataclass
class SlurmCluster:
    """A running cluster; `environment` is what programs of Slurm need to reach it."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self, name: str, *arguments: str) -> None:
        """Start a daemon in the foreground."""
        program = _program(name)
        assert program is not None
        with (self.folder / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [program, *arguments], env={**os.environ, **self.environment}, stdout=log, stderr=log
            )

    def start_controller(self) -> None:
        """Start slurmctld, and wait until it answers."""
        self.start("slurmctld", "-D")
        wait_until(lambda: self.runs("squeue").returncode == 0, seconds=60)

    def start_node(self) -> None:
        """Start slurmd, and wait until its node takes jobs."""
        self.start("slurmd", "-D")
        wait_until(lambda: b"idle" in self.runs("sinfo", "--noheader", "--format=%T").stdout, seconds=60)

    def saved_at(self) -> float:
        """When the controller last saved its jobs."""
        file = self.folder / "state" / "job_state"
        return file.stat().st_mtime if file.exists() else 0.0

    def kill(self, name: str) -> None:
        """Kill a daemon with -9."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def runs(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of Slurm's programs."""
        return subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, timeout=60, check=False
        )

    def end(self) -> None:
        """End all daemons, and what is left of their jobs."""
        self.runs("scancel", "--me", "--signal=KILL")
        for name in ("slurmd", "slurmctld", "munged"):
            process = self.processes.pop(name, None)
            if process is None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """Start a cluster in `folder`; end it with the block."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    controller_port, node_port = _free_ports(2)
    host = socket.gethostname().partition(".")[0]
    conf = CONF.format(
        host=host, folder=folder, controller_port=controller_port, node_port=node_port, cpus=os.cpu_count() or 1
    )
    (folder / "slurm.conf").write_text(conf)
    cluster = SlurmCluster(folder)
    files = [f"--{name}={folder}/munge.{end}" for name, end in _MUNGE_FILES]
    try:
        cluster.start("munged", "--foreground", "--force", *files)
        wait_until(lambda: (folder / "munge.socket").exists(), seconds=30)
        cluster.start_controller()
        cluster.start_node()
        yield cluster
    finally:
        cluster.end()


_MUNGE_FILES = (
    ("key-file", "key"),
    ("socket", "socket"),
    ("pid-file", "pid"),
    ("log-file", "log"),
    ("seed-file", "seed"),
)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _free_ports(count: int) -> Sequence[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
