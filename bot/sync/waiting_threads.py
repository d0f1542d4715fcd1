"""Threads that wait for a maintainer: a list, and once a day the same list in a thread of its own.

The list is kept by the syncs of threads and can be made again from the open ones, which are looked through in turn. The
digest is one discussion of ours whose opening post is edited, so that it notifies nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bot.desk import Desk, thread_key
from bot.sync.own_threads import find_own
from bot.texts.render import render
from bot.texts.times import when
from hub.records import Repo, Thread
from leaderboard.triage import Topic
from wire.redis import text

DIGEST = "digest"
DAY = 86_400.0
TITLE = "Threads that wait for a maintainer"
MOST = 100


@dataclass(frozen=True)
class WaitingThread:
    """One thread that waits: since when (seconds since the epoch), and what it seems to be about."""

    title: str
    url: str
    topic: str
    author: str
    since: float


def note(desk: Desk, repo: Repo, thread: Thread, topic: Topic | None) -> None:
    """Put `thread` on the list, or take it off where it waits for nobody (`topic` None). One round trip."""
    key = thread_key(repo, thread.num)
    if topic is None:
        desk.redis.hdel(desk.keys.waiting_threads, key)
        return
    fields = {
        "title": thread.title[:200],
        "url": f"{desk.address(repo)}/discussions/{thread.num}",
        "topic": topic.value,
        "author": thread.author_name,
        "since": thread.created_at.timestamp(),
    }
    desk.redis.hset(desk.keys.waiting_threads, key, json.dumps(fields))


def waiting_threads(desk: Desk) -> list[WaitingThread]:
    """Those that wait, the longest first."""
    found = [WaitingThread(**json.loads(text(raw))) for raw in desk.redis.hvals(desk.keys.waiting_threads)]
    return sorted(found, key=lambda one: one.since)


def sync_digest(desk: Desk) -> float | None:
    """Have the digest say what waits; opened when something waits for the first time. Two or three calls a day."""
    waiting, now = waiting_threads(desk), desk.now()
    marker = desk.marker(DIGEST, "maintainers")
    body = render("digest", waiting=waiting[:MOST], more=max(0, len(waiting) - MOST), when=when, now=now)
    place = find_own(desk, TITLE, marker, "")
    if place is not None:
        number, comment = place
        desk.effects.edit_comment(desk.requests, number, comment.id, body, marker, seen=comment.text)
    elif waiting:
        desk.effects.open_thread(desk.requests, TITLE, body, marker)
    return None
