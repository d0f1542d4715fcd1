"""Runs of a worker backend beside the queue: one for each attempt that waits, none without one.

`make matrices` runs all tests, `make test` some.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest
from starlette.testclient import TestClient

from bot.core.attempt_tokens import AttemptTokens
from bot.core.platforms import Platforms
from bot.queue import rulings
from bot.queue.dispatching import QUEUE
from bot.setup.doctor.backends import backends as examine_backends
from bot.threads.maintainers_list import waiting_items
from bot.web.board import BoardReader
from bot.web.frame import Frame
from bot.web.metrics import BoardMetrics
from bot.web.page import NoQuery, page_routes
from bot.web.pages.workers import PAGE, workers
from bot.web.site import PAGES, Menu
from leaderboard.attempts import Failure
from leaderboard.backend_settings import JobsBackend
from leaderboard.backend_troubles import AWAY_SECONDS
from leaderboard.backends import FIRST_WAIT_SECONDS, GRACE_SECONDS, INTENT_SECONDS, WAITING_GRACE_SECONDS
from leaderboard.tiers import Tier
from leaderboard.trials import MAX_SECONDS
from leaderboard.waiting_items import BACKEND as BACKEND_TOPIC
from redis_state.accepted_digests import RefusedTasks
from redis_state.board.backend_runs import BACKENDS
from redis_state.jobs import EvaluationJob, take_out
from tests.support.board.board_driver import BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.queued_requests import submit
from tests.support.board.scripted_platform import ScriptedPlatform
from tests.support.sizes import WHOLE

ALL = pytest.mark.skipif(not WHOLE, reason="`make matrices` runs it")
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


def one_place(stand: BoardDriver) -> None:
    """Let the backend run one attempt at a time."""
    backend = BACKEND.model_copy(update={"parallel": 1})
    stand.context.board = stand.context.board.model_copy(update={"backends": {TIER: backend}})


def listed(stand: BoardDriver) -> list[tuple[str, str]]:
    """What the maintainers' list says about backends: titles and commands."""
    items = [item for item in waiting_items(stand.context) if item.topic == BACKEND_TOPIC]
    return [(item.title, item.actions[0].text) for item in items]


def doctor_words(stand: BoardDriver) -> str:
    """What the doctor says about backends."""
    checks = examine_backends(stand.context, lambda: stand.context.platforms, lambda _: "")
    return " ".join(f"{check.state} {check.words}" for check in checks)


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    ("url", "warns"),
    [("https://board.example", False), ("http://localhost:7860", False), ("http://board.example", True)],
)
def test_the_doctor_warns_of_tokens_that_are_sent_unencrypted(stand: BoardDriver, url: str, warns: bool) -> None:
    """Workers of backends show their token to the address of the pages."""
    assert stand.context.platforms is not None
    stand.context.platforms = replace(stand.context.platforms, board_url=url)
    assert ("warning Workers of backends send tokens" in doctor_words(stand)) is warns


def workers_page(stand: BoardDriver) -> str:
    """The page of workers."""
    app = FastAPI()
    takes = stand.context.takes
    frame = Frame("Demo", "https://hub/discussions", menu=Menu(PAGES, takes), takes=takes)
    app.include_router(page_routes(PAGE, BoardReader(stand.context), frame))
    with TestClient(app) as client:
        return client.get("/workers").text


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
    later(stand, platform, 60)
    assert len(platform.orders) == 2
    stand.end(job, failure=THEIRS)
    platform.becomes("run-1", "ended")
    later(stand, platform)
    assert len(platform.orders) == 3
    assert platform.cancelled == []
    (ended,) = [run for run in stand.context.backend_runs.read(TIER) if run.id == "run-1"]
    assert ended.seconds(stand.time) == pytest.approx(60, abs=2)


@ALL
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


