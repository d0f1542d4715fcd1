"""Over the HTTP API for workers without Redis, each call has the same effect as through Redis, for one attempt."""

from __future__ import annotations

import time

import httpx2
import pytest
import redis

from bot.core.settings import BotSettings
from leaderboard.suites import find_suite
from redis_state import jobs
from redis_state.accepted_digests import AcceptedDigests, RefusedTasks
from redis_state.attempts import MAX_LOG, AttemptProgress, Attempts
from redis_state.canaries import Canaries, CanaryVerdict
from tests.support.board.attempt_calls import (
    ATTEMPT,
    BOARD,
    KEYS,
    OTHER,
    PATH,
    REVISION,
    WORKER,
    attempt_settings,
    attempt_web,
    emptied_redis,
    outcome,
    token,
)
from workers.jobs.https_link import HttpsLink, JobGone

settings, web, connection = attempt_settings, attempt_web, emptied_redis


@pytest.fixture
def link(web: httpx2.Client) -> HttpsLink:
    """A worker's HTTP client for its attempt."""
    return HttpsLink(str(web.base_url), ATTEMPT, token(), worker=WORKER)


@pytest.fixture
def attempts(connection: redis.Redis) -> Attempts:
    """The bot's own access to attempts, through Redis."""
    return Attempts(connection, KEYS)


def job(attempt: str = ATTEMPT) -> jobs.EvaluationJob:
    """The job of an attempt."""
    return jobs.EvaluationJob(
        board=BOARD, attempt=attempt, path=PATH, model="ada/good", revision=REVISION, precision="bfloat16",
        weight_type="Original", suite="starter", suite_digest="d" * 64,
    )  # fmt: skip


def test_an_attempt_goes_from_its_job_to_its_outcome(
    link: HttpsLink, attempts: Attempts, connection: redis.Redis, settings: BotSettings
) -> None:
    """From the job to the outcome, each call over HTTP has the same effect as through Redis, at the bot's time."""
    jobs.enqueue(connection, KEYS.queue("large"), job(), timeout=60)
    jobs.enqueue(connection, KEYS.queue("large"), job(OTHER), timeout=60)
    taken = link.take_job()
    assert taken.job == job()
    assert taken.board == settings.board.read_text()
    assert jobs.queued_attempts(connection, [KEYS.queue("large")]) == {OTHER: KEYS.queue("large")}
    with pytest.raises(JobGone):
        link.take_job()

    calls = link.attempts()
    assert calls.take(ATTEMPT, "another/path", "another", now=0.0)
    assert _marked(connection) == {f"request:{PATH}"}
    state = attempts.read(ATTEMPT)
    assert state is not None
    assert (state.state, state.worker, state.path) == ("taken", WORKER, PATH)
    assert abs(state.beat - time.time()) < 30
    assert calls.wait_for_claim(ATTEMPT, seconds=0, worker=WORKER) is None
    assert attempts.answer_claim(ATTEMPT, granted=True)
    assert calls.wait_for_claim(ATTEMPT, seconds=0, worker=WORKER) is True
    assert calls.beat(ATTEMPT, AttemptProgress("evaluate", 3, 9, 2), now=0.0, worker="x", path="x")
    state = calls.read(ATTEMPT)
    assert state == attempts.read(ATTEMPT)
    assert state is not None
    assert (state.state, state.progress) == ("running", AttemptProgress("evaluate", 3, 9, 2))
    attempts.cancel(ATTEMPT)
    assert not calls.beat(ATTEMPT, AttemptProgress("evaluate", 4, 9), now=0.0, worker="x", path="x")
    assert calls.end(outcome(), "\x01\u00e9" * MAX_LOG + "the end", worker="x")
    ended = attempts.outcome(ATTEMPT)
    assert ended is not None
    assert ended[0] == outcome()
    assert ended[1].endswith("\u00e9the end")


