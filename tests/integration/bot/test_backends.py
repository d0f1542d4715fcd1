"""Runs of a worker backend beside the queue: one for each attempt that waits, none that nobody needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.attempt_tokens import AttemptTokens
from bot.core.platforms import Platforms
from leaderboard.attempts import Failure
from leaderboard.backends import GRACE_SECONDS, INTENT_SECONDS, JobsBackend
from leaderboard.tiers import Tier
from redis_state.board.backend_runs import BACKENDS
from redis_state.jobs import EvaluationJob
from tests.support.board.board_driver import BoardDriver
from tests.support.board.queued_requests import submit
from tests.support.board.scripted_platform import ScriptedPlatform

TIER: Tier = "medium"
BACKEND = JobsBackend(kind="jobs", namespace="board", flavor="cpu-basic", image="steward", parallel=2)
THEIRS = Failure(cause="weights-corrupted", fault="submission", message="Cut off.")


@pytest.fixture
def platform(stand: BoardDriver) -> ScriptedPlatform:
    """The platform on which the attempts of `stand` run."""
    made = ScriptedPlatform(now=stand.time)
    stand.context.board = stand.context.board.model_copy(update={"threads": "never", "backends": {TIER: BACKEND}})
    tokens = AttemptTokens(stand.context.board.name, ["secret"])
    stand.context.platforms = Platforms({TIER: made}, tokens, "https://board.example")
    return made


def later(stand: BoardDriver, platform: ScriptedPlatform, seconds: float = 1.0) -> None:
    """Let time pass, and sync the backends and what follows."""
    stand.time += seconds
    platform.now = stand.time
    stand.tick()
    stand.context.mark(BACKENDS)
    stand.settle()


def take(stand: BoardDriver, platform: ScriptedPlatform, run_id: str) -> EvaluationJob:
    """The run begins: its worker takes the job of its attempt, and gets its claim."""
    attempt = platform.runs_by_id[run_id].attempt
    (job,) = [job for job in stand.queued() if job.attempt == attempt]
    platform.becomes(run_id, "running")
    assert stand.take(job)
    stand.beat(job)
    return job


def test_each_attempt_has_one_run_from_its_turn_to_its_end(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """No more than `parallel` at a time; the next attempt gets a run when one has ended; costs count all runs."""
    paths = submit(stand, "a1", "a2", "a3")
    later(stand, platform)
    assert [order.attempt for order in platform.orders] == [job.attempt for job in stand.queued()]
    assert len(platform.orders) == 2
    order = platform.orders[0]
    assert (order.board_url, order.tier, order.model) == ("https://board.example", TIER, "ada/good")
    assert stand.context.platforms is not None
    grant = stand.context.platforms.tokens.read(order.token, now=stand.time)
    assert grant is not None
    assert (grant.attempt, grant.path) == (order.attempt, paths[0])
    job = take(stand, platform, "run-1")
    later(stand, platform, 60)
    assert len(platform.orders) == 2
    stand.end(job, failure=THEIRS)
    platform.becomes("run-1", "ended")
    later(stand, platform)
    assert len(platform.orders) == 3
    assert platform.cancelled == []
    (ended,) = [run for run in stand.context.backend_runs.read(TIER) if run.id == "run-1"]
    assert ended.seconds(stand.time) == pytest.approx(60, abs=2)


@pytest.mark.parametrize("fails", ["before", "after"])
def test_a_start_that_fails_halfway_is_not_repeated_while_it_may_have_happened(
    stand: BoardDriver, platform: ScriptedPlatform, fails: str
) -> None:
    """As after kill -9 between start and record: the platform's own list decides whether there is a run."""
    platform.fails = fails
    submit(stand, "a1")
    later(stand, platform)
    later(stand, platform)
    assert len(platform.orders) == (fails == "after")
    later(stand, platform, INTENT_SECONDS + 1)
    assert len(platform.orders) == 1
    assert [run.id for run in stand.context.backend_runs.read(TIER)] == ["run-1"]


def test_a_platform_whose_list_is_late_gets_no_second_order(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """A run that was just started and is not listed yet counts as one."""
    platform.hidden.add("run-1")
    submit(stand, "a1")
    for _ in range(4):
        later(stand, platform, 20)
    assert len(platform.orders) == 1


def test_a_run_that_dies_before_it_takes_its_job_is_started_again_later_and_later(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """The attempt keeps its place; an image that cannot start is not started every few seconds."""
    submit(stand, "a1")
    later(stand, platform)
    for number in range(1, 6):
        platform.becomes(f"run-{number}", "failed")
        later(stand, platform, 30)
        assert len(platform.orders) == number
        later(stand, platform, 60 * 2 ** (number - 1))
        assert len(platform.orders) == number + 1


def test_a_run_that_outlives_its_attempt_is_cancelled_until_it_is_gone(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """Its worker has some time to end by itself; a platform that loses the wish hears it again."""
    submit(stand, "a1")
    later(stand, platform)
    stand.end(take(stand, platform, "run-1"), failure=THEIRS)
    later(stand, platform, 1)
    assert platform.cancelled == []
    later(stand, platform, GRACE_SECONDS + 1)
    later(stand, platform, 20)
    assert platform.cancelled == ["run-1", "run-1"]
    platform.becomes("run-1", "ended")
    later(stand, platform, 20)
    assert platform.cancelled == ["run-1", "run-1"]


def test_after_a_loss_of_redis_runs_are_found_and_nothing_runs_twice(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """The platform lists the runs by their attempts; one that works is not cancelled, and a waiting one not doubled."""
    submit(stand, "a1", "a2")
    later(stand, platform)
    job = take(stand, platform, "run-1")
    stand.context.redis.flushall()
    for _ in range(8):
        stand.beat(job)
        later(stand, platform, 30)
    assert len(platform.orders) == 2
    assert platform.cancelled == []
    assert {run.id for run in stand.context.backend_runs.read(TIER)} == {"run-1", "run-2"}


def test_a_run_that_its_platform_lost_leaves_an_attempt_that_is_evaluated_again(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """Its heartbeats end, the bot relaunches the request, and the next attempt gets a run of its own."""
    submit(stand, "a1")
    later(stand, platform)
    take(stand, platform, "run-1")
    platform.hidden.add("run-1")
    for _ in range(30):
        later(stand, platform, 30)
    assert len(platform.orders) == 2
    assert platform.orders[1].attempt != platform.orders[0].attempt
    stages = {run.id: run.stage for run in stand.context.backend_runs.read(TIER)}
    assert stages["run-1"] == "lost"


def test_a_platform_that_is_away_delays_and_parks_nothing(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """The bot asks again, and the queue stays as it is."""
    platform.is_away = True
    submit(stand, "a1")
    later(stand, platform, 30)
    assert stand.context.parking.all() == []
    assert len(stand.queued()) == 1
    platform.is_away = False
    later(stand, platform, 30)
    assert len(platform.orders) == 1


def test_a_cost_limit_keeps_attempts_waiting(stand: BoardDriver, platform: ScriptedPlatform, tmp_path: Path) -> None:
    """With an hour at 8 and a limit of 10 a day, one attempt of at most an hour runs; the other one waits."""
    costs = {"hourly": 8.0, "by_day": 10.0}
    backend = JobsBackend.model_validate({**BACKEND.model_dump(), "costs": costs})
    board = stand.context.board.model_copy(update={"backends": {TIER: backend}, "attempt_seconds": 3600})
    stand.context.board = board
    submit(stand, "a1", "a2")
    later(stand, platform)
    later(stand, platform)
    assert len(platform.orders) == 1