@ALL
def test_a_platform_whose_list_is_late_gets_no_second_order(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """A run that was just started and is not listed yet counts as one."""
    platform.hidden.add("run-1")
    submit(stand, "a1")
    for _ in range(2):
        later(stand, platform, 80)
    assert len(platform.orders) == 1


@ALL
def test_a_run_that_dies_before_it_takes_its_job_is_started_again_later_and_later(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """The attempt keeps its place; an image that cannot start is not started every few seconds."""
    submit(stand, "a1")
    later(stand, platform)
    for number in range(1, 4):
        platform.becomes(f"run-{number}", "failed")
        later(stand, platform, 30)
        assert len(platform.orders) == number
        later(stand, platform, 60 * 2 ** (number - 1))
        assert len(platform.orders) == number + 1


@ALL
def test_a_run_that_outlives_its_attempt_is_cancelled_until_it_is_gone(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """Its worker has some time to end by itself; the bot repeats a cancel that the platform lost."""
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


@ALL
def test_after_a_loss_of_redis_runs_are_found_and_nothing_runs_twice(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """The platform lists the runs by their attempts; one that works is not cancelled, and a waiting one not doubled."""
    submit(stand, "a1", "a2")
    later(stand, platform)
    job = take(stand, platform, "run-1")
    stand.context.redis.flushall()
    for _ in range(4):
        stand.beat(job)
        later(stand, platform, 50)
    assert len(platform.orders) == 2
    assert platform.cancelled == []
    assert {run.id for run in stand.context.backend_runs.read(TIER)} == {"run-1", "run-2"}


@ALL
def test_a_run_that_its_platform_lost_leaves_an_attempt_that_is_evaluated_again(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """Its heartbeats end, the bot relaunches the request, and the next attempt gets a run of its own."""
    submit(stand, "a1")
    later(stand, platform)
    take(stand, platform, "run-1")
    platform.hidden.add("run-1")
    for _ in range(6):
        later(stand, platform, 150)
    assert len(platform.orders) == 2
    assert platform.orders[1].attempt != platform.orders[0].attempt
    stages = {run.id: run.stage for run in stand.context.backend_runs.read(TIER)}
    assert stages["run-1"] == "lost"


@ALL
def test_a_worker_that_takes_long_to_start_keeps_its_job(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """It has taken the job and loads its libraries for minutes; if it dies then, the job is queued again."""
    submit(stand, "a1")
    later(stand, platform)
    (job,) = stand.queued()
    platform.becomes("run-1", "running")
    later(stand, platform)
    assert take_out(stand.context.redis, stand.context.queues, job.attempt) == job
    for _ in range(3):
        later(stand, platform, 60)
    assert stand.queued() == []
    assert platform.cancelled == []
    platform.becomes("run-1", "failed")
    for _ in range(4):
        later(stand, platform, 30)
    assert stand.queued() == [job]
    assert [order.attempt for order in platform.orders] == [job.attempt, job.attempt]


@ALL
def test_a_run_whose_worker_hangs_is_cancelled(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """The platform says that it runs, but its heartbeats end: its attempt is over, and it is not paid to its limit."""
    submit(stand, "a1")
    later(stand, platform)
    take(stand, platform, "run-1")
    for _ in range(4):
        later(stand, platform, 150)
    assert "run-1" in platform.cancelled
    assert [order.attempt.rpartition("-")[2] for order in platform.orders] == ["1", "2"]
    assert "run-2" not in platform.cancelled


@ALL
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
    (trouble,) = stand.context.backend_runs.troubles()
    assert (trouble.kind, trouble.since) == ("by_day", pytest.approx(stand.time, abs=2))
    take(stand, platform, "run-1")
    later(stand, platform, 1_800)
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
    told = doctor_words(stand)
    assert "cost 4.0" in told
    assert "warning Tier medium: the cost limit by_day is used up." in told
    assert ("tier medium: the cost limit by_day is used up", "steward doctor") in listed(stand)
    figures = generate_latest(BoardMetrics(stand.context)).decode()
    assert 'steward_backend_spent{tier="medium",window="day"} 4.0' in figures
    assert 'steward_backend_limit{tier="medium",window="day"} 10.0' in figures
    assert 'steward_backend_trouble{tier="medium"} 1.0' in figures


@ALL
def test_a_platform_that_stays_away_is_told_to_maintainers(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """After ten minutes, and until it answers: on the public list without its words, by the doctor with them."""
    platform.is_away = True
    submit(stand, "a1")
    later(stand, platform)
    assert listed(stand) == []
    later(stand, platform, AWAY_SECONDS)
    assert [title for title, _ in listed(stand)] == ["tier medium: its platform refuses or does not answer"]
    assert "error The platform of the tier medium: the platform is away" in doctor_words(stand)
    platform.is_away = False
    later(stand, platform, 30)
    assert listed(stand) == []
    assert "ok The platform of the tier medium answers: 1 runs wait or run." in doctor_words(stand)


def test_a_run_is_overtaken_by_no_request_and_a_cancelled_one_loses_it(
    stand: BoardDriver, platform: ScriptedPlatform
) -> None:
    """A run that waits for a machine keeps its attempt's turn, however urgent the next request is."""
    one_place(stand)
    (early,) = submit(stand, "a1")
    later(stand, platform)
    (urgent,) = submit(stand, "a2")
    assert rulings.set_priority(stand.context, urgent, "high").done
    later(stand, platform)
    assert [job.path for job in stand.queued()] == [early]
    assert rulings.cancel(stand.context, early, "a mistake", "ada").done
    for _ in range(2):
        later(stand, platform, WAITING_GRACE_SECONDS + 1)
    assert platform.cancelled == ["run-1"]
    platform.becomes("run-1", "failed")
    later(stand, platform, 30)
    assert [job.path for job in stand.queued()] == [urgent]
    assert platform.orders[-1].attempt == stand.queued()[0].attempt


@ALL
def test_workers_whose_tasks_differ_wait_for_an_operator(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """No run is started for nothing; `steward tasks --accept`, or a run that ends well, lets all go on."""
    submit(stand, "a1", "a2", "a3")
    later(stand, platform)
    job, digests = take(stand, platform, "run-1"), stand.context.accepted_digests
    refused = RefusedTasks(worker="w", fingerprint="0" * 16 + "-" + "1" * 16, differences=("x",), at=1.0)
    digests.refuse(refused.of_run(job.attempt, now=stand.time))
    stand.hand_back(job)
    platform.becomes("run-1", "ended")
    later(stand, platform, 300)
    assert len(platform.orders) == 2
    assert listed(stand)[0][0] == "tier medium: its workers' tasks differ from those of the board's results"
    digests.accept(refused.fingerprint)
    later(stand, platform, FIRST_WAIT_SECONDS + 1)
    assert len(platform.orders) == 3
    assert digests.waiting() == listed(stand) == []
    digests.refuse(
        RefusedTasks(**{**refused.model_dump(), "fingerprint": "2" * 16 + "-" + "3" * 16}).of_run(
            job.attempt, now=stand.time
        )
    )
    stand.end(take(stand, platform, "run-2"), failure=THEIRS)
    platform.becomes("run-2", "ended")
    later(stand, platform, 30)
    later(stand, platform, 30)
    assert digests.waiting() == listed(stand) == []


@ALL
def test_a_request_takes_the_run_of_a_trial(stand: BoardDriver, platform: ScriptedPlatform) -> None:
    """A trial gets a run of its own while no request needs the place, limited to a trial's time; then it stops."""
    one_place(stand)
    Discussion(stand, "Try", "/try ada/good precision=float32")
    stand.settle()
    later(stand, platform)
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
    later(stand, platform)
    submit(stand, "a1")
    later(stand, platform)
    assert not stand.beat(trial)
    platform.becomes("run-1", "ended")
    later(stand, platform, 30)
    assert platform.orders[-1].attempt == stand.queued()[0].attempt
