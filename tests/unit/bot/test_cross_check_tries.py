"""How a cross-check (another worker computes answers again) begins, and which worker is asked after others failed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.evaluations import cross_checks
from bot.evaluations.cross_check_reports import CrossCheckClaim, begin_check
from bot.evaluations.cross_checks import (
    NO_AUTHOR,
    NO_WORKER_SECONDS,
    START_SECONDS,
    _ask,
    _is_lost,
    _next_worker,
    _workers,
    cross_check,
)
from bot.read_models.queue_snapshot import held_workers
from hub.errors import Garbled
from hub.records import LogEntry, Repo
from leaderboard.attempts import Details
from leaderboard.cross_check_decisions import CrossCheckDecision
from leaderboard.cross_checks import (
    MAX_TRIES_OF_WORKER,
    AvailableWorker,
    CrossCheckReport,
    WorkerPolicy,
)
from leaderboard.tiers import TIERS
from redis_state.attempts import LOST
from redis_state.board.cross_checks import CrossCheckState, CrossCheckTry, StoredVote
from redis_state.heartbeats import WorkerCard
from redis_state.set_aside import account_name

NONCE, ATTEMPT = "0" * 32, "0123456789ab-01234567-1"
SECOND, THIRD = (AvailableWorker(name, name, TIERS, idle=True) for name in ("second", "third"))
CLAIM = cast(
    CrossCheckClaim,
    SimpleNamespace(
        context=SimpleNamespace(index=SimpleNamespace(get=lambda _: SimpleNamespace(tier=TIERS[0]))),
        request=SimpleNamespace(path="org/m.json"),
        policy=WorkerPolicy(),
    ),
)


def state(*tries: str, votes: dict[int, dict[str, Any]] | None = None) -> CrossCheckState:
    """The state after these workers were asked in turn, each with an account of its name; `votes` are their reports."""
    queued_tries = tuple(
        CrossCheckTry(number=at, worker=name, account=name, queued=0.0) for at, name in enumerate(tries, 1)
    )
    reports = tuple(
        StoredVote(
            number=number,
            account=tries[number - 1],
            report=CrossCheckReport(check=ATTEMPT, attempt=ATTEMPT, commit="a" * 40, nonce=NONCE, **fields),
        )
        for number, fields in (votes or {}).items()
    )
    return CrossCheckState(worker="claimer", nonce=NONCE, since=0.0, tries=queued_tries, votes=reports)


AWAY, UNFIT = {"problem": "Transient: 502", "temporary": True}, {"problem": "ModelTooLarge: 80 GB"}


@pytest.mark.parametrize(
    ("tried", "expected"),
    [
        (state(), "second"),
        (state("second"), "third"),
        (state("second", votes={1: AWAY}), "third"),
        (state("second", "third", votes={1: AWAY, 2: UNFIT}), "second"),
        (state("second", "third", votes={2: UNFIT}), "second"),
        (state("second", "third", votes={1: UNFIT, 2: UNFIT}), None),
        (state("third", *["second"] * MAX_TRIES_OF_WORKER, votes={1: UNFIT, 2: AWAY}), None),
    ],
)
def test_a_worker_that_the_hub_failed_is_asked_again(tried: CrossCheckState, expected: str | None) -> None:
    """If no other worker is left, one that failed for a temporary reason is asked again, but not one that is unable."""
    chosen = _next_worker(CLAIM, tried, [SECOND, THIRD])
    assert (chosen.name if chosen is not None else None) == expected


def begun(entries: list[LogEntry | None]) -> tuple[CrossCheckClaim, dict[str, CrossCheckState]]:
    """A claim for which the Hub returns these log entries in turn, and the dictionary in which states are stored."""
    stored = dict[str, CrossCheckState]()
    hub = SimpleNamespace(paths_info=lambda *_: {}, last_commit=lambda *_: entries.pop(0))
    context = SimpleNamespace(
        hub=hub,
        now=lambda: 0.0,
        suite=SimpleNamespace(tasks=(), evaluator=None, restricted=False),
        board=SimpleNamespace(name="b", workers=WorkerPolicy()),
        cross_checks=SimpleNamespace(get=stored.get, put=stored.__setitem__),
    )
    results = SimpleNamespace(block=SimpleNamespace(attempt=ATTEMPT, revision="a" * 40))
    details = Details(repo="d/m", commit="a" * 40, results_path="results_2026-01-01T00-00-00.000000.json")
    what = (context, WorkerPolicy(), SimpleNamespace(), Repo("dataset", "d/m"), details, results)
    return CrossCheckClaim(*cast(Any, what)), stored


def test_a_hub_that_does_not_show_the_commit_yet_is_asked_again() -> None:
    """The check starts only once the Hub shows the commit, whose author could otherwise confirm its own answers."""
    claim, stored = begun([None])
    with pytest.raises(Garbled, match="does not say yet"):
        begin_check(claim)
    assert stored == {}


def test_answers_of_an_unknown_account_are_not_compared() -> None:
    """If the commit with the answers has no author, the record says that nothing was compared; no worker is asked."""
    claim, stored = begun([LogEntry("a" * 40, "t", "", (), None)])
    progress = cross_check(claim.context, claim.request, claim.repo, claim.details, claim.results)
    assert progress.done and progress.record is not None
    assert (progress.record.status, progress.record.reason) == ("not-compared", NO_AUTHOR)
    (state,) = stored.values()
    assert state.tries == ()


def waiting_check(
    monkeypatch: pytest.MonkeyPatch, *, silent_for: float, heard_since: float = 0.0
) -> tuple[CrossCheckClaim, CrossCheckState]:
    """A check whose only order went at 1,000 s to the worker `second`, which has been silent for `silent_for` seconds;
    Redis and the bot have been running since `heard_since`."""
    claim, _ = begun([])
    context = cast(Any, claim.context)
    cards = [WorkerCard(name="second", account="second", tiers=TIERS, since=0.0, beat=0.0)]
    context.workers = SimpleNamespace(alive=lambda within=LOST, **_: cards if silent_for < within else [])
    context.set_aside = SimpleNamespace(all=list)
    context.accepted_digests = SimpleNamespace(waiting=list)
    context.index = SimpleNamespace(get=lambda _: SimpleNamespace(tier=TIERS[0]))
    context.keys = SimpleNamespace(worker_queue=lambda name: f"queue of {name}")
    context.redis, context.heard_since = None, lambda: heard_since
    monkeypatch.setattr(cross_checks.jobs, "queued_attempts", lambda *_: {})
    cast(Any, claim.request).path = "org/m.json"
    order = CrossCheckTry(number=1, worker="second", account="second", queued=1_000.0)
    return claim, CrossCheckState(worker="claimer", nonce=NONCE, since=0.0, tries=(order,))


@pytest.mark.parametrize(("silent_for", "ends_at"), [(LOST + 1, None), (NO_WORKER_SECONDS + 1, 1_610.0)])
def test_workers_that_are_silent_for_a_moment_end_no_check(
    monkeypatch: pytest.MonkeyPatch, silent_for: float, ends_at: float | None
) -> None:
    """After a lost try, the results wait as long as another worker had a heartbeat in the last ten minutes."""
    claim, check = waiting_check(monkeypatch, silent_for=silent_for)
    for now in (1_200.0, 1_590.0, 1_610.0):
        cast(Any, claim.context).now = lambda now=now: now
        assert _ask(claim, check, CrossCheckDecision("open"), ()).done is (now == ends_at)


def test_a_worker_that_is_silent_for_a_moment_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's job stays in its queue until the worker has been silent for two minutes; then the bot recalls it."""
    recalled = list[str]()
    monkeypatch.setattr(cross_checks.jobs, "recall", lambda _redis, _queue, check: recalled.append(check))
    for silent_for, is_lost in ((LOST + 1, False), (START_SECONDS + 1, True)):
        claim, check = waiting_check(monkeypatch, silent_for=silent_for)
        (order,) = check.tries
        queued = [claim.check_id(order.number)]
        monkeypatch.setattr(cross_checks.jobs, "queued_attempts", lambda *_, queued=queued: queued)
        assert _is_lost(claim, order, now=1_200.0) is is_lost
        assert recalled == (queued if is_lost else [])


