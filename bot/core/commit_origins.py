"""The origin of a request file: the author of the pull request that a commit merged, else the author of the commit.

Authors come from the Hub's list of commits, because the author in a git commit can be forged. The origin is stored when
the sync of the requests repo reads commits. If it is missing, because the Hub did not answer or Redis was lost, the
newest commit of the file gives it; if that one is the bot's own, the submitter in the file's `steward` object does.

Race accepted: after history was squashed and Redis was lost, the account that squashed it counts as the submitter of
waiting requests.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from bot.core.context import BoardContext
from hub.comments import is_by
from hub.errors import BadToken, Garbled, HubError, NotFound, RateLimited, Transient
from hub.records import Account, LogEntry
from hub.retries import unless_gone
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request
from redis_state.board.entry import Origin

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

_MERGED = re.compile(r"\(#(\d{1,9})\)$")
_LAG_SECONDS = 600.0
"""Seconds after a merge during which the Hub may not show yet that the pull request was merged as this commit."""


@dataclass(frozen=True)
class CommitHistory:
    """The commits after `seen` up to `head`, newest first; `is_complete` if `seen` was found before them."""

    me: Account
    seen: str | None
    head: str
    commits: tuple[LogEntry, ...]
    is_complete: bool

    @property
    def is_ours(self) -> bool:
        """Whether all commits are the bot's own."""
        return all(self.is_own(entry) for entry in self.commits)

    def is_own(self, entry: LogEntry) -> bool:
        """Whether a commit is the bot's own work, and not a merged pull request of another account."""
        return is_own_work(self.me, entry)

    def without_start(self) -> CommitHistory:
        """The same history without a known commit before it, so that any file may have changed."""
        return replace(self, seen=None, is_complete=False)


def is_ours(me: Account, entry: LogEntry) -> bool:
    """Whether the bot made a commit, either its own work or the merge of a pull request."""
    return bool(entry.authors) and is_by(me, None, entry.authors[0])


def is_own_work(me: Account, entry: LogEntry) -> bool:
    """Whether a commit is the bot's own work; a merged pull request is not, since its author wrote title and files."""
    return is_ours(me, entry) and _MERGED.search(entry.title) is None


def note_origins(
    context: BoardContext, view: MirrorView, history: CommitHistory, *, except_for: Collection[str] = ()
) -> None:
    """Store the origins of the files in `history`, oldest commit first: the last author of a file is its origin.

    In a history without a start, only merged pull requests are stored, because they have a thread.
    """
    front_ends: dict[str, bool] = {}
    for entry in reversed(history.commits):
        if not entry.authors or history.is_own(entry):
            continue
        try:
            origin = _pull(context, entry)
        except (Transient, RateLimited) as error:  # one thread must not delay all requests: their syncs read it later
            log.warning("merged pull request not read now", commit=entry.oid, error=str(error))
            context.index.forget_origins(_requests(context, view, entry))
            continue
        if origin is None and (history.seen is None or is_ours(history.me, entry)):
            continue
        origin = origin or _author(context, entry, front_ends)
        context.index.put_origins((path, origin) for path in _requests(context, view, entry) if path not in except_for)


def know_origin(context: BoardContext, request: Request) -> None:
    """Store the origin of a file that waits or runs, if it is missing; at most four calls, once for each file."""
    path = str(request.path)
    if context.index.knows_origin(path):
        return
    entry = context.hub.last_commit(context.requests, path)
    if entry is None or not entry.authors:
        return
    origin = _pull(context, entry)
    if origin is None and is_ours(context.me(), entry):
        facts = request.file.steward
        origin = Origin(author=facts.submitter or "", author_id=facts.submitter_id or "")
    context.index.put_origins([(path, origin or _author(context, entry, {}))])


def _author(context: BoardContext, entry: LogEntry, front_ends: dict[str, bool]) -> Origin:
    author = entry.authors[0]
    if author not in front_ends:
        front_ends[author] = is_front_end(context, author)
    return Origin(author=author, front_end=front_ends[author], commit=entry.oid)


def _requests(context: BoardContext, view: MirrorView, entry: LogEntry) -> Iterator[str]:
    """The request files that one commit changed."""
    return (path for path in _paths(context, view, entry) if is_request_path(path))


def _paths(context: BoardContext, view: MirrorView, entry: LogEntry) -> Iterator[str]:
    """The paths that one commit changed: from the mirror if it has both trees, else in one call."""
    parent = view.parent(entry.oid) if view.has(entry.oid) else None
    if parent is not None and view.has(parent):
        return (blob.path for blob in view.changed(parent, entry.oid))
    try:
        return iter(context.hub.changed_paths(context.requests, f"{entry.oid}^", entry.oid))
    except NotFound:
        return iter(())  # the repo's first commit


def _pull(context: BoardContext, entry: LogEntry) -> Origin | None:
    """The pull request that `entry` merged. Titles are untrusted, so the pull request must name the commit too.

    Raises Transient and RateLimited: the origin of a file must not depend on whether the Hub answers at the moment, nor
    on an old copy of the pull request, from before the merge.
    """
    match = _MERGED.search(entry.title)
    if match is None:
        return None
    try:
        thread = context.hub.thread(context.requests, int(match[1]))
    except (Transient, RateLimited, BadToken):
        raise
    except HubError as error:
        if isinstance(error, NotFound) and _is_new(context, entry):
            raise Garbled(f"The Hub does not show the pull request that {entry.oid[:8]} says it merged.") from error
        log.warning("merged pull request not read", commit=entry.oid, error=str(error))
        return None
    if thread.is_pull_request and thread.merge_commit is None and _is_new(context, entry):
        raise Garbled(f"The Hub does not say yet that pull request #{thread.num} was merged as {entry.oid[:8]}.")
    if not thread.is_pull_request or thread.merge_commit != entry.oid:
        return None
    return Origin(author=thread.author_name, author_id=thread.author_id or "", pull=thread.num, commit=entry.oid)


def _is_new(context: BoardContext, entry: LogEntry) -> bool:
    return entry.date is not None and abs(context.now() - entry.date.timestamp()) < _LAG_SECONDS


def is_front_end(context: BoardContext, name: str) -> bool:
    """Whether the account of this name is one of the board's front ends, by its present id on the Hub."""
    if not context.board.front_ends:
        return False
    account = unless_gone(lambda: context.hub.user(name))
    return account is not None and account.id in context.board.front_ends
