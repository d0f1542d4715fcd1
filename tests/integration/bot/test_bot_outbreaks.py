"""Many models fail with one cause: a worker evaluates a canary model, and the bot pauses the suite if it fails too."""

from __future__ import annotations

import pytest

from bot.queue import outbreaks, rulings
from bot.threads.maintainers_list import DAY_SECONDS
from leaderboard.attempts import Outcome, attempt_id
from leaderboard.failures import cause
from redis_state.canaries import Canaries, CanaryVerdict
from steward.testing.board import BoardDriver
from tests.support.board.discussion import digests

DIED = "harness-error (KeyError: 'solution')"


@pytest.fixture
def canaries(stand: BoardDriver) -> Canaries:
    """The record in Redis of the canary of the board's suite."""
    return Canaries(stand.context.redis, stand.context.keys, "starter")


def strike(stand: BoardDriver, names: str, code: str = "harness-error") -> None:
    """For each letter, end an attempt of a model of that name with `code`, and note it twice, as syncs do."""
    for name in 2 * names:
        outcome = Outcome(
            attempt=attempt_id("trial", name, "0" * 40, 1),
            path=name,
            revision="0" * 40,
            suite="starter",
            suite_digest="0" * 64,
            started=stand.time - 5,
            ended=stand.time,
            phase="evaluate",
            failure=cause(code).failure("KeyError: 'solution'"),
        )
        outbreaks.note(stand.context, f"ada/{name}", outcome)
    stand.work()


def judge(stand: BoardDriver, canaries: Canaries, died_of: str) -> None:
    """Have the next worker run the canary and report the verdict."""
    asked = canaries.take("w")
    assert asked is not None
    canaries.report("w", CanaryVerdict(cause=asked, died_of=died_of, worker="w"))
    stand.context.mark(canaries.key)
    stand.work()


def reasons(stand: BoardDriver) -> dict[str, str]:
    """Return what is paused, with the reasons."""
    stand.settle()
    return {what: hold.reason for what, hold in stand.context.pauses.all().items()}


def test_few_failures_ask_for_no_canary(stand: BoardDriver, canaries: Canaries) -> None:
    """The bot asks for no canary while only three models have failed with one cause, however often each is noted."""
    strike(stand, "abc")
    assert canaries.take("w") is None


def test_a_canary_that_dies_pauses_the_suite_and_says_so_once(stand: BoardDriver, canaries: Canaries) -> None:
    """If the canary fails, the bot pauses the suite once, with the failures and the canary's error as the reason."""
    strike(stand, "abcd")
    judge(stand, canaries, DIED)
    pauses = reasons(stand)
    assert list(pauses) == ["suite:starter"]
    assert "4 models failed with harness-error" in pauses["suite:starter"]
    assert DIED in pauses["suite:starter"]
    commits = stand.commits()
    strike(stand, "efgh")
    assert canaries.take("w") is None, "while the suite is paused, the bot asks for no further canary"
    assert (reasons(stand), stand.commits()) == (pauses, commits)


def test_maintainers_are_told_in_their_thread_once(stand: BoardDriver, canaries: Canaries) -> None:
    """The bot comments once in the maintainers' thread, also after Redis is lost, and again for a later pause."""
    strike(stand, "abcd")
    judge(stand, canaries, DIED)
    stand.settle()
    ((_, digest),) = digests(stand)
    assert "4 models failed with harness-error" in digest
    assert "steward resume suite:starter" in digest
    for _ in range(2):
        stand.context.redis.flushall()
        stand.time += DAY_SECONDS
        stand.tick()
        stand.settle()
    assert [len(texts) for texts in digests(stand)] == [2]
    stand.time += 60
    rulings.resume(stand.context, "suite:starter")
    stand.settle()
    stand.time += 60
    strike(stand, "abcd")
    judge(stand, canaries, DIED)
    stand.settle()
    assert [len(texts) for texts in digests(stand)] == [3]


def test_a_pause_by_a_maintainer_is_not_reported_to_maintainers(stand: BoardDriver) -> None:
    """The bot opens no thread for maintainers about a pause that a maintainer ordered."""
    rulings.pause(stand.context, "suite:starter", "We move.", "maya")
    stand.settle()
    assert "suite:starter" in stand.context.pauses.all()
    assert digests(stand) == []


def test_a_canary_that_lives_changes_nothing(stand: BoardDriver, canaries: Canaries) -> None:
    """If the canary succeeds, the bot pauses nothing, and asks for the next canary only after new failures."""
    strike(stand, "abcd")
    judge(stand, canaries, "")
    assert reasons(stand) == {}
    stand.time += 1
    strike(stand, "e")
    assert canaries.take("w") is None
    strike(stand, "fgh")
    assert canaries.take("w") == "harness-error"


def test_a_verdict_about_a_canary_that_was_not_asked_for_pauses_nothing(stand: BoardDriver, canaries: Canaries) -> None:
    """A forged verdict about a canary that the bot did not ask for pauses nothing."""
    strike(stand, "abc")
    stand.context.redis.hset(stand.context.keys.canary("starter"), "asked", "harness-error")
    for verdict in (CanaryVerdict(cause="harness-error", died_of=DIED), CanaryVerdict(cause="zork", died_of="<b>")):
        stand.context.redis.hset(stand.context.keys.canary("starter"), "verdict", verdict.model_dump_json())
        stand.context.mark(canaries.key)
        stand.work()
        assert canaries.verdict() is None
    assert reasons(stand) == {}


def test_one_worker_at_a_time_runs_it(stand: BoardDriver, canaries: Canaries) -> None:
    """Only one worker gets the canary; when that worker releases it, the next one gets it."""
    strike(stand, "abcd")
    assert canaries.take("w") == "harness-error"
    assert canaries.take("v") is None
    canaries.release("w")
    assert canaries.take("v") == "harness-error"


def test_the_canary_is_for_the_cause_of_most_failures_by_now(stand: BoardDriver, canaries: Canaries) -> None:
    """If more models fail with another cause meanwhile, the next canary run is for that cause, and so is the pause."""
    strike(stand, "abcd")
    assert canaries.take("w") == "harness-error"
    strike(stand, "efghi", "dataset-unavailable")
    canaries.release("w")
    judge(stand, canaries, DIED)
    assert "5 models failed with dataset-unavailable" in reasons(stand)["suite:starter"]


def test_a_verdict_about_an_earlier_cause_does_not_clear_a_later_one(stand: BoardDriver, canaries: Canaries) -> None:
    """If a canary run for an earlier cause succeeds, the bot still asks for one for the later cause."""
    strike(stand, "abcd")
    asked = canaries.take("w")
    strike(stand, "efghi", "dataset-unavailable")
    canaries.report("w", CanaryVerdict(cause=str(asked), worker="w"))
    stand.context.mark(canaries.key)
    stand.work()
    assert canaries.take("v") == "dataset-unavailable"


def test_the_end_of_a_real_attempt_is_noted(stand: BoardDriver, canaries: Canaries) -> None:
    """The bot records model and cause of a worker's failed attempt for the count of failures."""
    job = stand.started()
    stand.end(job, failure=cause("harness-error").failure("?"))
    assert [(attempt.model, attempt.cause) for attempt in canaries.ended()] == [("ada/good", "harness-error")]
