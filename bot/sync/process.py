"""The processes that sync: several loops and one timer, or the timer apart, and a clean end on SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence

import structlog

from bot.contents import MISSING, can_write
from bot.desk import Desk
from bot.schedule import Schedule
from bot.settings import BotSettings, SettingsError
from bot.sync.loop import SyncLoop
from hub.budget import Commits
from hub.client import Hub
from leaderboard.suites import find_suite
from wire import clock
from wire.logs import configure_logs
from wire.redis import connect

log = structlog.get_logger()

LOOPS = 4
"""Syncs wait for the Hub most of the time, so one process holds several of them."""


def open_desk(settings: BotSettings) -> Desk:
    """The desk that `settings` describe. Raises RedisMissing or SettingsError with a sentence for the operator."""
    board = settings.read_board()
    if board.repos.contents and not can_write():
        raise SettingsError(f"{MISSING} Or take `contents` out of the board file.")
    desk = Desk(
        board=board,
        suite=find_suite(board.suite),
        hub=Hub(settings.hf_endpoint, settings.token(), on_call=lambda _, route: desk.meters.count("hub_calls", route)),
        redis=connect(settings.redis_url),
        now=clock.now,
        mirrors=settings.mirrors,
    )
    desk.ledgers.budget = Commits(hour=settings.commits_per_hour)
    return desk


def run_sync(settings: BotSettings, *, timer: bool = True) -> None:
    """Sync until SIGTERM or Ctrl-C; what is under way is finished first. Without `timer`, `run_schedule` keeps it."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    desk = open_desk(settings)
    desk.probe.warm()
    try:
        _run(desk, [*(SyncLoop(desk) for _ in range(LOOPS)), *([Schedule(desk)] if timer else [])])
    finally:
        desk.probe.close()
        desk.hub.close()


def run_schedule(settings: BotSettings) -> None:
    """Keep the timer until SIGTERM or Ctrl-C, and nothing else: for those who run it apart from the syncs."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    desk = open_desk(settings)
    try:
        _run(desk, [Schedule(desk)])
    finally:
        desk.hub.close()


def _run(desk: Desk, parts: Sequence[SyncLoop | Schedule]) -> None:
    """Each of `parts` on a thread of its own, until a signal comes."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=part.run, name=f"part-{n}") for n, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    log.info("running", board=desk.board.name, hub=desk.hub.session.endpoint, parts=[type(p).__name__ for p in parts])
    stop.wait()
    for part in parts:
        part.stop()
    for thread in threads:
        thread.join(timeout=8)
