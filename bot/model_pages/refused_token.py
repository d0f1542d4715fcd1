"""Reports that the Hub does not accept the token for models' pages, which is not the bot's own.

Only the pull requests on models' repos need this token, so everything else goes on. Redis holds since when it is
refused, for the maintainers' list, until a call with it succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

from bot.core.context import BoardContext
from hub.client import Hub
from hub.errors import BadToken, HubError

log = structlog.get_logger()

SINCE, LAST = "models_token_refused", "models_token_refused_last"
"""Fields of `hub_state`: when the Hub refused the token first, and last."""
RETRY_SECONDS = 3_600.0
"""Time after a refusal in which no sync of a model's page tries the token again."""


class ModelsTokenRefused(HubError):
    """The Hub does not accept the token for models' pages."""


@contextmanager
def refusal_noted(context: BoardContext, hub: Hub) -> Iterator[None]:
    """Raise ModelsTokenRefused, and note it, where the Hub does not accept the token of `hub`.

    A BadToken that is about the bot's own token is raised unchanged. One call finds out which token was refused.
    """
    try:
        yield
    except BadToken:
        refusal = _refusal_of(hub)
        if refusal is None:
            raise
        context.redis.hsetnx(context.keys.hub_state, SINCE, context.now())
        context.redis.hset(context.keys.hub_state, LAST, context.now())
        log.error("the Hub does not accept STEWARD_MODEL_PR_TOKEN", error=str(refusal))
        raise ModelsTokenRefused(str(refusal), status=refusal.status) from refusal


def _refusal_of(hub: Hub) -> BadToken | None:
    try:
        hub.whoami()
    except BadToken as error:
        return error
    return None


def note_accepted(context: BoardContext) -> None:
    """Note that the Hub accepts the token."""
    context.redis.hdel(context.keys.hub_state, SINCE, LAST)


def try_new_token(context: BoardContext) -> None:
    """If the Hub refused the token, try the one with which this process starts: it may have been replaced.

    One call then, and none otherwise. The next sync of a model's page tries the token, too, but up to an hour later.
    """
    if context.models_hub is None or refused_since(context) is None:
        return
    with suppress(HubError):  # the Hub is away: it does not say whether it accepts the token
        if _refusal_of(context.models_hub) is None:
            note_accepted(context)


def next_try(context: BoardContext) -> float | None:
    """When the syncs of models' pages try the token again; None if they may now: there can be thousands of them."""
    last = float(context.redis.hget(context.keys.hub_state, LAST) or 0)
    return last + RETRY_SECONDS if 0 <= context.now() - last < RETRY_SECONDS else None


def refused_since(context: BoardContext) -> float | None:
    """The time since which the Hub refuses the token; None if it accepts it, or the board needs none."""
    since = context.redis.hget(context.keys.hub_state, SINCE) if context.board.model_pages else None
    return float(since) if since is not None else None
