"""Limits of a worker backend: costs, a platform that does not answer, tasks that differ, requests before trials."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import generate_latest

from bot.web.board import BoardReader
from bot.web.metrics import BoardMetrics
from bot.web.page import NoQuery
from bot.web.pages.workers import workers
from leaderboard.attempts import Failure
from leaderboard.backend_settings import JobsBackend
from leaderboard.backend_troubles import AWAY_SECONDS, BackendTrouble
from leaderboard.backends import FIRST_WAIT_SECONDS
from leaderboard.budgets import DAY
from leaderboard.trials import MAX_SECONDS
from redis_state.accepted_digests import RefusedTasks
from redis_state.jobs import take_out
from steward.testing.board import BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.queued_requests import submit
from tests.support.board.scripted_backend import (
    BACKEND,
    TIER,
    allow_one_run,
    doctor_words,
    listed,
    pass_time,
    take,
    workers_page,
)
from tests.support.board.scripted_platform import ScriptedPlatform

ALL = pytest.mark.long("a trouble of the platform like those that `make test` has")
THEIRS = Failure(cause="weights-corrupted", fault="submission", message="Cut off.")


def test_a_short_error_is_not_reported_because_of_an_older_trouble(stand: BoardDriver) -> None:
    """A platform's error is reported only after it has lasted, even if another trouble began long before it."""
    runs = stand.context.backend_runs
    runs.put_trouble(BackendTrouble(TIER, 0.0, blocked="by_day"))
    runs.put_trouble(BackendTrouble(TIER, DAY, error="503"))
    (trouble,) = runs.troubles()
    assert (trouble.since, trouble.is_told(DAY + 1)) == (DAY, False)
    runs.put_trouble(BackendTrouble(TIER, DAY + AWAY_SECONDS, error="504"))
    (trouble,) = runs.troubles()
    assert (trouble.since, trouble.is_told(DAY + AWAY_SECONDS)) == (DAY, True)


def test_a_cost_limit_keeps_attempts_waiting(stand: BoardDriver, platform: ScriptedPlatform, tmp_path: Path) -> None:
    """At a cost of 8 per hour and a limit of 10 per day, one attempt of at most an hour runs and the other waits."""
    costs = {"hourly": 8.0, "by_day": 10.0}
    backend = JobsBackend.model_validate({**BACKEND.model_dump(), "costs": costs})
    board = stand.context.board.model_copy(update={"backends": {TIER: backend}, "attempt_seconds": 3600})
    stand.context.board = board
    submit(stand, "a1", "a2")
    pass_time(stand, platform)
    pass_time(stand, platform)
    assert len(platform.orders) == 1
    (trouble,) = stand.context.backend_runs.troubles()
    assert (trouble.kind, trouble.since) == ("by_day", pytest.approx(stand.time, abs=2))
    take(stand, platform, "run-1")
    pass_time(stand, platform, 1_800)
    (view,) = workers(BoardReader(stand.context), NoQuery()).backends
    assert (view.spent_day, view.by_day, view.trouble) == (pytest.approx(4, abs=0.02), 10, "by_day")
    assert [run.stage for run in view.runs] == ["running"]
    page = workers_page(stand)
    for words in (
        "Medium models",
        "Jobs on the Hub",
        "1 of at most 2",
        "4.00 of 10.0",
        "budget is used up",
        "no request needs it",  # the worker of its only run fell silent
    ):
        assert words in page
    report = doctor_words(stand)
    assert "cost 4.0" in report
    assert "warning Tier medium: the cost limit by_day is used up." in report
    assert ("tier medium: the cost limit by_day is used up", "steward doctor") in listed(stand)
    figures = generate_latest(BoardMetrics(stand.context)).decode()
    assert 'steward_backend_spent{tier="medium",window="day"} 4.0' in figures
    assert 'steward_backend_limit{tier="medium",window="day"} 10.0' in figures
    assert 'steward_backend_trouble{tier="medium"} 1.0' in figures


@ALL
def test_a_platform_that_stays_away_is_told_to_maintainers(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """After ten minutes without an answer the platform is on the maintainers' list, and the doctor shows its error."""
    platform.is_away = True
    submit(stand, "a1")
    pass_time(stand, platform)
    assert listed(stand) == []
    pass_time(stand, platform, AWAY_SECONDS)
    assert [title for title, _ in listed(stand)] == ["tier medium: its platform refuses or does not answer"]
    assert "error The platform of the tier medium: the platform is away" in doctor_words(stand)
    platform.is_away = False
    pass_time(stand, platform, 30)
    assert listed(stand) == []
    assert "ok The platform of the tier medium answers: 1 runs wait or run." in doctor_words(stand)


@ALL
def test_workers_whose_tasks_differ_wait_for_an_operator(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """After a worker refused its tasks, no run starts until an operator accepts them or another attempt ends."""
    submit(stand, "a1", "a2", "a3")
    pass_time(stand, platform)
    job, digests = take(stand, platform, "run-1"), stand.context.accepted_digests
    refused = RefusedTasks(worker="w", fingerprint="0" * 16 + "-" + "1" * 16, differences=("x",), at=1.0)
    digests.refuse(refused.of_run(job.attempt, now=stand.time))
    stand.hand_back(job)
    platform.becomes("run-1", "ended")
    pass_time(stand, platform, 300)
    assert len(platform.orders) == 2
    assert listed(stand)[0][0] == "tier medium: its workers' tasks differ from those of the board's results"
    digests.accept(refused.fingerprint)
    pass_time(stand, platform, FIRST_WAIT_SECONDS + 1)
    assert len(platform.orders) == 3
    assert digests.waiting() == listed(stand) == []
    digests.refuse(
        RefusedTasks(**{**refused.model_dump(), "fingerprint": "2" * 16 + "-" + "3" * 16}).of_run(
            job.attempt, now=stand.time
        )
    )
    stand.end(take(stand, platform, "run-2"), failure=THEIRS)
    platform.becomes("run-2", "ended")
    pass_time(stand, platform, 30)
    pass_time(stand, platform, 30)
    assert digests.waiting() == listed(stand) == []


@ALL
def test_a_request_takes_the_run_of_a_trial(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """A trial gets a run that is limited to a trial's time, and must stop when a request needs the run."""
    allow_one_run(stand)
    Discussion(stand, "Try", "/try ada/good precision=float32")
    stand.settle()
    pass_time(stand, platform)
    (order,) = platform.orders
    assert order.seconds == MAX_SECONDS
    (trial,) = stand.queued()
    platform.becomes("run-1", "running")
    assert take_out(stand.context.redis, stand.context.queues, trial.attempt) == trial
    assert stand.context.attempts.take(trial.attempt, trial.path, "w", now=stand.time)
    stand.context.mark(trial.path)
    stand.work()
    assert stand.answer(trial)
    assert stand.beat(trial)
    pass_time(stand, platform)
    submit(stand, "a1")
    pass_time(stand, platform)
    assert not stand.beat(trial)
    platform.becomes("run-1", "ended")
    pass_time(stand, platform, 30)
    assert platform.orders[-1].attempt == stand.queued()[0].attempt
