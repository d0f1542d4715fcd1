"""Appeals: comments in the thread of a flag, and reopening a closed thread for the model's author.

An owner can also appeal by a button of a page. The bot then writes the comment, and its marker names the owner.

When the author writes in a closed thread, the bot reopens it, at most REOPENINGS times in REOPENING_DAYS; after that a
maintainer decides. Comments of other people do not reopen a thread.

Race accepted: the author writes and a maintainer closes the thread before the bot reads either. The bot reopens it.
Race accepted: after Redis is lost, the bot does not know which comments followed the closing; none reopens the thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot.core import people
from bot.core.context import BoardContext
from bot.core.waiting_threads import note
from bot.flags.notices import (
    APPEALED,
    FLAGGED,
    LIMIT,
    REOPENED,
    address,
    after_maintainers,
    by_maintainers,
    of_kind,
    say,
)
from hub.comments import find_marked, is_by, marker_of
from hub.records import Comment, Repo, Thread
from leaderboard.flags import FlagRecord
from leaderboard.roles import Role
from leaderboard.times import read_time
from leaderboard.triage import Topic

REOPENINGS, REOPENING_DAYS = 3, 30
DAY = 86_400.0
MAX_APPEALS = 20
"""Comments that the bot lists."""


@dataclass(frozen=True)
class Appeal:
    """A comment written after a model was flagged; `role` is `owner` where the model's owner wrote it, else ""."""

    comment: Comment
    role: str
    url: str

    @property
    def day(self) -> str:
        """The day on which the comment was written, UTC."""
        return f"{self.comment.created_at:%Y-%m-%d}"


def find_appeals(
    context: BoardContext, repo: Repo, thread: Thread, records: Sequence[FlagRecord], causes: Iterable[str]
) -> list[Appeal]:
    """Comments since the first of these flags, without those of the bot and of maintainers. `causes` are the comments
    that flagged the models."""
    me, ids_by_maintainers, url = context.me(), by_maintainers(context, thread), address(context, repo, thread.num)
    comments = [
        (comment, owner)
        for comment in _since(context, thread, records, causes)
        if not (comment.hidden or comment.id in ids_by_maintainers)
        if (owner := _owner_on_page(context, comment)) or not is_by(me, comment.author_id, comment.author_name)
    ]
    # A role costs calls to the Hub, so only the listed comments get one.
    return [
        Appeal(replace(comment, author_name=owner), "owner", f"{url}#{comment.id}")
        if owner
        else Appeal(comment, _role(context, comment, records), f"{url}#{comment.id}")
        for comment, owner in comments[-MAX_APPEALS:]
    ]


def appeal(context: BoardContext, repo: Repo, thread: Thread, reason: str, name: str, cause: str) -> bool:
    """Write the appeal of the model's owner `name`, by a button, into the flag's thread, once for each `cause`.

    The sync of the thread handles it like the owner's own comments. Return whether the thread has it now.
    """
    key = f"{name} {cause}"
    is_known = find_marked(thread.comments, context.marker(APPEALED, key), context.me()) is not None
    return is_known or bool(say(context, repo, thread, APPEALED, key, name, reason=reason))


def _owner_on_page(context: BoardContext, comment: Comment) -> str:
    """The owner whose appeal by a button the bot wrote down in `comment`; "" for any other comment."""
    marker = marker_of(comment.text) if of_kind(context, [comment], APPEALED) else None
    return marker.key.partition(" ")[0] if marker is not None else ""


def _since(
    context: BoardContext, thread: Thread, records: Sequence[FlagRecord], causes: Iterable[str]
) -> Sequence[Comment]:
    """Comments after the bot's comment about the flag; for an imported flag, comments after the import."""
    me, markers = context.me(), [context.marker(FLAGGED, cause) for cause in causes]
    for index, comment in enumerate(thread.comments):
        if any(find_marked([comment], marker, me) is not None for marker in markers):
            return thread.comments[index + 1 :]
    if markers:
        return ()
    decisions = (record.flagged_by for record in records)
    since = min((read_time(decision.at) or 0.0 for decision in decisions if decision is not None), default=0.0)
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
    """Appeals that no comment of a maintainer follows."""
    unanswered_ids = {comment.id for comment in after_maintainers(context, thread)}
    return [appeal for appeal in appeals if appeal.comment.id in unanswered_ids]


def reopen(context: BoardContext, repo: Repo, thread: Thread, appeals: Sequence[Appeal]) -> int:
    """Reopen a closed thread if the model's owner has written in it since. Return the number of posted comments."""
    if thread.status != "closed":
        return 0
    new_ids = {comment.id for comment in thread.comments[_known_comment_count(context, repo, thread) :]}
    appeal = next((appeal for appeal in appeals if appeal.role == "owner" and appeal.comment.id in new_ids), None)
    if appeal is None:
        return 0
    name, limits = appeal.comment.author_name, {"limit": REOPENINGS, "days": REOPENING_DAYS}
    if _reopenings(context, thread) >= REOPENINGS:
        return say(context, repo, thread, LIMIT, LIMIT, name, **limits)
    marker = context.marker(REOPENED, appeal.comment.id)
    if not context.effects.set_status(repo, thread.num, "open", marker, asked=True):
        return 0
    note(context, repo, thread, Topic.APPEAL, part="appeal")
    return say(context, repo, thread, REOPENED, appeal.comment.id, name, **limits)


def _known_comment_count(context: BoardContext, repo: Repo, thread: Thread) -> int:
    """The number of comments when a sync last read the thread; all of them, where Redis does not know."""
    raw = context.redis.hget(context.keys.thread_counts(f"{repo.kind} {repo.id}"), f"{thread.num} read")
    return int(raw) if raw is not None else len(thread.comments)


def _reopenings(context: BoardContext, thread: Thread) -> int:
    since = context.now() - REOPENING_DAYS * DAY
    return sum(comment.created_at.timestamp() > since for comment in of_kind(context, thread.comments, REOPENED))
