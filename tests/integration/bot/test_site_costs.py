"""What a page costs in round trips to Redis: as many on a large board as on a small one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from redis.connection import Connection

from bot.core.context import BoardContext
from bot.web.board import BoardReader
from bot.web.page import NoQuery
from bot.web.pages.requests import RequestQuery, SearchQuery, history, search
from bot.web.pages.workers import workers
from bot.web.site import PAGES
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from redis_state import clock
from redis_state.attempts import LOST, AttemptProgress, Attempts
from redis_state.board.index import Index
from redis_state.board.pauses import Pauses
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.keys import Keys
from steward.testing.board import BOARD
from tests.support.board.seeded_board import entry, path_of

KEYS = Keys("demo")
LISTS = [page for page in PAGES if "{" not in page.path]
VIEWS: dict[str, Callable[[BoardReader], object]] = {
    **{page.path: lambda views, page=page: page.read(views, page.query()) for page in LISTS},
    "queue.json": lambda views: views.pages.whole_queue(limit=25),
    "one": lambda views: history(views, RequestQuery(path_of("run/0"))),
    "old": lambda views: search(views, SearchQuery(q="old")),
    "api": lambda views: views.pages.requests(status="FAILED", limit=25),
}


@pytest.fixture
def views(connection: redis.Redis) -> Iterator[BoardReader]:
    """A reader of an empty board, as the pages use it."""
    hub = Hub("http://127.0.0.1:9", None)
    yield BoardReader(
        BoardContext(board=parse_board(BOARD), suite=find_suite("starter"), hub=hub, redis=connection, now=clock.now)
    )
    hub.close()


def fill(connection: redis.Redis, count: int) -> None:
    """Put `count` running requests with their workers, and as many of each other kind, into Redis."""
    index, attempts, workers = Index(connection, KEYS), Attempts(connection, KEYS), WorkerRegistry(connection, KEYS)
    now = clock.now()
    Pauses(connection, KEYS).learn("1", b'{"tier:large": {"reason": "The cluster moves."}}')
    for number in range(count):
        running = entry(f"run/{number}", "running", "RUNNING", attempt=f"{number:012x}-deadbeef-1")
        waiting = entry(f"wait/{number}", "waiting", "PENDING", attempt=f"{number:012x}-deadbeef-2")
        held = entry(f"held/{number}", "waiting", "PENDING", attempt=f"{number:012x}-deadbeef-3", tier="large")
        old = entry(f"old/{number}", "foreign", "FAILED", old=True)
        index.put(running, waiting, held, old, entry(f"end/{number}", "settled", "FAILED"))
        attempt, worker, progress = running.attempt or "", f"w{number:02}", AttemptProgress("evaluate", number, 100)
        attempts.take(attempt, running.path, worker, now=now)
        attempts.beat(attempt, progress, now=now, worker=worker, path=running.path)
        card = WorkerCard(
            name=f"w{number:02}", tiers=("all",), since=now, beat=now + 19 * LOST, doing=running.attempt or ""
        )
        workers.announce(card)


def test_no_page_asks_once_for_each_row(
    views: BoardReader, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every page takes as many round trips to Redis for 15 requests of each kind as for 5."""
    sent, send = list[int](), Connection.send_packed_command

    def counted(self: Connection, command: object, check_health: bool = True) -> None:
        sent.append(1)
        send(self, command, check_health)

    monkeypatch.setattr(Connection, "send_packed_command", counted)

    def trips() -> dict[str, int]:
        by_page = {}
        for name, look in VIEWS.items():
            look(views)
            sent.clear()
            look(views)
            by_page[name] = len(sent)
        return by_page

    fill(connection, 5)
    few = trips()
    fill(connection, 15)
    assert trips() == few
    assert len(workers(views, NoQuery()).workers) == 15
    assert {request.reason for request in views.pages.queue().held} == {"The cluster moves."}
    assert len(search(views, SearchQuery(q="old")).requests) == 15
    assert workers(views, NoQuery()).workers[3].request.progress.done == 3  # type: ignore[union-attr]
    assert max(few.values()) <= 21, few
