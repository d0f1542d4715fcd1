"""The jobs of the `slurm` backend on a real cluster of one machine; `make matrices` runs them where Slurm is there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.backends.slurm import SlurmPlatform
from bot.core.platforms import LaunchOrder, PlatformError
from leaderboard.backend_settings import SlurmBackend
from tests.support.board.slurm_cluster import SlurmCluster, missing_for_slurm, slurm_cluster
from tests.support.sizes import WHOLE
from tests.support.waiting import wait_until
from tests.support.workers.worker_process import BOARD

pytestmark = [
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not WHOLE, reason="`make matrices` runs it"),
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
    """An order of a run."""
    return LaunchOrder(attempt, "small", "ada/x", "a" * 40, False, 120.0, "http://127.0.0.1:1", "the token")


def script(folder: Path, body: str) -> Path:
    """A batch script."""
    file = folder / "attempt.sbatch"
    file.write_text(f"#!/bin/bash\n{body}\n")
    return file


def platform(folder: Path, body: str) -> SlurmPlatform:
    """The platform whose jobs run `body`."""
    template = str(script(folder, body))
    backend = SlurmBackend(kind="slurm", template=template, spool=str(folder / "spool"), parallel=2)
    return SlurmPlatform(backend, BOARD, "small", folder / "spool")


def test_a_job_is_listed_from_its_start_to_its_end(cluster: SlurmCluster, tmp_path: Path) -> None:
    """With times in seconds, and with its attempt; the token lies in a file of this user alone."""
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
    """SIGTERM reaches the job; a job that is gone is no error."""
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


def test_a_controller_that_is_killed_and_a_refused_script_are_told(cluster: SlurmCluster, tmp_path: Path) -> None:
    """The bot says what Slurm said, and asks again; jobs outlive the controller."""
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
