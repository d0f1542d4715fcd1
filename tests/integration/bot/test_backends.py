"""Runs of a worker backend: the bot starts one for each attempt whose turn it is, and none without an attempt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.queue import rulings
from bot.queue.dispatching import QUEUE
from leaderboard.attempts import Failure
from leaderboard.backends import GRACE_SECONDS, INTENT_SECONDS, WAITING_GRACE_SECONDS
from redis_state.jobs import take_out
from steward.testing.board import BoardDriver
from tests.support.board.queued_requests import submit
from tests.support.board.scripted_backend import (
    TIER,
    allow_one_run,
    doctor_words,
    pass_time,
    take,
    workers_page,
)
from tests.support.board.scripted_platform import ScriptedPlatform

ALL = pytest.mark.long("a trouble of the platform like those that `make test` has")
THEIRS = Failure(cause="weights-corrupted", fault="submission", message="Cut off.")


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    ("url", "warns"),
    [("https://board.example", False), ("http://localhost:7860", False), ("http://board.example", True)],
)
def test_the_doctor_warns_of_tokens_that_are_sent_unencrypted(stand: BoardDriver, url: str, warns: bool) -> None:
    """The doctor warns if workers of backends would send their token to a remote address over plain HTTP."""
    assert stand.context.platforms is not None
    stand.context.platforms = replace(stand.context.platforms, board_url=url)
    assert ("warning Workers of backends send tokens" in doctor_words(stand)) is warns


def test_each_attempt_has_one_run_from_its_turn_to_its_end(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """The bot starts one run per attempt, at most `parallel` at a time, and the next one when a run has ended."""
    paths = submit(stand, "a1", "a2", "a3")
    pass_time(stand, platform)
    assert [order.attempt for order in platform.orders] == [job.attempt for job in stand.queued()]
    assert len(platform.orders) == 2
    looks = platform.looks
    for _ in range(3):
        stand.context.mark(QUEUE)
        stand.settle()
    assert platform.looks == looks  # nothing changed: a platform is not asked at each tick
    assert workers_page(stand).count("ada/good") >= 2
    order = platform.orders[0]
    assert (order.board_url, order.tier, order.model) == ("https://board.example", TIER, "ada/good")
    assert stand.context.platforms is not None
    grant = stand.context.platforms.tokens.read(order.token, now=stand.time)
    assert grant is not None
    assert (grant.attempt, grant.path) == (order.attempt, paths[0])
    job = take(stand, platform, "run-1")
    pass_time(stand, platform, 60)
    assert len(platform.orders) == 2
    stand.end(job, failure=THEIRS)
    platform.becomes("run-1", "ended")
    pass_time(stand, platform)
    assert len(platform.orders) == 3
    assert platform.cancelled == []
    (ended,) = [run for run in stand.context.backend_runs.read(TIER) if run.id == "run-1"]
    assert ended.seconds(stand.time) == pytest.approx(60, abs=2)


@ALL
@pytest.mark.parametrize("fails", ["before", "after"])
def test_a_start_that_fails_halfway_is_not_repeated_while_it_may_have_happened(
    stand: BoardDriver, platform: ScriptedPlatform, fails: str
) -> None:
    """After a start with an unknown result the bot waits until the platform's list shows whether there is a run."""
    platform.fails = fails
    submit(stand, "a1")
    pass_time(stand, platform)
    pass_time(stand, platform)
    assert len(platform.orders) == (fails == "after")
    pass_time(stand, platform, INTENT_SECONDS + 1)
    assert len(platform.orders) == 1
    assert [run.id for run in stand.context.backend_runs.read(TIER)] == ["run-1"]


