"""The discussion that lists, once a day, the threads that wait for a maintainer.

Its opening post is edited, so that it notifies nobody. One thing is worth a comment there, once for each pause: that a
suite was paused because of an outbreak, for nothing of it runs until a maintainer has looked.
"""

from __future__ import annotations

from collections.abc import Mapping

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

DAY = 86_400.0
TITLE = "Threads that wait for a maintainer"
MOST = 100


def waiting_threads(context: BoardContext) -> list[WaitingThread]:
    """Those that wait, the longest first; of the discussions that report one model, the first."""
    found = noted_threads(context)
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
