"""One cause that fails many models: a canary is evaluated, and the suite is paused only if that fails too."""

from __future__ import annotations

import pytest

from bot.queue import outbreaks, rulings
from bot.threads.maintainers_list import DAY_SECONDS, TITLE
from leaderboard.attempts import Outcome, attempt_id
from leaderboard.failures import cause
from redis_state.canaries import Canaries, CanaryVerdict
from tests.support.board.board_driver import BoardDriver
from tests.support.sizes import one_in

pytestmark = one_in(2)
DIED = "harness-error (KeyError: 'solution')"


@pytest.fixture
def canaries(stand: BoardDriver) -> Canaries:
    """The canary of the board's suite."""
    return Canaries(stand.context.redis, stand.context.keys, "starter")


def strike(stand: BoardDriver, names: str, code: str = "harness-error") -> None:
    """An attempt of a model for each letter ends with `code`; it is noted as often as syncs see it: twice."""
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
    """The next worker runs the canary and reports."""
    asked = canaries.take("w")
    assert asked is not None
    canaries.report("w", CanaryVerdict(cause=asked, died_of=died_of, worker="w"))
    stand.context.mark(canaries.key)
    stand.work()


def reasons(stand: BoardDriver) -> dict[str, str]:
    """What is paused, and why."""
    stand.settle()
    return {what: hold.reason for what, hold in stand.context.pauses.all().items()}


def test_few_deaths_ask_for_nothing(stand: BoardDriver, canaries: Canaries) -> None:
    """Three models of one cause are a usual hour, however often each is seen."""
    strike(stand, "abc")
    assert canaries.take("w") is None


def test_a_canary_that_dies_pauses_the_suite_and_says_so_once(stand: BoardDriver, canaries: Canaries) -> None:
    """The fault is on the board's side: no job of the suite is dispatched, and the queue page gives the reason."""
    strike(stand, "abcd")
    judge(stand, canaries, DIED)
    pauses = reasons(stand)
    assert list(pauses) == ["suite:starter"]
    assert "4 models failed with harness-error" in pauses["suite:starter"]
    assert DIED in pauses["suite:starter"]
    commits = stand.commits()
    strike(stand, "efgh")
    assert canaries.take("w") is None, "while the suite is paused, nobody is asked again"
    assert (reasons(stand), stand.commits()) == (pauses, commits)


def digests(stand: BoardDriver) -> list[list[str]]:
    """What stands in each of the maintainers' threads: opening post and comments."""
    return [
        [event.content for event in thread.events if event.type == "comment"]
        for thread in stand.threads()
        if thread.title == TITLE
    ]


def test_maintainers_are_told_in_their_thread_once(stand: BoardDriver, canaries: Canaries) -> None:
    """One comment for one pause, also after all of Redis is lost; another pause is another matter."""
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
    """A pause by a maintainer opens no report to maintainers; the queue shows it."""
    rulings.pause(stand.context, "suite:starter", "We move.", "maya")
    stand.settle()
    assert "suite:starter" in stand.context.pauses.all()
    assert digests(stand) == []


def test_a_canary_that_lives_changes_nothing(stand: BoardDriver, canaries: Canaries) -> None:
    """Those models had reasons of their own; the next suspicion needs new deaths."""
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
    """It is asked of the next worker, not of all; one that cannot finish lets another try."""
    strike(stand, "abcd")
    assert canaries.take("w") == "harness-error"
    assert canaries.take("v") is None
    canaries.release("w")
    assert canaries.take("v") == "harness-error"


def test_what_most_die_of_by_now_is_what_the_canary_is_asked_for(stand: BoardDriver, canaries: Canaries) -> None:
    """Where nothing can begin any more no canary gives a verdict about an earlier cause: it is not waited for."""
    strike(stand, "abcd")
    assert canaries.take("w") == "harness-error"
    strike(stand, "efghi", "dataset-unavailable")
    canaries.release("w")
    judge(stand, canaries, DIED)
    assert "5 models failed with dataset-unavailable" in reasons(stand)["suite:starter"]


def test_a_verdict_about_an_earlier_cause_takes_the_later_one_off_no_list(
    stand: BoardDriver, canaries: Canaries
) -> None:
    """A canary that was under way lives: the other cause is asked for still."""
    strike(stand, "abcd")
    asked = canaries.take("w")
    strike(stand, "efghi", "dataset-unavailable")
    canaries.report("w", CanaryVerdict(cause=str(asked), worker="w"))
    stand.context.mark(canaries.key)
    stand.work()
    assert canaries.take("v") == "dataset-unavailable"


def test_the_end_of_a_real_attempt_is_noted(stand: BoardDriver, canaries: Canaries) -> None:
    """From the worker's outcome to the record that the suspicion is drawn from."""
    job = stand.started()
    stand.end(job, failure=cause("harness-error").failure("?"))
    assert [(attempt.model, attempt.cause) for attempt in canaries.ended()] == [("ada/good", "harness-error")]