@ALL
def test_a_platform_whose_list_is_late_gets_no_second_order(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """The bot starts no second run while the first one, just started, is missing from the platform's list."""
    platform.hidden.add("run-1")
    submit(stand, "a1")
    for _ in range(2):
        pass_time(stand, platform, 80)
    assert len(platform.orders) == 1


@ALL
def test_a_run_that_dies_before_it_takes_its_job_is_started_again_later_and_later(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """If runs fail before they take their job, the bot doubles the delay before each next start."""
    submit(stand, "a1")
    pass_time(stand, platform)
    for number in range(1, 4):
        platform.becomes(f"run-{number}", "failed")
        pass_time(stand, platform, 30)
        assert len(platform.orders) == number
        pass_time(stand, platform, 60 * 2 ** (number - 1))
        assert len(platform.orders) == number + 1


@ALL
def test_a_run_that_outlives_its_attempt_is_cancelled_until_it_is_gone(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """The bot cancels a run some time after its attempt's end, and again until the platform shows it as ended."""
    submit(stand, "a1")
    pass_time(stand, platform)
    stand.end(take(stand, platform, "run-1"), failure=THEIRS)
    pass_time(stand, platform, 1)
    assert platform.cancelled == []
    pass_time(stand, platform, GRACE_SECONDS + 1)
    pass_time(stand, platform, 20)
    assert platform.cancelled == ["run-1", "run-1"]
    platform.becomes("run-1", "ended")
    pass_time(stand, platform, 20)
    assert platform.cancelled == ["run-1", "run-1"]


@ALL
def test_after_a_loss_of_redis_runs_are_found_and_nothing_runs_twice(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """After Redis is lost, the bot finds its runs in the platform's list, and cancels or starts none."""
    submit(stand, "a1", "a2")
    pass_time(stand, platform)
    job = take(stand, platform, "run-1")
    stand.context.redis.flushall()
    for _ in range(4):
        stand.beat(job)
        pass_time(stand, platform, 50)
    assert len(platform.orders) == 2
    assert platform.cancelled == []
    assert {run.id for run in stand.context.backend_runs.read(TIER)} == {"run-1", "run-2"}


@ALL
def test_a_run_that_its_platform_lost_leaves_an_attempt_that_is_evaluated_again(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """When a run disappears and its heartbeats end, the bot starts a run for the next attempt of the request."""
    submit(stand, "a1")
    pass_time(stand, platform)
    take(stand, platform, "run-1")
    platform.hidden.add("run-1")
    for _ in range(6):
        pass_time(stand, platform, 150)
    assert len(platform.orders) == 2
    assert platform.orders[1].attempt != platform.orders[0].attempt
    stages = {run.id: run.stage for run in stand.context.backend_runs.read(TIER)}
    assert stages["run-1"] == "lost"


@ALL
def test_a_worker_that_takes_long_to_start_keeps_its_job(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """A worker may load libraries for minutes after it took its job; if its run fails then, the job is queued again."""
    submit(stand, "a1")
    pass_time(stand, platform)
    (job,) = stand.queued()
    platform.becomes("run-1", "running")
    pass_time(stand, platform)
    assert take_out(stand.context.redis, stand.context.queues, job.attempt) == job
    for _ in range(3):
        pass_time(stand, platform, 60)
    assert stand.queued() == []
    assert platform.cancelled == []
    platform.becomes("run-1", "failed")
    for _ in range(4):
        pass_time(stand, platform, 30)
    assert stand.queued() == [job]
    assert [order.attempt for order in platform.orders] == [job.attempt, job.attempt]


@ALL
def test_a_run_whose_worker_hangs_is_cancelled(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """The bot cancels a run without heartbeats that the platform shows as running, and starts the next attempt."""
    submit(stand, "a1")
    pass_time(stand, platform)
    take(stand, platform, "run-1")
    for _ in range(4):
        pass_time(stand, platform, 150)
    assert "run-1" in platform.cancelled
    assert [order.attempt.rpartition("-")[2] for order in platform.orders] == ["1", "2"]
    assert "run-2" not in platform.cancelled


@ALL
def test_a_platform_that_is_away_delays_and_parks_nothing(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """The bot parks no request while the platform does not answer, and starts the run when it answers again."""
    platform.is_away = True
    submit(stand, "a1")
    pass_time(stand, platform, 30)
    assert stand.context.parking.all() == []
    assert len(stand.queued()) == 1
    platform.is_away = False
    pass_time(stand, platform, 30)
    assert len(platform.orders) == 1


def test_a_run_is_overtaken_by_no_request_and_a_cancelled_one_loses_it(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """A run that waits for a machine keeps its attempt's turn against urgent requests, until it is cancelled."""
    allow_one_run(stand)
    (early,) = submit(stand, "a1")
    pass_time(stand, platform)
    (urgent,) = submit(stand, "a2")
    assert rulings.set_priority(stand.context, urgent, "high").done
    pass_time(stand, platform)
    assert [job.path for job in stand.queued()] == [early]
    assert rulings.cancel(stand.context, early, "a mistake", "ada").done
    for _ in range(2):
        pass_time(stand, platform, WAITING_GRACE_SECONDS + 1)
    assert platform.cancelled == ["run-1"]
    platform.becomes("run-1", "failed")
    pass_time(stand, platform, 30)
    assert [job.path for job in stand.queued()] == [urgent]
    assert platform.orders[-1].attempt == stand.queued()[0].attempt
