"""What the web server shows if Redis fails between two reads, and if several visitors read at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError as RedisAway

from bot.core.context import BoardContext
from bot.read_models.lists import QueueReader
from bot.read_models.queue_snapshot import take_snapshot
from bot.web import table as module
from bot.web.flags import FlagReader
from bot.web.table import RequestTable
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.holds import Hold
from leaderboard.suites import find_suite
from redis_state import clock
from redis_state.board.entry import IndexEntry
from redis_state.board.index import Index
from redis_state.keys import Keys
from steward.testing.board import BOARD
from tests.support.board.seeded_board import entry, flag, put_flags, score

KEYS = Keys("demo")


@pytest.fixture
def context(connection: redis.Redis) -> Iterator[BoardContext]:
    """The context of a board on a Hub that does not answer."""
    hub = Hub("http://127.0.0.1:9", None)
    yield BoardContext(board=parse_board(BOARD), suite=find_suite("starter"), hub=hub, redis=connection, now=clock.now)
    hub.close()


def failing(monkeypatch: pytest.MonkeyPatch, where: object, name: str, *, after: int = 0) -> Callable[[], None]:
    """Have a method of `where` raise RedisAway after `after` calls; return a function that restores the method."""
    plain, calls = getattr(where, name), list[int]()

    def broken(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) > after:
            raise RedisAway
        return plain(*arguments, **named)

    monkeypatch.setattr(where, name, broken)
    return lambda: monkeypatch.setattr(where, name, plain)


def finished(context: BoardContext, model: str) -> IndexEntry:
    """Store a finished request with scores; return its entry."""
    indexed = entry(model, "settled", "FINISHED", category="chat")
    Index(context.redis, KEYS).put(indexed)
    score(context.scores, indexed, 50.0, "chat")
    return indexed


def models(table: RequestTable) -> set[str]:
    """The models in the table."""
    return {line.model for line in table.rows().lines}


def test_a_change_that_was_seen_but_not_read_is_read_again(
    context: BoardContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Redis fails after the table read what changed, and before it read the new values, it reads them later."""
    finished(context, "ada/one")
    table = RequestTable(context)
    assert models(table) == {"ada/one"}
    finished(context, "ada/two")
    mended = failing(monkeypatch, context.scores, "find")
    with pytest.raises(RedisAway):
        table.rows()
    mended()
    assert models(table) == {"ada/one", "ada/two"}


def test_a_flag_that_was_read_before_redis_went_away_hides_its_row(
    context: BoardContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Redis fails after the table read the flags, and before it read the changes, the flag counts afterwards."""
    context.flag_book.repo = context.requests
    finished(context, "ada/one")
    table = RequestTable(context)
    assert table.rows().flagged == frozenset()
    put_flags(context.redis, KEYS, flag("ada/one"))
    mended = failing(monkeypatch, context.redis, "xrange")
    with pytest.raises(RedisAway):
        table.rows()
    mended()
    assert table.rows().flagged == {0}


def test_who_looks_while_all_is_read_again_neither_waits_nor_reads(
    context: BoardContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a large table is rebuilt in the background, a visitor gets the earlier rows and starts no second read."""
    for number in range(8):
        finished(context, f"ada/m{number}")
    monkeypatch.setattr(module, "MAX_SYNCHRONOUS_ROWS", 4)
    table = RequestTable(context)
    before = models(table)
    context.redis.delete(KEYS.request_changes)
    shown, reads, find, paths = list[set[str]](), list[int](), context.scores.find, context.index.paths

    def looked_at(wanted: Any) -> Any:
        monkeypatch.setattr(context.scores, "find", find)
        shown.append(models(table))
        return find(wanted)

    def counted() -> Iterator[str]:
        reads.append(1)
        return paths()

    monkeypatch.setattr(context.scores, "find", looked_at)
    monkeypatch.setattr(context.index, "paths", counted)
    table._building = True
    table._build_aside()
    assert (shown, len(reads)) == ([before], 1)
    assert models(table) == before


def waiting(context: BoardContext, model: str, **changes: Any) -> None:
    """Store a request that waits for its turn."""
    Index(context.redis, KEYS).put(entry(model, "waiting", "PENDING", attempt="a", **changes))


def test_two_who_look_at_the_queue_at_once_each_see_one_queue(
    context: BoardContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor gets the order of one queue, even if another visitor replaces the stored order meanwhile."""
    waiting(context, "ada/one")
    pages, line = QueueReader(context), take_snapshot(context)
    waiting(context, "ada/two")
    other = take_snapshot(context)

    class Meddled(QueueReader):
        """A reader that lets another visitor read the queue while it computes."""

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "_ordered" and value is not None and value[0] is line:
                pages._in_order(other)
                super().__setattr__("_ordered", pages._ordered)

    turns, _ = Meddled(context)._in_order(line)
    assert [request.path for request in turns] == [request.path for request in line.turns]


@pytest.mark.parametrize(("access", "reason"), [("private", ""), ("public", "ada/secret has no licence.")])
def test_why_a_private_model_is_held_back_is_not_told(context: BoardContext, access: str, reason: str) -> None:
    """The reason of the hold may name the model: pages say only that the request is on hold."""
    hold = Hold(reason="ada/secret has no licence.", by="mia")
    waiting(context, "ada/secret", access=access, hold=hold)
    (held,) = QueueReader(context).queue().held
    assert (held.kind, held.reason, held.by) == ("hold", reason, "mia" if reason else "")


def test_flags_are_read_once_for_each_commit(context: BoardContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The web server reads the flags once for each commit, and shows each change."""
    context.flag_book.repo = context.requests
    flags, reads, read_known = FlagReader(context.flag_book), list[str](), context.flag_book.known

    def counted() -> Any:
        commit, records = read_known()

        def read() -> Any:
            reads.append(commit)
            return records()

        return commit, read

    monkeypatch.setattr(context.flag_book, "known", counted)
    assert flags.all() == []
    put_flags(context.redis, KEYS, flag("ada/one"))
    assert [[record.model for record in flags.of(name)] for name in ("Ada/One", "ada/two")] == [["ada/one"], []]
    assert [record.model for record in flags.all()] == ["ada/one"]
    assert len(reads) == 1
    put_flags(context.redis, KEYS)
    assert (flags.of("ada/one"), len(reads)) == ([], 2)
