"""The processes that sync: several loops and one timer, or the timer apart, and their end on SIGTERM.

What is under way then is finished within GRACE seconds, or let go of, which is as good as a kill: its key is free again
once its lease has lapsed, and whoever syncs it next finds what was done.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence

import structlog

from bot.core.context import BoardContext
from bot.core.mirrors.contents_table import MISSING, can_write
from bot.core.settings import BotSettings, SettingsError
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from hub.budget import Commits
from hub.client import Hub
from leaderboard.suites import find_suite
from redis_state import clock
from redis_state.logs import configure_logs
from redis_state.redis import connect
from redis_state.stopping import Stop, stop_on

log = structlog.get_logger()

LOOPS = 4
"""Syncs wait for the Hub most of the time, so one process holds several of them."""
GRACE = 8.0
"""Seconds that what is under way has to end in, all of it together."""


def open_board_context(settings: BotSettings) -> BoardContext:
    """The desk that `settings` describe. Raises RedisMissing or SettingsError with a sentence for the operator."""
    board = settings.read_board()
    if board.repos.contents and not can_write():
        raise SettingsError(f"{MISSING} Or take `contents` out of the board file.")
    context = BoardContext(
        board=board,
        suite=find_suite(board.suite),
        hub=Hub(
            settings.hf_endpoint, settings.token(), on_call=lambda _, route: context.meters.count("hub_calls", route)
        ),
        redis=connect(settings.redis_url),
        now=clock.now,
        mirrors=settings.mirrors,
    )
    context.ledgers.budget = Commits(hour=settings.commits_per_hour)
    context.probe.patience = settings.probe_patience
    return context


def run_sync(settings: BotSettings, *, timer: bool = True) -> None:
    """Sync until SIGTERM or Ctrl-C. Without `timer`, `run_schedule` keeps it."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    context = open_board_context(settings)
    context.probe.warm()
    loops = [SyncLoop(context) for _ in range(LOOPS)]
    _run_until_told(context, [*loops, *([Schedule(context)] if timer else [])])


def run_schedule(settings: BotSettings) -> None:
    """Keep the timer until SIGTERM or Ctrl-C, and nothing else: for those who run it apart from the syncs."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    context = open_board_context(settings)
    _run_until_told(context, [Schedule(context)])


def _run_until_told(context: BoardContext, parts: Sequence[SyncLoop | Schedule]) -> None:
    stop = stop_on(signal.SIGTERM, signal.SIGINT, within=GRACE + 1.0, say=log.warning)
    if _run(context, parts, stop):
        context.probe.close()
        context.hub.close()
    os._exit(0)  # Python's own end waits for threads, or breaks them off in what is no Python, and takes its time


def _run(context: BoardContext, parts: Sequence[SyncLoop | Schedule], stop: Stop) -> bool:
    """Each of `parts` on a thread of its own, until `stop`; whether all of them ended within GRACE seconds then."""
    threads = [threading.Thread(target=part.run, name=f"part-{n}", daemon=True) for n, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    log.info(
        "running", board=context.board.name, hub=context.hub.session.endpoint, parts=[type(p).__name__ for p in parts]
    )
    stop.wait()
    for part in parts:
        part.stop()
    until = time.monotonic() + GRACE
    for thread in threads:
        thread.join(timeout=max(0.0, until - time.monotonic()))
    late = [thread.name for thread in threads if thread.is_alive()]
    if late:
        log.warning("let go of what is under way", parts=late)
    return not late
