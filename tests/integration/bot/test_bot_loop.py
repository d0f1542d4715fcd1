"""The sync loop: failed syncs wait, are parked and are woken; leases are renewed; the loop ends cleanly."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
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
from bot.processes.sync_loop import LAST_TRY, SyncLoop
from hub.client import Hub
from hub.errors import BadRequest, BadToken, RateLimited, Transient
from hub.retries import Retries
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from redis_state.stopping import Stop
from steward.cli import app
from tests.support.board.board_file import BOARD
from tests.support.sizes import one_in
from tests.support.waiting import wait_until

pytestmark = one_in(2)

KEY = "request:ada/m_eval_request_False_float32_Original.json"


class Clockwork(SyncLoop):
    """A loop whose syncs do what a test says."""

    handler: Callable[[], float | None]
    time = 1_000_000.0

    def _handler(self, key: str) -> Callable[[], float | None]:
        return self.handler


@pytest.fixture
def clockwork(connection: redis.Redis) -> Iterator[Clockwork]:
    """A loop with its own clock, whose Hub is not reachable."""
    with Hub("http://127.0.0.1:1", "hf_x", retries=Retries(attempts=1)) as hub:
        clockwork_of_test = Clockwork(
            BoardContext(parse_board(BOARD), find_suite("starter"), hub, connection, now=lambda: clockwork_of_test.time)
        )
        yield clockwork_of_test


def failing(error: Exception) -> Callable[[], float | None]:
    """A sync that raises `error`."""

    def sync() -> float | None:
        raise error

    return sync


def tries(clockwork: Clockwork, times: int) -> int:
    """Let `times` waits pass after which a try may be due, and return how many tries happened."""
    count = 0
    for _ in range(times):
        clockwork.time += 700
        count += clockwork.step()
    return count


def test_a_sync_that_keeps_failing_is_parked_and_can_be_woken(clockwork: Clockwork) -> None:
    """After the last try the loop parks the key with its error; waking the key gives it all its tries again."""
    clockwork.handler = failing(BadRequest("no"))
    clockwork.context.mark(KEY)
    assert tries(clockwork, LAST_TRY + 3) == LAST_TRY
    (parked,) = clockwork.context.parking.all()
    assert (parked.key, parked.error, parked.tries) == (KEY, "BadRequest: no", LAST_TRY)
    assert clockwork.context.parking.wake(KEY, now=clockwork.context.now())
    assert not clockwork.context.parking.wake(KEY, now=clockwork.context.now())
    assert tries(clockwork, LAST_TRY + 3) == LAST_TRY


def test_waking_loses_nothing_where_redis_is_full(clockwork: Clockwork, connection: redis.Redis) -> None:
    """If Redis is out of memory while a parked key is woken, the key is dirty or still parked afterwards."""
    clockwork.handler = failing(BadRequest("no"))
    clockwork.context.mark(KEY)
    tries(clockwork, LAST_TRY)
    connection.config_set("maxmemory", 1)
    try:
        with contextlib.suppress(redis.ResponseError):
            clockwork.context.parking.wake(KEY, now=clockwork.context.now())
    finally:
        connection.config_set("maxmemory", 0)
    assert len(clockwork.context.dirty) + len(clockwork.context.parking.all()) == 1


def test_a_sync_that_reads_a_replaced_clone_is_tried_again_soon(clockwork: Clockwork) -> None:
    """After a sync that read a replaced clone, the loop logs a warning and tries again after the usual waits."""
    clockwork.handler = failing(MirrorDamaged("no commit 1f"))
    clockwork.context.mark(KEY)
    with structlog.testing.capture_logs() as logs:
        assert tries(clockwork, 2) == 2
    assert [(line["log_level"], line["again_in"]) for line in logs if line["event"] == "sync failed"] == [
        ("warning", loops.FIRST_WAIT),
        ("warning", 2 * loops.FIRST_WAIT),
    ]


def test_an_event_gives_a_parked_sync_one_more_chance(clockwork: Clockwork) -> None:
    """The loop tries a parked key that is marked again once; if that works, the key is no longer parked."""
    clockwork.handler = failing(ValueError("a bug"))
    clockwork.context.mark(KEY)
    tries(clockwork, LAST_TRY)
    clockwork.context.mark(KEY)
    assert tries(clockwork, 3) == 1
    clockwork.handler = lambda: None
    clockwork.context.mark(KEY)
    assert tries(clockwork, 1) == 1
    assert clockwork.context.parking.all() == []


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
def test_what_is_no_fault_of_the_key_parks_nothing(clockwork: Clockwork, error: Exception) -> None:
    """The loop parks no key because of an unreachable Hub, a rate limit, a refused token or a full disk."""
    clockwork.handler = failing(error)
    clockwork.context.mark(KEY)
    assert tries(clockwork, 3 * LAST_TRY) == 3 * LAST_TRY
    assert clockwork.context.parking.all() == []


def test_what_was_no_fault_of_the_key_takes_none_of_its_tries(clockwork: Clockwork) -> None:
    """Failures while the Hub is unreachable neither use up a key's tries nor lengthen waits after its own failures."""
    clockwork.handler = failing(Transient("away"))
    clockwork.context.mark(KEY)
    assert tries(clockwork, 2 * LAST_TRY) == 2 * LAST_TRY
    clockwork.handler = failing(BadRequest("no"))
    assert tries(clockwork, 1) == 1
    clockwork.time += loops.FIRST_WAIT + 1
    assert clockwork.step()
    assert tries(clockwork, LAST_TRY) == LAST_TRY - 2
    (parked,) = clockwork.context.parking.all()
    assert parked.tries == LAST_TRY


