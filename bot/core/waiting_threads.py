"""The list of threads that wait for a maintainer, in Redis.

The syncs of threads maintain it, each part of a thread by itself. After Redis was lost it is rebuilt from the open
threads, which are read in turn. So a closed discussion in which something begins to wait is opened again.
"""

from __future__ import annotations

import json
import re
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.core.context import BoardContext, thread_key
from hub.comments import Marker
from hub.records import Repo, Thread
from redis_state.redis import text

DIGEST = "digest"
"""Dirty key of the discussion that lists the threads that wait for a maintainer (`bot.threads.maintainers_list`)."""


Part = Literal["", "appeal", "plan", "pull"]
"""Why a thread waits: a post that needs a person; an appeal against a flag; a plan, or a pull request, to approve."""


class WaitingThread(BaseModel):
    """One thread that waits: since when (seconds since the epoch), and its probable topic.

    `sha` names the plan, or the checked commit, that a maintainer can approve.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str
    url: str
    topic: str
    author: str
    since: float
    sha: str = ""

    @property
    def place(self) -> str:
        """The repo and the number of the thread, `owner/name #7`: titles repeat, as those of pull requests do."""
        match = re.search(r"([^/]+/[^/]+)/discussions/(\d+)$", self.url)
        return f"{match[1]} #{match[2]}" if match else ""

    def merged(self, topic: str, sha: str) -> WaitingThread:
        """This thread with another topic and `sha`."""
        return self.model_copy(update={"topic": topic, "sha": sha})


def note(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    topic: str | None,
    *,
    part: Part = "",
    since: float | None = None,
    sha: str = "",
    author: str = "",
) -> None:
    """Put `thread` on the list because of `part` of it, or remove that part if it does not wait (`topic` None).

    Without an `author` and the time `since` when it waits, those of the thread count. One round trip.
    """
    key = _key(repo, thread.num, part)
    if topic is None:
        context.redis.hdel(context.keys.waiting_threads, key)
        return
    fields = {
        "title": thread.title[:200],
        "url": f"{context.address(repo)}/discussions/{thread.num}",
        "topic": topic,
        "author": author or thread.author_name,
        "since": thread.created_at.timestamp() if since is None else since,
        "sha": sha,
    }
    context.redis.hset(context.keys.waiting_threads, key, json.dumps(fields))


def forget_thread(context: BoardContext, repo: Repo, number: int) -> None:
    """Remove all parts of a thread that is closed or gone. One round trip."""
    context.redis.hdel(context.keys.waiting_threads, *(_key(repo, number, part) for part in get_args(Part)))


def is_noted(context: BoardContext, repo: Repo, number: int) -> bool:
    """Whether the thread waits for an answer to what people wrote. One round trip."""
    return bool(context.redis.hexists(context.keys.waiting_threads, _key(repo, number, "")))


def is_waiting(context: BoardContext, repo: Repo, number: int) -> bool:
    """Whether the thread waits for a maintainer for any reason. One round trip."""
    keys = [_key(repo, number, part) for part in get_args(Part)]
    return any(raw is not None for raw in context.redis.hmget(context.keys.waiting_threads, keys))


def reopen(context: BoardContext, repo: Repo, thread: Thread, marker: Marker) -> bool:
    """Open a closed discussion again for what a person asked for in it; return whether it is open then."""
    if thread.status != "closed" or thread.is_pull_request:
        return thread.status == "open"
    return context.effects.set_status(repo, thread.num, "open", marker, asked=True)


def _key(repo: Repo, number: int, part: Part) -> str:
    return f"{thread_key(repo, number)} {part}".rstrip()


def noted_threads(context: BoardContext) -> dict[str, WaitingThread]:
    """Dirty key and part → thread, the longest waiting first."""
    noted = {text(key): _waiting(raw) for key, raw in context.redis.hgetall(context.keys.waiting_threads).items()}
    readable = ((key, thread) for key, thread in noted.items() if thread is not None)
    return dict(sorted(readable, key=lambda item: item[1].since))


def _waiting(raw: bytes | str) -> WaitingThread | None:
    try:
        return WaitingThread.model_validate_json(raw)
    except ValidationError:
        return None  # stored by another version: the next sync of its thread stores it again
