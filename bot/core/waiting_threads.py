"""Threads that wait for a maintainer: a list, and once a day the same list in a thread of its own.

The list is kept by the syncs of threads and can be made again from the open ones, which are looked through in turn. The
digest is one discussion of ours whose opening post is edited, so that it notifies nobody. Only that a suite was paused
because of an outbreak is worth a comment there, one for each pause: nothing of it runs until a maintainer has looked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.core.context import BoardContext, thread_key
from bot.core.own_threads import find_own
from bot.core.relative_times import when
from bot.core.render import render
from bot.flags.reports import reports
from hub.records import Repo, Thread
from leaderboard.holds import Hold
from leaderboard.outbreaks import suites_paused_by_outbreak
from leaderboard.times import read_time
from leaderboard.triage import Topic, triage
from redis_state.redis import text

DIGEST = "digest"
DAY = 86_400.0
TITLE = "Threads that wait for a maintainer"
MOST = 100


class WaitingThread(BaseModel):
    """One thread that waits: since when (seconds since the epoch), and what it seems to be about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str
    url: str
    topic: str
    author: str
    since: float


def note(context: BoardContext, repo: Repo, thread: Thread, topic: Topic | None) -> None:
    """Put `thread` on the list, or take it off where it waits for nobody (`topic` None). One round trip."""
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


def waiting_threads(context: BoardContext) -> list[WaitingThread]:
    """Those that wait, the longest first; of the discussions that report one model, the first."""
    noted = {text(key): _waiting(raw) for key, raw in context.redis.hgetall(context.keys.waiting_threads).items()}
    there = ((key, one) for key, one in noted.items() if one is not None)
    found = dict(sorted(there, key=lambda it: it[1].since))
    further = _further(context, found)
    return [one for key, one in found.items() if key not in further]


def _further(context: BoardContext, found: Mapping[str, WaitingThread]) -> set[str]:
    """The discussions that report nothing but what an earlier one on the list reports, too. Only the title makes one of
    these: what a stranger reports by a command takes no other matter off the list."""
    first, several = set[str](), set[str]()
    titled = [key for key, one in found.items() if triage(one.title, "").topic is Topic.FLAG]
    for report in reports(context):
        about = [key for key in titled if key in report.threads]
        first.update(about[:1])
        several.update(about)
    return several - first


def _waiting(raw: bytes | str) -> WaitingThread | None:
    try:
        return WaitingThread.model_validate_json(raw)
    except ValidationError:
        return None  # noted by another version: the next look at its thread notes it anew


def sync_digest(context: BoardContext) -> float | None:
    """Have the digest say what waits, and tell there of every outbreak that nobody was told of.

    It is opened when there is something to say for the first time. Two or three calls a day, and one more for each
    outbreak as long as its pause lasts.
    """
    waiting, outbreaks, now = waiting_threads(context), suites_paused_by_outbreak(context.pauses.all()), context.now()
    marker = context.marker(DIGEST, "maintainers")
    body = render("digest", waiting=waiting[:MOST], more=max(0, len(waiting) - MOST), when=when, now=now)
    place, number = find_own(context, TITLE, marker, ""), None
    if place is not None:
        number, comment = place
        context.effects.edit_comment(context.requests, number, comment.id, body, marker, seen=comment.text)
    elif waiting or outbreaks:
        number = context.effects.open_thread(context.requests, TITLE, body, marker)
    if number is not None:
        for name, hold in sorted(outbreaks.items()):
            _tell(context, number, name, hold)
    return None


def _tell(context: BoardContext, number: int, name: str, hold: Hold) -> None:
    """Say in the digest's thread that the suite `name` is paused, once for this pause."""
    body = render(
        "outbreak", name=name, hold=hold, at=read_time(hold.at) or context.now(), when=when, now=context.now()
    )
    context.effects.comment(context.requests, number, body, context.marker("outbreak", f"{name} {hold.at}"))
