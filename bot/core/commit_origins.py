"""Who brought a request file: the author of the pull request that a commit merged, else the commit's own author.

Authors are the Hub's word, from its list of commits: what stands in a git commit anybody with a git could have written.
It is noted when commits are looked at. Where that was not, for the Hub did not answer, or where Redis was lost, the
newest commit that touched the file says it; if that was our own, then what we wrote into the file beside our other
facts, which nobody touched since.

Race accepted: after history was squashed and Redis lost, whoever squashed it counts as having brought what waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from bot.core.context import BoardContext
from hub.comments import is_by
from hub.errors import BadToken, HubError, NotFound, RateLimited, Transient
from hub.records import Account, LogEntry
from leaderboard.requests import Request, is_request_path
from redis_state.board.entry import Origin

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

_MERGED = re.compile(r"\(#(\d{1,9})\)$")


@dataclass(frozen=True)
class CommitHistory:
    """The commits after `seen` up to `head`, newest first; `is_complete` where `seen` was found before them."""

    me: Account
    seen: str | None
    head: str
    commits: tuple[LogEntry, ...]
    is_complete: bool

    @property
    def is_ours(self) -> bool:
        """Whether all of them are our own."""
        return all(self.is_own(entry) for entry in self.commits)

    def is_own(self, entry: LogEntry) -> bool:
        """Whether one of them is our own work."""
        return is_own_work(self.me, entry)

    def without_start(self) -> CommitHistory:
        """The same, where it is not known what was there before: whoever committed may have touched anything."""
        return replace(self, seen=None, is_complete=False)


def is_ours(me: Account, entry: LogEntry) -> bool:
    """Whether a commit was made by us, be it our own work or that of a pull request that we merged."""
    return bool(entry.authors) and is_by(me, None, entry.authors[0])


def is_own_work(me: Account, entry: LogEntry) -> bool:
    """Whether a commit is our own work: a pull request that we merged brings somebody else's, and their words."""
    return is_ours(me, entry) and _MERGED.search(entry.title) is None


def note_origins(context: BoardContext, view: MirrorView, history: CommitHistory) -> None:
    """Note who brought the files of `history`, oldest first: the last who touched a file brought it.

    Where it is not known what was there before, only merged pull requests are worth a look: they have a thread.
    """
    front_ends: dict[str, bool] = {}
    for entry in reversed(history.commits):
        if not entry.authors or history.is_own(entry):
            continue
        try:
            origin = _pull(context, entry)
        except (Transient, RateLimited) as error:  # one thread must not hold up all requests: theirs find out
            log.warning("merged pull request not read now", commit=entry.oid, error=str(error))
            context.index.forget_origins(_requests(context, view, entry))
            continue
        if origin is None and (history.seen is None or is_ours(history.me, entry)):
            continue
        origin = origin or _author(context, entry, front_ends)
        context.index.put_origins((path, origin) for path in _requests(context, view, entry))


def know_origin(context: BoardContext, request: Request) -> None:
    """Note who brought a file that waits or runs, where nobody noted it; three calls at most, once for each file."""
    path = str(request.path)
    if context.index.knows_origin(path):
        return
    entry = context.hub.last_commit(context.requests, path)
    if entry is None or not entry.authors:
        return
    origin = _pull(context, entry)
    if origin is None and is_ours(context.me(), entry):
        origin = Origin(author=request.file.steward.submitter or "")
    context.index.put_origins([(path, origin or _author(context, entry, {}))])


def _author(context: BoardContext, entry: LogEntry, front_ends: dict[str, bool]) -> Origin:
    author = entry.authors[0]
    if author not in front_ends:
        front_ends[author] = _is_front_end(context, author)
    return Origin(author=author, front_end=front_ends[author], commit=entry.oid)


def _requests(context: BoardContext, view: MirrorView, entry: LogEntry) -> Iterator[str]:
    """The request files that one commit changed."""
    return (path for path in _paths(context, view, entry) if is_request_path(path))


def _paths(context: BoardContext, view: MirrorView, entry: LogEntry) -> Iterator[str]:
    """What one commit changed: from the mirror where it has both sides, else in one call."""
    parent = view.parent(entry.oid) if view.has(entry.oid) else None
    if parent is not None and view.has(parent):
        return (blob.path for blob in view.changed(parent, entry.oid))
    try:
        return iter(context.hub.changed_paths(context.requests, f"{entry.oid}^", entry.oid))
    except NotFound:
        return iter(())  # the first commit of all


def _pull(context: BoardContext, entry: LogEntry) -> Origin | None:
    """The pull request that `entry` merged. A title is a stranger's word, so the pull request must say so too.

    Raises Transient and RateLimited: who brought a file must not depend on whether the Hub answered just then.
    """
    found = _MERGED.search(entry.title)
    if found is None:
        return None
    try:
        thread = context.hub.thread(context.requests, int(found[1]))
    except (Transient, RateLimited, BadToken):
        raise
    except HubError as error:
        log.warning("merged pull request not read", commit=entry.oid, error=str(error))
        return None
    if not thread.is_pull_request or thread.merge_commit != entry.oid:
        return None
    return Origin(author=thread.author_name, pull=thread.num, commit=entry.oid)


def _is_front_end(context: BoardContext, name: str) -> bool:
    """Whether the account of this name is one of the board's forms, by the id that the Hub has for it now."""
    if not context.board.front_ends:
        return False
    try:
        return context.hub.user(name).id in context.board.front_ends
    except NotFound:
        return False
