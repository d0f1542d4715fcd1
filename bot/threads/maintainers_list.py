"""The digest: a discussion that lists the threads that wait for a maintainer, updated once a day.

The update edits the opening post, which sends no notifications. Only the pause of a suite because of an outbreak, and a
worker that was set aside, get a comment, one for each, because something stands still until a maintainer acts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bot.core.context import BoardContext
from bot.core.own_threads import find_own
from bot.core.relative_times import when
from bot.core.render import render
from bot.core.waiting_threads import DIGEST, WaitingThread, noted_threads
from bot.flags.reports import reports
from leaderboard.holds import Hold
from leaderboard.outbreaks import suites_paused_by_outbreak
from leaderboard.times import read_time
from leaderboard.triage import Topic, triage

DAY_SECONDS = 86_400.0
TITLE = "Threads that wait for a maintainer"
MAX_LISTED = 100
MAX_OF_AUTHOR = 10
"""Threads of one author on the list."""


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
    a report that a stranger makes by a command in a discussion about something else does not take it off the list."""
    first, several = set[str](), set[str]()
    titled = [key for key, thread in noted.items() if triage(thread.title, "").topic is Topic.FLAG]
    for report in reports(context):
        same_report = [key for key in titled if key in report.threads]
        first.update(same_report[:1])
        several.update(same_report)
    return several - first


def _listed(waiting: Sequence[WaitingThread]) -> list[WaitingThread]:
    """The threads that the digest shows: at most MAX_OF_AUTHOR of one author, so that one account cannot fill it."""
    counts = Counter[str]()
    listed = []
    for thread in waiting:
        counts[thread.author] += 1
        if counts[thread.author] <= MAX_OF_AUTHOR:
            listed.append(thread)
    return listed[:MAX_LISTED]


def sync_digest(context: BoardContext) -> float | None:
    """Bring the digest up to date, and announce in its thread each outbreak, and each worker that was set aside.

    The digest is opened when the first thread waits. Two or three calls a day, and one more for each outbreak while its
    pause lasts, and for each worker that is set aside.
    """
    waiting, outbreaks, now = waiting_threads(context), suites_paused_by_outbreak(context.pauses.all()), context.now()
    aside, marker = context.set_aside.all(), context.marker(DIGEST, "maintainers")
    listed = _listed(waiting)
    body = render("digest", waiting=listed, more=len(waiting) - len(listed), when=when, now=now)
    place, number = find_own(context, TITLE, marker, ""), None
    if place is not None:
        number, comment = place
        context.effects.edit_comment(context.requests, number, comment.id, body, marker, seen=comment.text)
    elif waiting or outbreaks or aside:
        number = context.effects.open_thread(context.requests, TITLE, body, marker)
    if number is not None:
        for name, hold in sorted(outbreaks.items()):
            _announce(context, number, name, hold)
        for worker in aside:
            body = render("worker_set_aside", aside=worker, when=when, now=now)
            told = context.marker("set-aside", f"{worker.worker} {worker.attempt}")
            context.effects.comment(context.requests, number, body, told)
    return None


def _announce(context: BoardContext, number: int, name: str, hold: Hold) -> None:
    """Comment in the digest's thread that the suite `name` is paused, once for this pause."""
    body = render(
        "outbreak", name=name, hold=hold, at=read_time(hold.at) or context.now(), when=when, now=context.now()
    )
    context.effects.comment(context.requests, number, body, context.marker("outbreak", f"{name} {hold.at}"))
