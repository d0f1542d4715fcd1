"""The sync process (several sync loops and the scheduler), the scheduler as a process of its own, and their end.

On SIGTERM running syncs have GRACE_SECONDS to finish. Slower ones are abandoned, as by a kill: their key is free again
when its lease expires, and the next sync of the key does the rest.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from bot.backends.connecting import build_platforms
from bot.core.context import BoardContext
from bot.core.metrics_recomputer import MetricsRecomputer, Recompute
from bot.core.mirrors.contents_table import MISSING, can_write
from bot.core.settings import BotSettings, SettingsError
from bot.model_pages.refused_token import try_new_token
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from hub.budget import Commits
from hub.client import Hub
from leaderboard.boards import Board
from leaderboard.model_pages import unknown_columns
from leaderboard.submission_kinds import submission_kinds
from leaderboard.suites import Suite, find_suite
from redis_state import clock
from redis_state.logs import configure_logs
from redis_state.redis import connect
from redis_state.stopping import Stop, stop_on

log = structlog.get_logger()

LOOPS = 4
"""Syncs wait for the Hub most of the time, so one process runs several loops."""
GRACE_SECONDS = 8.0
"""Seconds after the signal in which running syncs may end."""


def open_board_context(settings: BotSettings) -> BoardContext:
    """The context of the board in `settings`. Raises RedisMissing or SettingsError with a message for the operator."""
    board = settings.read_board()
    if board.repos.contents and not can_write():
        raise SettingsError(f"{MISSING} Or take `contents` out of the board file.")
    suite = find_suite(board.suite)
    if unknown := unknown_columns(board.model_pages, suite):
        raise SettingsError(
            f"STEWARD_BOARD={settings.board}: model_pages names {', '.join(unknown)}, which is no benchmark of the "
            f"suite {suite.name}."
        )
    if submission_kinds(board, suite).models and (problem := suite.problem_of_models):
        raise SettingsError(
            f"STEWARD_BOARD={settings.board}: the board takes models, and the suite {suite.name} cannot evaluate them: "
            f"{problem}. Or take predictions alone: `precisions: [predictions]` in the board file."
        )
    context = BoardContext(
        board=board,
        suite=suite,
        hub=Hub(
            settings.hf_endpoint, settings.token(), on_call=lambda _, route: context.meters.count("hub_calls", route)
        ),
        redis=connect(settings.redis_url),
        now=clock.now,
        mirrors=settings.mirrors,
        models_hub=_models_hub(settings, board),
        pages_url=settings.pages_url,
        look_seconds=settings.look_seconds,
    )
    context.ledger.budget.limits = Commits(hour=settings.commits_per_hour)
    context.probe.patience = settings.probe_patience
    return context


def _models_hub(settings: BotSettings, board: Board) -> Hub | None:
    """The client for pull requests on models' repos; None where the board opens none, or no token for them is set."""
    is_set = settings.model_pr_token is not None or settings.model_pr_token_file is not None
    token = settings.models_token(board) if is_set else ""
    return Hub(settings.hf_endpoint, token) if token else None


def run_sync(
    settings: BotSettings, *, timer: bool = True, recompute: Callable[[Suite], Recompute] | None = None
) -> None:
    """Sync until SIGTERM or Ctrl-C. Without `timer`, another process runs the scheduler (`run_schedule`).

    `recompute` makes the function that computes metrics again for a suite, which is used if the settings want it.
    """
    context = open_sync_context(settings, recompute)
    _run_until_signal(context, [*sync_loops(context), *([Schedule(context)] if timer else [])])


def open_sync_context(settings: BotSettings, recompute: Callable[[Suite], Recompute] | None) -> BoardContext:
    """The context of a process that syncs, with all that syncs need. Raises RedisMissing or SettingsError."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    context = open_board_context(settings)
    if recompute is not None and settings.recompute_metrics:
        context.recomputer = MetricsRecomputer(recompute(context.suite))
    context.platforms = build_platforms(settings, context.board)
    settings.models_token(context.board)  # other processes and commands do without it
    try_new_token(context)
    context.probe.warm()
    return context


def sync_loops(context: BoardContext) -> list[SyncLoop]:
    """The loops of one process."""
    return [SyncLoop(context) for _ in range(LOOPS)]


def run_schedule(settings: BotSettings) -> None:
    """Run only the scheduler until SIGTERM or Ctrl-C, for installations that run it apart from the syncs."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    context = open_board_context(settings)
    _run_until_signal(context, [Schedule(context)])


def _run_until_signal(context: BoardContext, parts: Sequence[SyncLoop | Schedule]) -> None:
    stop = stop_on(signal.SIGTERM, signal.SIGINT, within=GRACE_SECONDS + 1.0, say=log.warning)
    run_parts(context, parts, stop)
    os._exit(0)  # the interpreter's own exit would wait for threads, or interrupt them in native code, and is slow


class ProcessPart(Protocol):
    """A part of a process: it runs on a thread of its own until `stop` is called."""

    def run(self) -> None:
        """Run until `stop`."""

    def stop(self) -> None:
        """Stop after the present piece of work."""


def run_parts(context: BoardContext, parts: Sequence[ProcessPart], stop: Stop) -> None:
    """Run each of `parts` on its own thread until `stop`; close the connections if all ended within GRACE_SECONDS."""
    if not _run(context, parts, stop):
        return
    context.probe.close()
    context.hub.close()
    if context.models_hub is not None:
        context.models_hub.close()


def _run(context: BoardContext, parts: Sequence[ProcessPart], stop: Stop) -> bool:
    """Run each of `parts` on its own thread until `stop`. Return whether all ended within GRACE_SECONDS after it."""
    threads = [threading.Thread(target=part.run, name=f"part-{n}", daemon=True) for n, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    log.info(
        "running", board=context.board.name, hub=context.hub.session.endpoint, parts=[type(p).__name__ for p in parts]
    )
    stop.wait()
    for part in parts:
        part.stop()
    deadline = time.monotonic() + GRACE_SECONDS
    for thread in threads:
        thread.join(timeout=max(0.0, deadline - time.monotonic()))
    late = [thread.name for thread in threads if thread.is_alive()]
    if late:
        log.warning("abandoning running syncs", parts=late)
    return not late