@pytest.mark.parametrize("how", ["its tasks differ", "it was set aside", "its account was set aside"])
def test_a_worker_that_waits_for_an_operator_gets_no_order(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A worker that waits for an operator gets no order, and the order that it has is recalled."""
    recalled = list[str]()
    monkeypatch.setattr(cross_checks.jobs, "recall", lambda _redis, _queue, check: recalled.append(check))
    claim, check = waiting_check(monkeypatch, silent_for=0.0)
    (order,), context = check.tries, cast(Any, claim.context)
    monkeypatch.setattr(cross_checks.jobs, "queued_attempts", lambda *_: [claim.check_id(order.number)])
    assert [worker.name for worker in _workers(context, LOST, held_workers(context))] == ["second"]
    assert not _is_lost(claim, order, now=1_200.0)
    names = {"it was set aside": "second", "its account was set aside": account_name("second")}
    if how in names:
        context.set_aside = SimpleNamespace(all=lambda: [SimpleNamespace(worker=names[how], account="")])
    else:
        context.accepted_digests = SimpleNamespace(waiting=lambda: [SimpleNamespace(worker="second")])
    assert _workers(context, LOST, held_workers(context)) == []
    assert _is_lost(claim, order, now=1_200.0)
    assert recalled == [claim.check_id(order.number)]


def test_results_wait_for_the_operator_of_the_only_other_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results wait for the only other worker while it waits for an operator, who may accept its tasks."""
    claim, check = waiting_check(monkeypatch, silent_for=0.0)
    context = cast(Any, claim.context)
    context.accepted_digests = SimpleNamespace(waiting=lambda: [SimpleNamespace(worker="second")])
    context.now = lambda: 1_000.0 + NO_WORKER_SECONDS + START_SECONDS
    assert not _ask(claim, check, CrossCheckDecision("open"), ()).done


def test_the_time_in_which_the_bot_was_away_ends_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the bot was down, it read no heartbeats, so the deadlines for order and results start at its return."""
    recalled = list[str]()
    monkeypatch.setattr(cross_checks.jobs, "recall", lambda _redis, _queue, check: recalled.append(check))
    claim, check = waiting_check(monkeypatch, silent_for=1e6, heard_since=9_000.0)
    (order,) = check.tries
    monkeypatch.setattr(cross_checks.jobs, "queued_attempts", lambda *_: [claim.check_id(order.number)])
    for now, is_lost, is_done in (
        (9_001.0, False, False),
        (9_000.0 + START_SECONDS, True, False),
        (9_001.0 + NO_WORKER_SECONDS, True, True),
    ):
        cast(Any, claim.context).now = lambda now=now: now
        assert _is_lost(claim, order, now=now) is is_lost
        assert _ask(claim, check, CrossCheckDecision("open"), ()).done is is_done
    assert recalled


def test_a_clock_that_was_set_back_holds_no_results() -> None:
    """If the clock was set back, a check that began in the future counts as begun now, and results wait no longer."""
    claim, stored = begun([])
    context = cast(Any, claim.context)
    context.workers = SimpleNamespace(alive=lambda **_: [])
    context.set_aside = SimpleNamespace(all=list)
    context.accepted_digests = SimpleNamespace(waiting=list)
    context.index = SimpleNamespace(get=lambda _: SimpleNamespace(tier=TIERS[0]))
    cast(Any, claim.request).path = "org/m.json"
    context.heard_since = lambda: 0.0
    ahead = CrossCheckState(worker="claimer", nonce=NONCE, since=86_400.0)
    assert not _ask(claim, ahead, CrossCheckDecision("open"), ()).done
    (state,) = stored.values()
    assert state.since == 0.0
