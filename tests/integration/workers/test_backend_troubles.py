"""Backends while their platform, their workers and the bot fail: each request ends once, and what it cost is known.

`make long` runs this. The bot's time limits are shortened; its rules and its processes are the real ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.backends import launching
from bot.probe import Probe
from bot.queue import rulings
from leaderboard import backends
from leaderboard.backend_settings import CostLimits, JobsBackend
from leaderboard.backends import LIVE, costs_of
from leaderboard.tiers import TIERS
from redis_state.board.backend_runs import BACKENDS
from steward.testing.waiting import wait_until
from tests.support.board.slurm_cluster import missing_for_slurm, slurm_cluster
from tests.support.workers.backend_board import (
    BOT,
    IMAGE,
    SECRET,
    BackendBoard,
    backend_board,
    backend_stand,
    jobs_platforms,
    slurm_platforms,
)
from workers.jobs.attempt import EVALUATED, PUBLISHED
from workers.jobs.outbox import OUTCOME_STORED

pytestmark = [
    pytest.mark.timeout(1_800),
    pytest.mark.long("real jobs, with troubles in each phase"),
]
PATIENCE = 400.0
COSTS = CostLimits(hourly=2.5, by_day=10_000)
BACKEND = JobsBackend(kind="jobs", namespace="trial", flavor="a100-large", image=IMAGE, parallel=2, costs=COSTS)
SHORT = {"UNSEEN_SECONDS": 5.0, "FIRST_WAIT_SECONDS": 2.0, "INTENT_SECONDS": 5.0}
SYNC = f"""
import leaderboard.backends, bot.backends.launching
vars(leaderboard.backends).update({SHORT!r})
bot.backends.launching.INTERVAL_SECONDS = 1.0
from steward.cli import app
app()
"""
"""`steward` with the time limits of `impatient`."""
DYING = ("", "die", EVALUATED, PUBLISHED, OUTCOME_STORED)
"""What becomes of the first Jobs: one ends well, one dies before it takes its attempt, the others at these points."""
DIE_IN_TURN = """
number=$(cd "{folder}" && for n in 0 1 2 3 4 5 6 7 8 9; do mkdir "turn-$n" 2>/dev/null && echo "$n" && break; done)
case "$number" in
{cases}
esac
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that gives up on platforms within seconds instead of minutes."""
    for name, seconds in SHORT.items():
        monkeypatch.setattr(backends, name, seconds)
    monkeypatch.setattr(launching, "INTERVAL_SECONDS", 1.0)


@contextmanager
def board_of_jobs(
    folder: Path, probe: Probe, *, prelude: str = "", attempts: int = 1, runs: bool = True
) -> Iterator[BackendBoard]:
    """A board whose attempts run as Jobs on its Hub."""
    with (
        backend_stand(folder) as stand,
        jobs_platforms(stand, folder, BACKEND, prelude) as platforms,
        backend_board(
            stand, folder, probe, dict.fromkeys(TIERS, BACKEND), platforms, attempts=attempts, runs=runs
        ) as board,
    ):
        yield board


def look(board: BackendBoard) -> None:
    """Let the bot poll its platforms until no run is live."""

    def is_quiet() -> bool:
        board.context.mark(BACKENDS)
        return not any(run.stage in LIVE for run in board.runs())

    wait_until(is_quiet, seconds=60, interval=0.5, describe=board.runs)


def check_costs(board: BackendBoard) -> None:
    """Check that the bot recorded all of the Hub's Jobs, and that its costs match the Jobs' run times."""
    look(board)
    now = time.time()
    listed = {run.id: run for tier in TIERS for run in board.context.platforms.by_tier[tier].runs()}  # type: ignore[union-attr]
    recorded = {run.id: run for run in board.runs()}
    assert {run.id for run in recorded.values() if run.stage != "lost"} == listed.keys()
    paid = sum(run.ended - run.started for run in listed.values() if run.started)
    lost = sum(run.seconds(now) for run in recorded.values() if run.stage == "lost")
    costs = costs_of(BACKEND, board.runs(), now)
    assert costs.day == costs.month == pytest.approx((paid + lost) * COSTS.hourly / 3_600)
    assert 0 < costs.day < 1


@pytest.mark.parametrize("fault", ["lost", "twice"])
def test_a_job_that_the_platform_loses_or_runs_twice(fault: str, tmp_path: Path, probe: Probe) -> None:
    """The bot starts a lost Job again, and lets only one of two workers evaluate; the request is finished once."""
    with board_of_jobs(tmp_path, probe) as board:
        board.stand.hub.state.jobs.fault(fault)  # type: ignore[arg-type]  # one of the faults
        (end,) = board.ends(board.submit_good(1), PATIENCE).values()
        assert (end.status, bool(end.scores)) == ("FINISHED", True)
        assert len(board.results()) == 1
        assert len({run.attempt for run in board.runs()}) == 1
        assert len(board.runs()) == 1 + (fault == "lost")
        check_costs(board)


def test_a_job_that_outlives_its_cancel_ends_by_itself(tmp_path: Path, probe: Probe) -> None:
    """If the platform ignores the cancellation of a Job, its worker ends all the same, and publishes nothing."""
    with board_of_jobs(tmp_path, probe) as board:
        board.stand.hub.state.jobs.fault("deaf")
        (path,) = board.submit_good(1)
        wait_until(lambda: board.file(path)["status"] == "RUNNING", seconds=PATIENCE, interval=0.2)
        assert rulings.cancel(board.context, path, "a mistake", "ada").done
        wait_until(lambda: board.file(path)["status"] == "CANCELLED", seconds=60, interval=0.2)
        check_costs(board)
        assert [run.stage for run in board.runs()] == ["ended"]
        assert board.results() == []


def test_workers_of_jobs_that_are_killed_in_each_phase(tmp_path: Path, probe: Probe) -> None:
    """If workers of Jobs are killed at different points, every request still finishes once, and the costs are right."""
    acts = ["exit 1" if name == "die" else f"export STEWARD_CRASH_AT='{name}'" for name in DYING]
    cases = [f"{number}) {act};;" for number, act in enumerate(acts)]
    (tmp_path / "turns").mkdir()
    prelude = DIE_IN_TURN.format(folder=tmp_path / "turns", cases="\n".join(cases))
    with board_of_jobs(tmp_path, probe, prelude=prelude, attempts=3) as board:
        ends = board.ends(board.submit_good(5), 2 * PATIENCE)
        assert {end.status for end in ends.values()} == {"FINISHED"}
        assert len(board.results()) == len(ends)
        check_costs(board)
        failed = [run for run in board.runs() if run.stage == "failed"]
        # On a busy machine an attempt may be given up before its worker reaches its point: then the worker just ends.
        assert 3 <= len(failed) < len(board.runs())


@pytest.mark.parametrize("point", [launching.INTENDED, launching.STARTED])
def test_a_bot_that_is_killed_at_a_start(point: str, tmp_path: Path, probe: Probe) -> None:
    """If `steward sync` is killed before or after it starts a Job, the next process makes sure that only one runs."""
    with board_of_jobs(tmp_path, probe, runs=False) as board:
        stand = board.stand
        environment = {
            **stand.settings(),
            "STEWARD_BOARD": str(stand.folder / "bot.yaml"),
            "STEWARD_BOT_TOKEN": BOT,
            "STEWARD_WEBHOOK_SECRET": SECRET,
            "STEWARD_PUBLIC_URL": board.connected,
            "STEWARD_MIRRORS": str(tmp_path / "own-mirrors"),
        }

        def sync(crash_at: str = "") -> subprocess.Popen[bytes]:
            log = (tmp_path / "sync.log").open("ab")
            command = [sys.executable, "-c", SYNC, "sync"]
            return subprocess.Popen(
                command,
                env={**environment, "STEWARD_CRASH_AT": crash_at},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

        bot = sync(point)
        (path,) = board.submit_good(1)
        assert bot.wait(120) == -signal.SIGKILL, (tmp_path / "sync.log").read_text()
        assert len(list(board.context.hub.jobs("trial", {}))) == (point == launching.STARTED)
        bot = sync()
        try:
            (end,) = board.ends([path], PATIENCE).values()
        finally:
            os.kill(bot.pid, signal.SIGTERM)
            bot.wait(60)
        assert end.status == "FINISHED"
        assert len(list(board.context.hub.jobs("trial", {}))) == 1
        assert len(board.results()) == 1


@pytest.mark.skipif(bool(missing_for_slurm()), reason=missing_for_slurm())
def test_a_slurm_controller_that_is_killed_among_requests(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs go on without slurmctld; when it is back the bot finds them, and each attempt has run once."""
    monkeypatch.setattr(backends, "UNSEEN_SECONDS", 60.0)
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as cluster, backend_stand(tmp_path) as stand:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        backend, platforms = slurm_platforms(stand, tmp_path)
        with backend_board(stand, tmp_path, probe, dict.fromkeys(TIERS, backend), platforms) as board:
            paths = board.submit_good(3)
            wait_until(lambda: any(run.stage == "running" for run in board.runs()), seconds=PATIENCE, interval=0.2)
            began = time.time()
            wait_until(lambda: cluster.saved_at() > began)  # jobs that it has not saved yet are lost
            cluster.kill("slurmctld")
            wait_until(lambda: any(trouble.error for trouble in board.context.backend_runs.troubles()), seconds=120)
            cluster.start_controller()
            ends = board.ends(paths, PATIENCE)
            assert {end.status for end in ends.values()} == {"FINISHED"}
            assert len(board.results()) == len(ends)
            assert sorted(run.attempt for run in board.runs()) == sorted({run.attempt for run in board.runs()})
            look(board)
            assert board.context.backend_runs.troubles() == []