def test_a_refused_claim_ends_the_attempt_and_a_stopped_worker_hands_it_back(
    link: HttpsLink, attempts: Attempts, connection: redis.Redis
) -> None:
    """A worker learns over HTTP that its claim was refused; it can drop an attempt, and hand one back."""
    calls = link.attempts()
    calls.take(ATTEMPT, PATH, WORKER, now=0.0)
    attempts.answer_claim(ATTEMPT, granted=False)
    assert calls.wait_for_claim(ATTEMPT, seconds=0, worker=WORKER) is False
    calls.drop(ATTEMPT)
    assert attempts.alive(now=time.time()) == set()
    calls.take(ATTEMPT, PATH, WORKER, now=0.0)
    assert calls.hand_back(ATTEMPT, worker=WORKER)
    state = attempts.read(ATTEMPT)
    assert state is not None
    assert state.state == "handed-back"
    assert _marked(connection) == {f"request:{PATH}"}


def test_a_second_worker_cannot_change_an_attempt_that_another_one_holds(
    web: httpx2.Client, link: HttpsLink, attempts: Attempts, connection: redis.Redis
) -> None:
    """A second worker can neither take nor claim, keep alive, end or hand back an attempt that another worker holds."""
    second = HttpsLink(str(web.base_url), ATTEMPT, token(), worker="second").attempts()
    assert link.attempts().take(ATTEMPT, PATH, WORKER, now=0.0)
    attempts.answer_claim(ATTEMPT, granted=True)
    assert not second.take(ATTEMPT, PATH, "second", now=0.0)
    assert second.wait_for_claim(ATTEMPT, seconds=0, worker="second") is None
    assert not second.beat(ATTEMPT, AttemptProgress("evaluate"), now=0.0, worker="second", path=PATH)
    assert not second.end(outcome(), "", worker="second")
    assert not second.hand_back(ATTEMPT, worker="second")
    state = attempts.read(ATTEMPT)
    assert state is not None
    assert state.worker == WORKER


def test_tasks_that_differ_and_canaries_are_told(link: HttpsLink, connection: redis.Redis) -> None:
    """Over the HTTP API a worker reports tasks that it refused, and takes, releases and reports canary runs."""
    assert link.accepted_digests("any").read().fingerprints == frozenset()
    refused = RefusedTasks(worker=WORKER, fingerprint="0" * 16 + "-" + "1" * 16, differences=("x",), at=1.0)
    link.accepted_digests("any").refuse(refused)
    suite = find_suite("starter").digest
    (stored,) = AcceptedDigests(connection, KEYS, suite).waiting()
    assert (stored.attempt, stored.differences) == (ATTEMPT, ("x",))
    assert stored.at == pytest.approx(time.time(), abs=60)
    canaries, canary = Canaries(connection, KEYS, "starter"), link.canaries("any")
    assert canary.take(WORKER) is None
    canaries.ask("load-failed")
    assert canary.take(WORKER) == "load-failed"
    canary.release(WORKER)
    assert canary.take(WORKER) == "load-failed"
    verdict = CanaryVerdict(cause="load-failed", died_of="", worker=WORKER)
    canary.report(WORKER, verdict)
    assert canaries.verdict() == verdict
    assert _marked(connection) == {canaries.key}


def test_a_token_gives_no_access_to_another_workers_canary_run(
    web: httpx2.Client, link: HttpsLink, connection: redis.Redis
) -> None:
    """A caller that uses another worker's name cannot report or release its canary run: the names are public."""
    canaries = Canaries(connection, KEYS, "starter")
    canaries.ask("load-failed")
    assert canaries.take(WORKER) == "load-failed"
    canary = link.canaries("any")
    assert canary.take(WORKER) is None
    canary.report(WORKER, CanaryVerdict(cause="load-failed", died_of="load-failed", worker=WORKER))
    canary.release(WORKER)
    assert canaries.verdict() is None and canaries.take("other") is None
    assert _marked(connection) == set()


def test_a_heartbeat_may_leave_out_the_count_of_replayed_answers(web: httpx2.Client, attempts: Attempts) -> None:
    """The API accepts a heartbeat without a count of replayed answers, and stores zero for it."""
    body = {"worker": WORKER, "phase": "evaluate", "done": 1, "total": 2}
    headers = {"authorization": f"Bearer {token()}"}
    answer = web.post(f"/api/attempts/{ATTEMPT}/beat", headers=headers, json=body)
    assert answer.json() == {"answer": True}
    state = attempts.read(ATTEMPT)
    assert state is not None and state.progress == AttemptProgress("evaluate", 1, 2, 0)


def _marked(connection: redis.Redis) -> set[str]:
    return {key.decode() for key in connection.zrange(KEYS.dirty, 0, -1)}
