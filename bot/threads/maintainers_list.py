"""The digest: a discussion that lists everything that waits for a maintainer, edited in place.

It is compared every LOOK_SECONDS with what waits, without a call to the Hub if nothing has changed, and edited at most
once in EDIT_SECONDS. Once a day it is compared with the Hub's text too, in case a person changed it. An edit of the
opening post sends no notifications. Only the pause of a suite because of an outbreak, and a worker that was set aside,
get a comment, one for each, because evaluations wait until a maintainer acts.

The bot knows which discussions wait once it has read the open ones. So after Redis was lost, the list stays as it is
until then, at most for MAX_UNREAD_SECONDS.

Race closed: the bot dies between an edit and storing that. The next sync finds the same text on the Hub.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import NamedTuple

from bot.core.context import BoardContext, thread_of
from bot.core.own_threads import find_own
from bot.core.relative_times import stamp, when
from bot.core.render import render
from bot.core.waiting_threads import DIGEST, WaitingThread, noted_threads
from bot.core.watched_repos import thread_repos
from bot.flags.reports import reports
from bot.model_pages.refused_token import refused_since
from bot.threads.threads import next_page
from hub.comments import Marker
from leaderboard.idleness import AWAKE_SECONDS
from leaderboard.outbreaks import suites_paused_by_outbreak
from leaderboard.times import read_time
from leaderboard.triage import Topic, triage
from leaderboard.waiting_items import (
    WaitingItem,
    backend_item,
    listed_items,
    parked_item,
    paused_item,
    refused_item,
    set_aside_item,
    thread_actions,
    token_item,
)
from redis_state.parking import ParkedSync
from redis_state.redis import Fields, text
from redis_state.set_aside import names_of

DAY_SECONDS = 86_400.0
LOOK_SECONDS, EDIT_SECONDS = 60.0, 600.0
"""Seconds between two comparisons with what waits, and at least between two edits."""
READ_SECONDS, MAX_UNREAD_SECONDS = 2.0, 3_600.0
"""After Redis was lost: seconds between two checks whether the open discussions were read, and seconds after which the
list is edited all the same."""
MAX_DUE = 10_000
"""Dirty keys of each priority among which keys of discussions are searched."""
TITLE = "Threads that wait for a maintainer"
_REQUEST, _THREAD = "request", "thread"


def waiting_threads(context: BoardContext) -> list[WaitingThread]:
    """The threads that wait, the longest first; of several discussions that report one model, only the first.

    A thread that waits for several reasons is listed once, since the first of them, with a topic that names one.
    """
    noted = noted_threads(context)
    repeated = _repeated_reports(context, noted)
    by_url = dict[str, WaitingThread]()
    for key, thread in noted.items():
        if key not in repeated:
            first = by_url.setdefault(thread.url, thread)
            topic = thread.topic if first.topic == Topic.OTHER else first.topic
            by_url[thread.url] = first.merged(topic, first.sha or thread.sha)
    return list(by_url.values())


def _repeated_reports(context: BoardContext, noted: Mapping[str, WaitingThread]) -> set[str]:
    """Keys of the discussions that only report a model which an earlier one on the list reports. Only the title counts:
    a report that any person makes by a command in a discussion about something else does not take it off the list."""
    first, several = set[str](), set[str]()
    titled = [key for key, thread in noted.items() if triage(thread.title, "").topic is Topic.FLAG]
    for report in reports(context):
        same_report = [key for key in titled if key in report.threads]
        first.update(same_report[:1])
        several.update(same_report)
    return several - first


# --- what waits


def waiting_items(context: BoardContext) -> list[WaitingItem]:
    """Everything that waits for a maintainer. A few round trips to Redis, no call to the Hub."""
    alive = {name for card in context.workers.alive(now=context.now()) for name in names_of(card)}
    token_since = refused_since(context)
    return [
        *map(_thread_item, waiting_threads(context)),
        *_parked_items(context),
        *(
            refused_item(refused.worker, since=min(refused.at, context.now()))  # workers write it
            for refused in context.accepted_digests.waiting()
            if refused.worker in alive
        ),
        *(set_aside_item(aside.worker, since=aside.at) for aside in context.set_aside.all() if aside.worker in alive),
        *(
            paused_item(name, since=read_time(hold.at) or 0.0)
            for name, hold in suites_paused_by_outbreak(context.pauses.all()).items()
        ),
        *(backend_item(trouble) for trouble in context.backend_runs.troubles() if trouble.is_told(context.now())),
        *([token_item("STEWARD_MODEL_PR_TOKEN", since=token_since)] if token_since is not None else []),
    ]


def _thread_item(thread: WaitingThread) -> WaitingItem:
    return WaitingItem(
        topic=thread.topic,
        title=thread.title,
        since=thread.since,
        actions=thread_actions(thread.topic, thread.sha),
        url=thread.url,
        place=thread.place,
        author=thread.author,
    )


def _parked_items(context: BoardContext) -> list[WaitingItem]:
    """The parked syncs. Their errors are for maintainers alone, and so are the names of models that are not public."""
    syncs = context.parking.all()
    paths = [sync.key.partition(":")[2] for sync in syncs]
    entries = dict(zip(paths, context.index.find(paths), strict=True))
    public = {path for path, entry in entries.items() if entry is not None and entry.standing.access == "public"}
    return [_parked_item(context, sync, public) for sync in syncs]


def _parked_item(context: BoardContext, sync: ParkedSync, public: set[str]) -> WaitingItem:
    kind, _, subject = sync.key.partition(":")
    if kind == _REQUEST and subject in public:
        return parked_item(title=subject, since=sync.since, url=context.address(context.requests, subject))
    if kind == _THREAD and (thread := thread_of(subject)) is not None and thread[0] in thread_repos(context):
        repo, number = thread
        url = f"{context.address(repo)}/discussions/{number}"
        return parked_item(title=f"{repo.id} #{number}", since=sync.since, url=url)
    return parked_item(title=kind, since=sync.since)


# --- the discussion


class _Shown(NamedTuple):
    """The state of the list on the Hub: a hash of its text, its announcements, and the time of the last edit."""

    digest: str = ""
    announced: str = ""
    at: float = 0.0


def sync_digest(context: BoardContext) -> float | None:
    """Bring the digest up to date, and announce in its thread each outbreak, and each worker that was set aside.

    The digest is opened when the first thing waits. No call if it shows what waits; else two or three, and one more for
    each outbreak while its pause lasts, and for each worker that is set aside. Returns when to edit it if it was edited
    a moment ago, or if the open discussions are not read yet.
    """
    announcements, now, shown = _announcements(context), context.now(), _shown(context)
    if not shown.digest and _waits_for_threads(context):
        return now + READ_SECONDS
    listed, more = listed_items(waiting_items(context))
    body = render("digest", waiting=listed, more=more, stamp=stamp)
    wanted = _wanted(context, body, announcements)
    if wanted.digest == shown.digest:
        return None
    is_due = not 0 <= now - shown.at < EDIT_SECONDS or wanted.announced != shown.announced
    if not is_due:
        return shown.at + EDIT_SECONDS
    number = _write(context, body, is_needed=bool(listed or announcements))
    if number is not None:
        for marker, comment in announcements.items():
            context.effects.comment(context.requests, number, comment, marker)
    fields: Fields = dict(wanted._asdict())
    context.redis.hset(context.keys.maintainers_list, mapping=fields)
    return None


def hasten_edit(context: BoardContext) -> None:
    """Let an edit that waits for EDIT_SECONDS be made at once, because this process ends before."""
    if any(context.dirty.marked([DIGEST])) and context.redis.hdel(context.keys.maintainers_list, "at"):
        context.mark(DIGEST)


def _waits_for_threads(context: BoardContext) -> bool:
    """Whether the list has to wait until the open discussions are read; stores since when it waits."""
    if _are_threads_read(context):
        return False
    key, now = context.keys.maintainers_list, context.now()
    context.redis.hsetnx(key, "unread", now)
    return 0 <= now - float(context.redis.hget(key, "unread") or now) < MAX_UNREAD_SECONDS


def _are_threads_read(context: BoardContext) -> bool:
    """Whether no page of open discussions is left to read, and no sync of a discussion is due soon."""
    due = context.dirty.pending(until=context.now() + AWAKE_SECONDS, limit=MAX_DUE)
    is_due = len(due) >= MAX_DUE or any(key.startswith("thread") for key in (*due, *context.dirty.leased()))
    return not is_due and not any(next_page(context, repo) for repo in thread_repos(context))


def _announcements(context: BoardContext) -> dict[Marker, str]:
    """Comments for the digest's thread, by their markers: of each outbreak's pause, and each worker set aside."""
    now, comments = context.now(), dict[Marker, str]()
    for name, hold in sorted(suites_paused_by_outbreak(context.pauses.all()).items()):
        body = render("outbreak", name=name, hold=hold, at=read_time(hold.at) or now, when=when, now=now)
        comments[context.marker("outbreak", f"{name} {hold.at}")] = body
    for worker in context.set_aside.all():
        body = render("worker_set_aside", aside=worker, when=when, now=now)
        comments[context.marker("set-aside", f"{worker.worker} {worker.attempt}")] = body
    return comments


def _shown(context: BoardContext) -> _Shown:
    fields = context.redis.hmget(context.keys.maintainers_list, _Shown._fields)
    digest, announced, at = (text(value or b"") for value in fields)
    return _Shown(digest, announced, float(at or 0))


def _wanted(context: BoardContext, body: str, announcements: Collection[Marker]) -> _Shown:
    """The state that the digest should have. Its hash differs on another day, and with other effects of the board."""
    now, announced = context.now(), json.dumps(sorted(marker.key for marker in announcements))
    parts = json.dumps([body, announced, context.effects.words(), int(now // DAY_SECONDS)])
    return _Shown(sha256(parts.encode()).hexdigest(), announced, now)


def _write(context: BoardContext, body: str, *, is_needed: bool) -> int | None:
    """Edit the digest, or open it if it `is_needed`; return its number, None if there is none."""
    marker = context.marker(DIGEST, "maintainers")
    place = find_own(context, TITLE, marker, "")
    if place is not None:
        number, comment = place
        context.effects.edit_comment(context.requests, number, comment.id, body, marker, seen=comment.text)
        return number
    return context.effects.open_thread(context.requests, TITLE, body, marker) if is_needed else None
