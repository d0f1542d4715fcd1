"""The sync process: several loops and one timer, and a clean end on SIGTERM."""

from __future__ import annotations

import signal
import threading

import structlog

from bot.desk import Desk
from bot.schedule import Schedule
from bot.settings import BotSettings
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
    desk = Desk(
        board=board,
        suite=find_suite(board.suite),
        hub=Hub(settings.hf_endpoint, settings.token()),
        redis=connect(settings.redis_url),
        now=clock.now,
        mirrors=settings.mirrors,
    )
    desk.ledgers.budget = Commits(hour=settings.commits_per_hour)
    return desk


def run_sync(settings: BotSettings) -> None:
    """Sync until SIGTERM or Ctrl-C; what is under way is finished first."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    desk = open_desk(settings)
    parts: list[SyncLoop | Schedule] = [*(SyncLoop(desk) for _ in range(LOOPS)), Schedule(desk)]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    desk.probe.warm()
    threads = [threading.Thread(target=part.run, name=f"sync-{n}") for n, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    log.info("syncing", board=desk.board.name, hub=settings.hf_endpoint)
    stop.wait()
    for part in parts:
        part.stop()
    for thread in threads:
        thread.join(timeout=8)
    desk.probe.close()
    desk.hub.close()
