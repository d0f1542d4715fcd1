"""The jobs of the `slurm` backend on a real cluster of one machine; `make long` runs them if Slurm is installed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.backends.slurm import SlurmPlatform
from bot.core.platforms import LaunchOrder, PlatformError
from leaderboard.backend_settings import SlurmBackend
from steward.testing.waiting import wait_until
from tests.support.board.slurm_cluster import SlurmCluster, missing_for_slurm, slurm_cluster
from tests.support.workers.worker_process import BOARD

pytestmark = [
    pytest.mark.timeout(1_800),
    pytest.mark.long("a cluster of one machine"),
    pytest.mark.skipif(bool(missing_for_slurm()), reason=missing_for_slurm()),
]
ATTEMPT = "0123456789ab-01234567-1"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """One cluster for all tests."""
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as running, pytest.MonkeyPatch.context() as patched:
        for name, value in running.environment.items():
            patched.setenv(name, value)
        yield running


def order(attempt: str = ATTEMPT) -> LaunchOrder:
    """The order to start a job for `attempt`."""
    return LaunchOrder(attempt, "small", "ada/x", "a" * 40, False, 120.0, "http://127.0.0.1:1", "the token")


def script(folder: Path, body: str) -> Path:
    """Write a batch script that runs `body`."""
    file = folder / "attempt.sbatch"
    file.write_text(f"#!/bin/bash\n{body}\n")
    return file


def platform(folder: Path, body: str) -> SlurmPlatform:
    """The platform whose jobs run `body`."""
    template = str(script(folder, body))
    backend = SlurmBackend(kind="slurm", template=template, spool=str(folder / "spool"), parallel=2)
    return SlurmPlatform(backend, BOARD, "small", folder / "spool")


def test_a_job_is_listed_from_its_start_to_its_end(cluster: SlurmCluster, tmp_path: Path) -> None:
    """A job is listed with its attempt and its times in seconds, and reads its token from a file with mode 600."""
    jobs = platform(tmp_path, 'cat "$STEWARD_ATTEMPT_TOKEN_FILE"; env | grep -c TOKEN; sleep 1')
    old = tmp_path / "spool" / "tokens" / "of-long-ago"
    old.parent.mkdir(parents=True)
    old.write_text("a token")
    os.utime(old, (1, 1))
    job = jobs.launch(order())
    assert not old.exists()
    (run,) = [run for run in jobs.runs() if run.id == job]
    assert (run.attempt, run.tier, run.stage in ("waiting", "running")) == (ATTEMPT, "small", True)
    ended = wait_until(lambda: next((run for run in jobs.runs() if run.id == job and run.stage == "ended"), None))
    assert 1 <= ended.ended - ended.started < 60
    assert (tmp_path / "spool" / "logs" / f"{job}.log").read_text() == "the token1\n"
    assert (tmp_path / "spool" / "tokens" / ATTEMPT).stat().st_mode & 0o777 == 0o600


def test_a_job_can_be_cancelled_twice_and_one_that_fails_is_seen(cluster: SlurmCluster, tmp_path: Path) -> None:
    """A job that is cancelled, even twice, or that exits with an error, is listed as failed."""
    jobs = platform(tmp_path, "exec sleep 300")
    job = jobs.launch(order())
    wait_until(lambda: any(run.id == job and run.stage == "running" for run in jobs.runs()))
    (run,) = [run for run in jobs.runs() if run.id == job]
    jobs.cancel(run)
    jobs.cancel(run)
    wait_until(lambda: any(run.id == job and run.stage == "failed" for run in jobs.runs()))
    failing = platform(tmp_path, "exit 3")
    job = failing.launch(order())
    wait_until(lambda: any(run.id == job and run.stage == "failed" for run in failing.runs()))


def test_a_killed_controller_and_a_refused_script_are_reported(cluster: SlurmCluster, tmp_path: Path) -> None:
    """If the controller is killed or refuses a script, the error names Slurm's command; jobs outlast the controller."""
    jobs = platform(tmp_path, "exec sleep 300")
    job = jobs.launch(order())
    wait_until(lambda: any(run.id == job and run.stage == "running" for run in jobs.runs()))
    started = time.time()
    wait_until(lambda: cluster.saved_at() > started)  # jobs that it has not saved yet are lost
    cluster.kill("slurmctld")
    with pytest.raises(PlatformError, match="squeue"):
        jobs.runs()
    cluster.start_controller()
    (run,) = wait_until(lambda: [run for run in jobs.runs() if run.id == job and run.stage == "running"])
    jobs.cancel(run)
    backend = SlurmBackend(kind="slurm", template=str(tmp_path / "none"), spool=str(tmp_path), partition="nowhere")
    with pytest.raises(PlatformError, match="sbatch ended with status"):
        SlurmPlatform(backend, BOARD, "small", tmp_path).launch(order())
