"""Durations of evaluations, learned from the newest results after Redis was lost: one call and a few reads.

Only Steward's own results count, because others were made on other machines.
"""

from __future__ import annotations

import structlog
from pydantic import ValidationError

from bot.core.context import BoardContext
from bot.ledger.edits import paths_in
from hub.errors import NotFound, TooLarge
from leaderboard.results import MAX_BYTES, parse_harness
from leaderboard.scores import BadResults
from leaderboard.steward_block import BLOCK, StewardBlock
from leaderboard.tiers import size_class, weight_bytes
from leaderboard.times import read_time
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

DURATIONS = "durations"
"""Dirty key: requests wait, and the durations of evaluations are unknown."""
MAX_COMMITS, MAX_FILES = 50, 20
"""Newest commits and newest results that are read."""
RETRY_SECONDS = 3_600.0
"""Time until the next try if there were no results yet."""


def ask_for_durations(context: BoardContext) -> None:
    """Mark DURATIONS, at most once in RETRY_SECONDS."""
    last = context.redis.hget(context.keys.rounds, DURATIONS)
    if last is not None and 0 <= context.now() - float(last) < RETRY_SECONDS:
        return
    context.redis.hset(context.keys.rounds, DURATIONS, context.now())
    context.mark(DURATIONS, SyncPriority.BACKGROUND)


def sync_durations(context: BoardContext) -> None:
    """Learn durations from the newest results, unless one was measured meanwhile."""
    if context.measures.durations().measured:
        return
    durations = [duration for path in _newest(context) if (duration := _read(context, path)) is not None]
    for suite, size, seconds in reversed(durations):
        context.measures.learn(suite, size, seconds)
    log.info("durations learned from results", count=len(durations))


def _newest(context: BoardContext) -> list[str]:
    """Paths of the newest results files, newest first."""
    try:
        commits = context.hub.commits(context.results, limit=MAX_COMMITS)
    except NotFound:
        return []
    paths = (path for commit in commits for path in reversed(paths_in(commit.message, "results ")))
    return list(dict.fromkeys(paths))[:MAX_FILES]


def _read(context: BoardContext, path: str) -> tuple[str, int, float] | None:
    """Suite, size class and seconds of an evaluation; None if the file lacks one, or an earlier attempt did a part."""
    try:
        data = parse_harness(context.hub.read_file(context.results, path, max_bytes=MAX_BYTES).data)
        block = StewardBlock.model_validate(data.get(BLOCK))
    except (NotFound, TooLarge, BadResults, ValidationError) as error:
        log.warning("no duration in these results", path=path, error=str(error)[:200])
        return None
    started, ended = read_time(block.started), read_time(block.ended)
    if started is None or ended is None or block.replayed or not 0 < ended - started < 30 * 86_400:
        return None
    config = data.get("config")
    parameters = config.get("model_num_parameters") if isinstance(config, dict) else None
    size = weight_bytes(parameters if isinstance(parameters, int) else None, block.precision)
    return block.suite, size_class(size), ended - started
