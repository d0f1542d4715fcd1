"""What is said for a flagged model in its thread, and when a closed one is opened again for its author.

An author who writes in a closed thread has it opened again, REOPENINGS times in REOPENING_DAYS; after that a maintainer
decides. Nobody else's word opens it.

Race accepted: an author writes, and a maintainer closes the thread before we saw either. It is opened again.
Race accepted: after Redis was lost it is not known which comments came after a thread was closed; none opens it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.core import people
from bot.core.context import BoardContext
from bot.core.waiting_threads import note
from bot.flags.notices import FLAGGED, LIMIT, REOPENED, address, after_maintainers, by_maintainers, of_kind, say
from hub.comments import find_marked, is_by
from hub.records import Comment, Repo, Thread
from leaderboard.flags import FlagRecord
from leaderboard.roles import Role
from leaderboard.times import read_time
from leaderboard.triage import Topic

REOPENINGS, REOPENING_DAYS = 3, 30
DAY = 86_400.0
MOST = 20
"""Comments that are listed."""


@dataclass(frozen=True)
class Appeal:
    """Something that somebody said since a model was flagged; `role` is `owner`, or nothing in particular."""

    comment: Comment
    role: str
    url: str

    @property
    def day(self) -> str:
        """The day on which it was said, UTC."""
        return f"{self.comment.created_at:%Y-%m-%d}"


def find_appeals(
    context: BoardContext, repo: Repo, thread: Thread, records: Sequence[FlagRecord], causes: Iterable[str]
) -> list[Appeal]:
    """What people said since the first of these flags, which `causes` flagged: neither we nor maintainers."""
    me, theirs, url = context.me(), by_maintainers(context, thread), address(context, repo, thread.num)
    said = [
        comment
        for comment in _since(context, thread, records, causes)
        if not (comment.hidden or is_by(me, comment.author_id, comment.author_name) or comment.id in theirs)
    ]
    # Who they are is asked of the Hub: of those that are listed, and of no more.
    return [Appeal(one, _role(context, one, records), f"{url}#{one.id}") for one in said[-MOST:]]


def _since(
    context: BoardContext, thread: Thread, records: Sequence[FlagRecord], causes: Iterable[str]
) -> Sequence[Comment]:
    """What comes after our comment that says so; where the flag was imported, after that."""
    me, markers = context.me(), [context.marker(FLAGGED, cause) for cause in causes]
    for at, comment in enumerate(thread.comments):
        if any(find_marked([comment], marker, me) is not None for marker in markers):
            return thread.comments[at + 1 :]
    if markers:
        return ()
    decisions = (record.flagged_by for record in records)
    since = min((read_time(one.at) or 0.0 for one in decisions if one is not None), default=0.0)
    return [comment for comment in thread.comments[1:] if comment.created_at.timestamp() > since]


def _role(context: BoardContext, comment: Comment, records: Sequence[FlagRecord]) -> str:
    person = people.author(context, comment)
    if person is None:
        return ""
    for model in dict.fromkeys(record.model for record in records):
        _, roles = people.roles(context, person, model=model, submitter="", fresh=False)
        if Role.OWNER in roles:
            return "owner"
    return ""


def unanswered(context: BoardContext, thread: Thread, appeals: Sequence[Appeal]) -> list[Appeal]:
    """Those that no maintainer has spoken after."""
    after = {comment.id for comment in after_maintainers(context, thread)}
    return [appeal for appeal in appeals if appeal.comment.id in after]


def reopen(context: BoardContext, repo: Repo, thread: Thread, appeals: Sequence[Appeal]) -> int:
    """Open a closed thread for its author, who wrote in it since; how many comments were posted."""
    if thread.status != "closed":
        return 0
    new = {comment.id for comment in thread.comments[_known_comment_count(context, repo, thread) :]}
    appeal = next((one for one in appeals if one.role == "owner" and one.comment.id in new), None)
    if appeal is None:
        return 0
    name, words = appeal.comment.author_name, {"most": REOPENINGS, "days": REOPENING_DAYS}
    if _reopenings(context, thread) >= REOPENINGS:
        return say(context, repo, thread, LIMIT, LIMIT, name, **words)
    marker = context.marker(REOPENED, appeal.comment.id)
    if not context.effects.set_status(repo, thread.num, "open", marker, asked=True):
        return 0
    note(context, repo, thread, Topic.APPEAL)
    return say(context, repo, thread, REOPENED, appeal.comment.id, name, **words)


def _known_comment_count(context: BoardContext, repo: Repo, thread: Thread) -> int:
    """How many comments the thread had when it was read last; all of them, where that is not known."""
    raw = context.redis.hget(context.keys.thread_counts(f"{repo.kind} {repo.id}"), f"{thread.num} read")
    return int(raw) if raw is not None else len(thread.comments)


def _reopenings(context: BoardContext, thread: Thread) -> int:
    since = context.now() - REOPENING_DAYS * DAY
    return sum(one.created_at.timestamp() > since for one in of_kind(context, thread.comments, REOPENED))
