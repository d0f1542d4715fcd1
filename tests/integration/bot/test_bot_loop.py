"""The sync loop: failed syncs wait, are parked and are woken; leases are renewed; the loop ends cleanly."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import redis
import structlog
from typer.testing import CliRunner

from bot.core.context import BoardContext
from bot.core.mirrors.folder import MirrorDamaged, UnusableFolder
from bot.processes import sync_loop as loops
from bot.processes import sync_process
from bot.processes.sync_loop import LAST_TRY
from hub.errors import BadRequest, BadToken, RateLimited, Transient
from redis_state.stopping import Stop
from steward.cli import app
from steward.testing.board import BOARD
from tests.support.board.scripted_loop import KEY, ScriptedLoop, failing, scripted_loop, tries


@pytest.fixture
def loop(connection: redis.Redis) -> Iterator[ScriptedLoop]:
    """A loop with its own clock, whose Hub is not reachable."""
    with scripted_loop(connection) as scripted:
        yield scripted


def test_a_sync_that_keeps_failing_is_parked_and_can_be_woken(loop: ScriptedLoop) -> None:
    """After the last try the loop parks the key with its error; waking the key gives it all its tries again."""
    loop.handler = failing(BadRequest("no"))
    loop.context.mark(KEY)
    assert tries(loop, LAST_TRY + 3) == LAST_TRY
    (parked,) = loop.context.parking.all()
    assert (parked.key, parked.error, parked.tries) == (KEY, "BadRequest: no", LAST_TRY)
    assert loop.context.parking.wake(KEY, now=loop.context.now())
    assert not loop.context.parking.wake(KEY, now=loop.context.now())
    assert tries(loop, LAST_TRY + 3) == LAST_TRY


def test_a_sync_that_reads_a_replaced_clone_is_tried_again_soon(loop: ScriptedLoop) -> None:
    """After a sync that read a replaced clone, the loop logs a warning and tries again after the usual waits."""
    loop.handler = failing(MirrorDamaged("no commit 1f"))
    loop.context.mark(KEY)
    with structlog.testing.capture_logs() as logs:
        assert tries(loop, 2) == 2
    assert [(line["log_level"], line["again_in"]) for line in logs if line["event"] == "sync failed"] == [
        ("warning", loops.FIRST_WAIT),
        ("warning", 2 * loops.FIRST_WAIT),
    ]


def test_an_event_gives_a_parked_sync_one_more_chance(loop: ScriptedLoop) -> None:
    """The loop tries a parked key that is marked again once; if that works, the key is no longer parked."""
    loop.handler = failing(ValueError("a bug"))
    loop.context.mark(KEY)
    tries(loop, LAST_TRY)
    loop.context.mark(KEY)
    assert tries(loop, 3) == 1
    loop.handler = lambda: None
    loop.context.mark(KEY)
    assert tries(loop, 1) == 1
    assert loop.context.parking.all() == []


@pytest.mark.parametrize(
    "error",
    [
        Transient("away"),
        RateLimited("slow", seconds=5, what="api"),
        BadToken("expired"),
        UnusableFolder("full"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_what_is_no_fault_of_the_key_parks_nothing(loop: ScriptedLoop, error: Exception) -> None:
    """The loop parks no key because of an unreachable Hub, a rate limit, a refused token or a full disk."""
    loop.handler = failing(error)
    loop.context.mark(KEY)
    assert tries(loop, 3 * LAST_TRY) == 3 * LAST_TRY
    assert loop.context.parking.all() == []


def test_what_was_no_fault_of_the_key_takes_none_of_its_tries(loop: ScriptedLoop) -> None:
    """Failures while the Hub is unreachable neither use up a key's tries nor lengthen waits after its own failures."""
    loop.handler = failing(Transient("away"))
    loop.context.mark(KEY)
    assert tries(loop, 2 * LAST_TRY) == 2 * LAST_TRY
    loop.handler = failing(BadRequest("no"))
    assert tries(loop, 1) == 1
    loop.time += loops.FIRST_WAIT + 1
    assert loop.step()
    assert tries(loop, LAST_TRY) == LAST_TRY - 2
    (parked,) = loop.context.parking.all()
    assert parked.tries == LAST_TRY


def test_what_failed_while_the_hub_was_away_is_tried_once_it_answers(loop: ScriptedLoop) -> None:
    """The Hub's first answer to any sync ends a key's long wait; a sync that did not call the Hub does not."""
    loop.handler = failing(Transient("away"))
    loop.context.mark(KEY)
    tries(loop, 10)
    calls: list[str] = []
    loop.handler = lambda: calls.append("tried")
    loop.context.mark("queue")
    assert [loop.step(), loop.step()] == [True, False]

    def answered() -> None:
        loop.context.hub.session.answers += 1

    loop.handler = answered
    loop.context.mark("requests")
    assert [loop.step(), loop.step(), loop.step()] == [True, True, False]
    assert len(loop.context.dirty) == 0


