"""Where log and outcome of an attempt are stored, and whether everybody can open the log there.

A public logs repo holds the logs of public models. Those of gated and private models, and all logs of a suite with
secret questions, go to a second, private repo, `{logs}-private`, which the bot creates when it is missing. A logs repo
that is private itself holds all logs.

The web server has no token, so the syncs store in Redis whether the logs repo is public.
"""

from __future__ import annotations

import time

import structlog
from pydantic import ValidationError

from bot.core.context import VISIBILITY_CACHE_SECONDS, BoardContext
from hub.errors import Denied, NotFound, TooLarge
from hub.records import Repo
from leaderboard.attempts import Outcome
from leaderboard.effects import Effect
from leaderboard.steward_facts import Access
from redis_state.shadowed_writes import ShadowedWrite

log = structlog.get_logger()

MAX_OUTCOME = 200_000


def logs_repo(context: BoardContext, access: Access) -> Repo:
    """The repo for the logs of a model with this access. One call every VISIBILITY_CACHE_SECONDS."""
    holds_all = context.is_logs_repo_private()
    is_open = access == "public" and not context.suite.restricted
    return context.logs if holds_all or is_open else context.private_logs


def may_store_logs(context: BoardContext, repo: Repo) -> bool:
    """Whether the bot may store a log in `repo`. The private logs repo is created if it is missing.

    If a public repo has its name, the bot stores no log in it.
    """
    if repo != context.private_logs:
        return True
    known = context.private_logs_ready
    if known is None or time.monotonic() - known[1] > VISIBILITY_CACHE_SECONDS:
        known = context.private_logs_ready = (_is_ready(context), time.monotonic())
    return known[0]


def _is_ready(context: BoardContext) -> bool:
    repo = context.private_logs
    try:
        return context.hub.is_private(repo)
    except NotFound:
        pass
    does = "Create it, private, for the logs of gated and private models"
    if not context.effects.allows(ShadowedWrite(id="private logs", effect=Effect.EDIT, repo=repo.id, does=does)):
        return False
    try:
        context.hub.create_repo(repo, private=True)
    except Denied as error:
        log.warning("private logs repo not created", repo=repo.id, error=str(error))
        return False
    return context.hub.is_private(repo)


def stored_outcome(context: BoardContext, repo: Repo, model: str, attempt: str) -> Outcome | None:
    """The outcome of an attempt in a logs repo, where the bot alone writes; None where there is none, or an unreadable
    one. One call, and another one if there is none."""
    try:
        file = context.hub.find_file(repo, f"{model}/{attempt}/outcome.json", max_bytes=MAX_OUTCOME)
        return Outcome.model_validate_json(file.data) if file is not None else None
    except (NotFound, TooLarge, ValidationError):
        return None


def public_log(context: BoardContext, url: str) -> str:
    """`url` if everybody can open this log, or if it is outside the board's logs repos; else "". One round trip to
    Redis."""
    if url.startswith(f"{context.address(context.private_logs)}/"):
        return ""
    return url if not url.startswith(f"{context.address(context.logs)}/") or context.has_public_logs() else ""
