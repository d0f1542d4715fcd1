"""The list of threads that wait for a maintainer, in Redis.

The syncs of threads maintain it. After Redis was lost it is rebuilt from the open threads, which are read in turn.
"""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.core.context import BoardContext, thread_key
from hub.records import Repo, Thread
from leaderboard.triage import Topic
from redis_state.redis import text

DIGEST = "digest"
"""Dirty key of the discussion that lists the threads that wait for a maintainer (`bot.threads.maintainers_list`)."""


class WaitingThread(BaseModel):
    """One thread that waits: since when (seconds since the epoch), and its probable topic."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str
    url: str
    topic: str
    author: str
    since: float


def note(context: BoardContext, repo: Repo, thread: Thread, topic: Topic | None) -> None:
    """Put `thread` on the list, or remove it if it does not wait (`topic` None). One round trip."""
    key = thread_key(repo, thread.num)
    if topic is None:
        context.redis.hdel(context.keys.waiting_threads, key)
        return
    fields = {
        "title": thread.title[:200],
        "url": f"{context.address(repo)}/discussions/{thread.num}",
        "topic": topic.value,
        "author": thread.author_name,
        "since": thread.created_at.timestamp(),
    }
    context.redis.hset(context.keys.waiting_threads, key, json.dumps(fields))


def noted_threads(context: BoardContext) -> dict[str, WaitingThread]:
    """Dirty key → thread, the longest waiting first."""
    noted = {text(key): _waiting(raw) for key, raw in context.redis.hgetall(context.keys.waiting_threads).items()}
    readable = ((key, thread) for key, thread in noted.items() if thread is not None)
    return dict(sorted(readable, key=lambda item: item[1].since))


def _waiting(raw: bytes | str) -> WaitingThread | None:
    try:
        return WaitingThread.model_validate_json(raw)
    except ValidationError:
        return None  # stored by another version: the next sync of its thread stores it again