def test_a_hub_that_is_away_is_asked_now_and_then(loop: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the Hub does not answer, only one of the waiting keys is tried every few seconds."""
    asked: list[float] = []

    def away() -> None:
        asked.append(loop.time)
        raise Transient("away")

    loop.handler = away
    monkeypatch.setattr(loops, "IDLE", 0.01)
    for number in range(50):
        loop.context.mark(f"thread:dataset/town/requests:{number}")

    def a_second_later(_seconds: float) -> None:
        loop.time += 1
        if loop.time >= 1_000_060:
            loop.stop()

    monkeypatch.setattr(loop.context.dirty, "wait", a_second_later)
    loop.run()
    assert 10 <= len(asked) <= 13
    assert all(later - before >= loops.PROBE for before, later in pairwise(asked[1:]))


def test_a_limit_that_is_met_again_and_again_is_asked_about_every_minute(loop: ScriptedLoop) -> None:
    """Repeated rate limits do not lengthen the waits beyond a minute, because a person may wait for the answer."""
    loop.handler = failing(RateLimited("slow", seconds=15, what="commits"))
    loop.context.mark(KEY)
    tries(loop, 10)
    before = loop.time
    loop.step()
    loop.time = before + 59
    assert not loop.step()
    loop.time = before + 61
    assert loop.step()


def test_the_hubs_word_on_how_long_to_wait_is_kept(loop: ScriptedLoop) -> None:
    """After a rate limit the key is not tried before the time that the Hub named."""
    loop.handler = failing(RateLimited("slow", seconds=300, what="api"))
    loop.context.mark(KEY)
    assert loop.step()
    loop.time += 299
    assert not loop.step()
    loop.time += 2
    assert loop.step()


def test_a_sync_that_lost_its_lease_speaks_no_more(loop: ScriptedLoop) -> None:
    """A sync that was cut off from Redis for longer than its lease ends before its next write, without a failure."""
    context, called = loop.context, []

    def late() -> None:
        context.redis.delete(context.keys.dirty_leases)
        called.append("late")
        context.effects.edit_comment(context.requests, 1, "c", "It waits.", context.marker("status", "x"))
        called.append("said")

    loop.handler = late
    context.mark(KEY)
    assert loop.step()
    assert called == ["late"]
    assert not context.redis.exists(context.keys.dirty_tries)


def test_a_sync_that_does_not_end_does_not_keep_the_process(
    loop: ScriptedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that hangs at the Hub does not keep the process from stopping."""
    entered, leave, threads, stop = threading.Event(), threading.Event(), list[threading.Thread](), Stop()

    def hang() -> None:
        threads.append(threading.current_thread())
        entered.set()
        leave.wait(60)

    def tell() -> None:
        assert entered.wait(20)
        stop.set()

    monkeypatch.setattr(sync_process, "GRACE_SECONDS", 2.0)
    loop.handler = hang
    loop.context.mark(KEY)
    teller = threading.Thread(target=tell)
    try:
        teller.start()
        assert not sync_process._run(loop.context, [loop], stop)
        assert threads[0].is_alive() and threads[0].daemon
    finally:
        leave.set()
        threads[0].join(20)


def test_one_failing_key_holds_up_no_other(loop: ScriptedLoop) -> None:
    """While one key fails, another is synced at once."""
    loop.handler = failing(BadRequest("no"))
    loop.context.mark(KEY)
    assert loop.step()
    loop.handler = lambda: None
    loop.context.mark("queue")
    assert loop.step()
    assert not loop.step()


def test_a_long_sync_keeps_its_key(loop: ScriptedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that takes several leases is not claimed by another process meanwhile."""
    monkeypatch.setattr(loops, "LEASE", 0.3)
    entered, leave = threading.Event(), threading.Event()

    def sync() -> None:
        entered.set()
        assert leave.wait(20)

    loop.handler = sync
    loop.context.mark(KEY)
    other = BoardContext(
        loop.context.board,
        loop.context.suite,
        loop.context.hub,
        loop.context.redis,
        loop.context.now,
    )
    thread = threading.Thread(target=loop.step)
    thread.start()
    assert entered.wait(10)
    pause = threading.Event()
    for _ in range(10):
        assert other.dirty.claim(now=loop.context.now(), lease=1) is None
        pause.wait(0.1)
    leave.set()
    thread.join()
    assert len(loop.context.dirty) == 0


def test_operators_see_and_wake_what_is_parked(
    loop: ScriptedLoop, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`steward parked list` shows key and error, `parked wake` wakes a key, and errors have their own exit statuses."""
    (tmp_path / "board.yaml").write_text(BOARD)
    monkeypatch.setenv("STEWARD_BOARD", str(tmp_path / "board.yaml"))
    monkeypatch.setenv("REDIS_URL", valkey_url)
    run = CliRunner().invoke
    assert "No sync is parked" in run(app, ["parked", "list"]).output
    loop.handler = failing(BadRequest("no"))
    loop.context.mark(KEY)
    tries(loop, LAST_TRY)
    assert '"error": "BadRequest: no"' in run(app, ["parked", "list", "--json"]).output
    assert run(app, ["parked", "wake", "request:other"]).exit_code == 1
    assert run(app, ["parked", "wake", KEY]).exit_code == 0
    unnamed = run(app, ["parked", "wake", "--json"])
    assert (unnamed.exit_code, unnamed.stdout, "name the keys" in unnamed.stderr) == (2, "", True)
    assert len(loop.context.dirty) == 1
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert run(app, ["parked", "list"]).exit_code == 4
