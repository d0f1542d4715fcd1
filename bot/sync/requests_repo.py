"""The requests repo as a whole: which files changed since the last look, and who changed them.

Race closed: a commit that lands between reading the head and comparing is after the head that is remembered, so the
next look sees it. Race closed: dying between marking and remembering marks the same files again, which costs time only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import structlog

from bot.desk import Desk, request_key
from bot.index import Origin
from hub.comments import is_by
from hub.errors import HubError, NotFound
from hub.records import LogEntry
from leaderboard.requests import is_request_path
from wire.dirty import Priority

log = structlog.get_logger()

LOOK_BACK = 50
"""Commits whose authors are looked up; files that came before are nobody's in particular."""
_MERGED = re.compile(r"\(#(\d{1,9})\)$")


def sync_requests_repo(desk: Desk) -> None:
    """Mark every request file that people changed since the last look."""
    head, seen = desk.hub.head(desk.requests), desk.index.head(desk.requests.id)
    if head == seen:
        return
    history = list(_since(desk, seen))
    if seen and history and all(is_by(desk.me(), None, entry.authors[0]) for entry in history if entry.authors):
        desk.index.put_head(desk.requests.id, head)  # nothing but our own echo
        return
    paths = _changed(desk, seen, head)
    for entry in reversed(history):  # oldest first: the last who touched a file brought it
        desk.index.put_origins(_origins(desk, entry, seen, paths if len(history) == 1 else None))
    for path in paths:
        desk.mark(request_key(path), Priority.EVENT if seen else Priority.BACKGROUND)
    desk.index.put_head(desk.requests.id, head)
    log.info("requests repo", head=head, since=seen, changed=len(paths))


def _since(desk: Desk, seen: str | None) -> Iterator[LogEntry]:
    for entry in desk.hub.commits(desk.requests, limit=LOOK_BACK):
        if entry.oid == seen:
            return
        yield entry


def _changed(desk: Desk, seen: str | None, head: str) -> list[str]:
    if seen is not None:
        try:
            changed = desk.hub.changed_paths(desk.requests, seen, head)
            return [path for path in changed if is_request_path(path)]
        except NotFound:
            log.warning("history of the requests repo was rewritten", gone=seen)
    return [entry.path for entry in desk.hub.list_files(desk.requests, head) if is_request_path(entry.path)]


def _origins(desk: Desk, entry: LogEntry, seen: str | None, paths: list[str] | None) -> list[tuple[str, Origin]]:
    """Who brought the files of one commit: the author of the pull request that it merged, else its own author.

    `paths` is what it changed, where that is known already. Of a board that is new to us only merged pull requests are
    worth a call each: they have a thread.
    """
    if not entry.authors or is_by(desk.me(), None, entry.authors[0]):
        return []
    origin = _pull(desk, entry) or Origin(author=entry.authors[0], front_end=_is_front_end(desk, entry.authors[0]))
    if seen is None and origin.pull is None:
        return []
    if paths is None or seen is None:
        paths = desk.hub.changed_paths(desk.requests, f"{entry.oid}^", entry.oid)
    return [(path, origin) for path in paths if is_request_path(path)]


def _pull(desk: Desk, entry: LogEntry) -> Origin | None:
    """The pull request that `entry` merged. A title is a stranger's word, so the pull request must say so too."""
    found = _MERGED.search(entry.title)
    if found is None:
        return None
    try:
        thread = desk.hub.thread(desk.requests, int(found[1]))
    except HubError as error:
        log.warning("merged pull request not read", commit=entry.oid, error=str(error))
        return None
    if not thread.is_pull_request or thread.merge_commit != entry.oid:
        return None
    return Origin(author=thread.author_name, pull=thread.num)


def _is_front_end(desk: Desk, name: str) -> bool:
    """Whether the account of this name is one of the board's forms, by the id that the Hub has for it now."""
    if not desk.board.front_ends:
        return False
    try:
        return desk.hub.user(name).id in desk.board.front_ends
    except NotFound:
        return False