def test_what_failed_while_the_hub_was_away_is_tried_once_it_answers(clockwork: Clockwork) -> None:
    """The Hub's first answer to any sync ends a key's long wait; a sync that did not call the Hub does not."""
    clockwork.handler = failing(Transient("away"))
    clockwork.context.mark(KEY)
    tries(clockwork, 10)
    calls: list[str] = []
    clockwork.handler = lambda: calls.append("tried")
    clockwork.context.mark("queue")
    assert [clockwork.step(), clockwork.step()] == [True, False]

    def answered() -> None:
        clockwork.context.hub.session.answers += 1

    clockwork.handler = answered
    clockwork.context.mark("requests")
    assert [clockwork.step(), clockwork.step(), clockwork.step()] == [True, True, False]
    assert len(clockwork.context.dirty) == 0


def test_a_hub_that_is_away_is_asked_now_and_then(clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the Hub does not answer, only one of the waiting keys is tried every few seconds."""
    asked: list[float] = []

    def away() -> None:
        asked.append(clockwork.time)
        raise Transient("away")

    clockwork.handler = away
    monkeypatch.setattr(loops, "IDLE", 0.01)
    for number in range(50):
        clockwork.context.mark(f"thread:dataset/town/requests:{number}")

    def a_second_later(_seconds: float) -> None:
        clockwork.time += 1
        if clockwork.time >= 1_000_060:
            clockwork.stop()

    monkeypatch.setattr(clockwork.context.dirty, "wait", a_second_later)
    clockwork.run()
    assert 10 <= len(asked) <= 13
    assert all(later - before >= loops.PROBE for before, later in pairwise(asked[1:]))


def test_a_limit_that_is_met_again_and_again_is_asked_about_every_minute(clockwork: Clockwork) -> None:
    """Repeated rate limits do not lengthen the waits beyond a minute, because a person may wait for the answer."""
    clockwork.handler = failing(RateLimited("slow", seconds=15, what="commits"))
    clockwork.context.mark(KEY)
    tries(clockwork, 10)
    before = clockwork.time
    clockwork.step()
    clockwork.time = before + 59
    assert not clockwork.step()
    clockwork.time = before + 61
    assert clockwork.step()


def test_the_hubs_word_on_how_long_to_wait_is_kept(clockwork: Clockwork) -> None:
    """After a rate limit the key is not tried before the time that the Hub named."""
    clockwork.handler = failing(RateLimited("slow", seconds=300, what="api"))
    clockwork.context.mark(KEY)
    assert clockwork.step()
    clockwork.time += 299
    assert not clockwork.step()
    clockwork.time += 2
    assert clockwork.step()


def test_a_sync_that_lost_its_lease_speaks_no_more(clockwork: Clockwork) -> None:
    """A sync that was cut off from Redis for longer than its lease ends before its next write, without a failure."""
    context, called = clockwork.context, []

    def late() -> None:
        context.redis.delete(context.keys.dirty_leases)
        called.append("late")
        context.effects.edit_comment(context.requests, 1, "c", "It waits.", context.marker("status", "x"))
        called.append("said")

    clockwork.handler = late
    context.mark(KEY)
    assert clockwork.step()
    assert called == ["late"]
    assert not context.redis.exists(context.keys.dirty_tries)


def test_a_queue_server_that_refuses_to_write_is_waited_for(clockwork: Clockwork, connection: redis.Redis) -> None:
    """While the memory of Redis is full, the loop goes on and parks no key; afterwards it syncs the dirty keys."""
    synced = threading.Event()

    def sync() -> None:
        synced.set()

    clockwork.handler = sync
    clockwork.context.mark(KEY)
    connection.config_set("maxmemory", 1)
    thread = threading.Thread(target=clockwork.run)
    try:
        thread.start()
        wait_until(lambda: connection.info("errorstats").get("errorstat_OOM", {}).get("count", 0) > 1)
        assert thread.is_alive() and not synced.is_set()
        connection.config_set("maxmemory", 0)
        assert synced.wait(20)
        assert clockwork.context.parking.all() == []
    finally:
        connection.config_set("maxmemory", 0)
        clockwork.stop()
        thread.join(20)


def test_malformed_data_in_redis_ends_no_loop(clockwork: Clockwork, connection: redis.Redis) -> None:
    """The loop logs an error because of malformed data in Redis, and syncs again once the data is gone."""
    clockwork._away = True
    connection.hset(clockwork.context.keys.hub_state, "probed", "yesterday")
    synced = threading.Event()
    clockwork.handler = synced.set
    clockwork.context.mark(KEY)
    thread = threading.Thread(target=clockwork.run)
    try:
        with structlog.testing.capture_logs() as logs:
            thread.start()
            wait_until(lambda: any(record["event"] == "the loop failed" for record in logs))
        connection.delete(clockwork.context.keys.hub_state)
        assert synced.wait(20)
    finally:
        clockwork.stop()
        thread.join(20)


def test_a_sync_that_does_not_end_does_not_keep_the_process(
    clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch
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
    clockwork.handler = hang
    clockwork.context.mark(KEY)
    teller = threading.Thread(target=tell)
    try:
        teller.start()
        assert not sync_process._run(clockwork.context, [clockwork], stop)
        assert threads[0].is_alive() and threads[0].daemon
    finally:
        leave.set()
        threads[0].join(20)


def test_one_failing_key_holds_up_no_other(clockwork: Clockwork) -> None:
    """While one key fails, another is synced at once."""
    clockwork.handler = failing(BadRequest("no"))
    clockwork.context.mark(KEY)
    assert clockwork.step()
    clockwork.handler = lambda: None
    clockwork.context.mark("queue")
    assert clockwork.step()
    assert not clockwork.step()


def test_a_long_sync_keeps_its_key(clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that takes several leases is not claimed by another process meanwhile."""
    monkeypatch.setattr(loops, "LEASE", 0.3)
    entered, leave = threading.Event(), threading.Event()

    def sync() -> None:
        entered.set()
        assert leave.wait(20)

    clockwork.handler = sync
    clockwork.context.mark(KEY)
    other = BoardContext(
        clockwork.context.board,
        clockwork.context.suite,
        clockwork.context.hub,
        clockwork.context.redis,
        clockwork.context.now,
    )
    thread = threading.Thread(target=clockwork.step)
    thread.start()
    assert entered.wait(10)
    pause = threading.Event()
    for _ in range(10):
        assert other.dirty.claim(now=clockwork.context.now(), lease=1) is None
        pause.wait(0.1)
    leave.set()
    thread.join()
    assert len(clockwork.context.dirty) == 0


def test_operators_see_and_wake_what_is_parked(
    clockwork: Clockwork, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`steward parked list` shows key and error, `parked wake` wakes a key, and errors have their own exit statuses."""
    (tmp_path / "board.yaml").write_text(BOARD)
    monkeypatch.setenv("STEWARD_BOARD", str(tmp_path / "board.yaml"))
    monkeypatch.setenv("REDIS_URL", valkey_url)
    run = CliRunner().invoke
    assert "No sync is parked" in run(app, ["parked", "list"]).output
    clockwork.handler = failing(BadRequest("no"))
    clockwork.context.mark(KEY)
    tries(clockwork, LAST_TRY)
    assert '"error": "BadRequest: no"' in run(app, ["parked", "list", "--json"]).output
    assert run(app, ["parked", "wake", "request:other"]).exit_code == 1
    assert run(app, ["parked", "wake", KEY]).exit_code == 0
    unnamed = run(app, ["parked", "wake", "--json"])
    assert (unnamed.exit_code, unnamed.stdout, "name the keys" in unnamed.stderr) == (2, "", True)
    assert len(clockwork.context.dirty) == 1
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert run(app, ["parked", "list"]).exit_code == 4
