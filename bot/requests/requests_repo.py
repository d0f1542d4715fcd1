"""The requests repo as a whole: which files changed since the last look, and who changed them.

What changed is found in the mirror: between two commits by their trees, where both are known, else by comparing every
file of the newest commit with what the index judged. The latter is also how a board starts, be it new or Redis lost,
and what is left when history was rewritten. No call is made per file.

Race closed: a commit that lands between reading the head and fetching is after the head that is remembered, so the next
look sees it. Race closed: dying between marking and remembering marks the same files again, which costs time only.
Race closed: dying between indexing a file and marking it. What needs a sync is indexed without a blob id, so the next
comparison marks it again.
Race closed: Redis is emptied between marking and remembering. The head is remembered in the life of the marks only.
Race closed: a file that changed and changed back between two looks, and was judged meanwhile as it was in between. The
files that each commit touched are compared with the index, not only those that differ between the two heads.
Race closed: an edit of ours lands after Redis was emptied, so its end marks no request. Our own commits are passed over
only where this Redis knows their edits.
Race accepted: more than LOOK_BACK commits at once. Every file is compared; who brought the oldest is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from bot.core.commit_origins import CommitHistory, note_origins
from bot.core.context import BoardContext, request_key
from bot.core.mirrors.folder import MirrorDamaged
from bot.core.mirrors.git_trees import GitFile
from bot.core.pull_records import MAIN, mark_moved
from bot.ledger.edits import edits_in
from bot.queue.pauses import learn_pauses
from bot.requests.first_look import entry_of_new_file
from bot.results.contents import mark_contents
from hub.errors import RevisionNotFound
from leaderboard.adoption import FORMER_RECORD, RECORD
from leaderboard.requests import is_request_path
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

LOOK_BACK = 50
"""Commits whose authors are looked up; files that came before are nobody's in particular."""
MEANWHILE = 20
"""Commits that may come between the look at the history and the fetch, without the one we know falling off its end."""
CHUNK = 1_000
"""Files compared at a time: what bounds the memory of a start with a hundred thousand of them."""
AGAIN = 1.0
"""Seconds until another look, where main moved on under our eyes."""

INDEXED = point("new requests indexed, not marked")
MARKED = point("changed requests marked, head not remembered")


def sync_requests_repo(context: BoardContext) -> float | None:
    """Mark every request file that changed since the last look and was not judged as it is now; and every pull request
    that was checked, and had commits pushed to it since."""
    life = context.index.life()
    head, seen = _look(context), context.index.head(context.requests.id)
    if head == seen:
        return None
    mark_contents(context)
    history = _history(context, seen, head)
    if not _is_echo(context, history):
        context.mirror.fetch(context.requests, depth=_depth(context, history))
        with context.mirror.read_fetched(context.requests) as view:
            if not view.has(head):
                return context.now() + AGAIN
            _mark(context, view, history)
        pass_by(MARKED)
    return None if context.index.put_head(context.requests.id, head, life) else context.now() + AGAIN


def _look(context: BoardContext) -> str:
    """The head of main; pull requests are marked on the way, for the list of refs may have theirs too. One call."""
    known = context.heads.known(context.requests.id)
    heads = context.hub.heads(context.requests, pulls=bool(context.redis.exists(context.keys.pulls)))
    mark_moved(context, heads)
    if MAIN not in heads:
        raise RevisionNotFound(f"{context.requests.id} has no {MAIN}.", status=404)
    context.heads.saw(context.requests.id, heads[MAIN], after=known)
    return heads[MAIN]


def _is_echo(context: BoardContext, history: CommitHistory) -> bool:
    """Whether all commits are our ledger's, and this Redis knows their edits: the end of those marks their requests."""
    if not (history.is_complete and history.is_ours):
        return False
    written = [edits_in(entry.message) for entry in history.commits]
    return all(written) and context.ledgers.knows([edit for edits in written for edit in edits])


def _history(context: BoardContext, seen: str | None, head: str) -> CommitHistory:
    commits = context.hub.commits(context.requests, head, limit=LOOK_BACK)
    since = commits[: next((at for at, entry in enumerate(commits) if entry.oid == seen), len(commits))]
    return CommitHistory(context.me(), seen, head, tuple(since), is_complete=len(since) < len(commits))


def _depth(context: BoardContext, history: CommitHistory) -> int:
    """How many commits to fetch, so that each can be compared with the one before; 0: all that are new."""
    if not history.is_complete or history.seen is None:
        return 1
    try:
        with context.mirror.read(context.requests) as view:
            return 0 if view.has(history.seen) else len(history.commits) + 1 + MEANWHILE
    except MirrorDamaged:
        return len(history.commits) + 1 + MEANWHILE


def _mark(context: BoardContext, view: MirrorView, history: CommitHistory) -> None:
    _learn_what_is_old(context, view.find(history.head, RECORD) or view.find(history.head, FORMER_RECORD))
    learn_pauses(context, view, history.head)
    if history.seen is not None and view.has(history.seen):
        note_origins(context, view, history)
        new = {one.path for one in view.differences(history.seen, history.head) if one.was is None}
        touched = _touched(view, history)
        files, marked = _look_at(context, view, _requests(touched), SyncPriority.EVENT, new=new)
        log.info("requests repo", head=history.head, since=history.seen, changed=files, marked=marked)
        if history.is_complete:
            return
    else:
        note_origins(context, view, history.without_start())
    if history.seen is not None:
        log.warning("what was seen last is far back, or in no history any more", since=history.seen)
    files, marked = compare(context, view, history.head)
    log.info("requests repo compared", head=history.head, files=files, marked=marked)


def _touched(view: MirrorView, history: CommitHistory) -> Iterator[GitFile]:
    """Every file that differs from what was seen, then those that commits since have changed and changed back."""
    told = set[str]()
    for blob in view.changed(history.seen, history.head):
        told.add(blob.path)
        yield blob
    for entry in history.commits:
        parent = view.parent(entry.oid) if view.has(entry.oid) else None
        if parent is None or not view.has(parent):
            continue
        for blob in view.changed(parent, entry.oid):
            if blob.path not in told:
                told.add(blob.path)
                yield GitFile(blob.path, view.find(history.head, blob.path))


def _learn_what_is_old(context: BoardContext, record: str | None) -> None:
    """Read the record of adoption (`record` is its blob id) if that was not done yet."""
    if context.adoption.is_read(record):
        return
    if record is None:
        context.adoption.forget()
        return
    context.adoption.read()
    at_work = {*context.index.unjudged(), *(one.path for one in context.index.busy())}
    at_work |= {waiting.path for waiting in context.index.waiting()}
    context.mark_all(map(request_key, sorted(at_work)), SyncPriority.BACKGROUND)


def compare(context: BoardContext, view: MirrorView, head: str) -> tuple[int, int]:
    """Compare every request file at `head` with the index; how many there are, and how many were marked."""
    there: set[str] | None = set() if context.index.count() else None  # nothing can be gone from an empty index
    files, marked = _look_at(context, view, _requests(view.files(head)), SyncPriority.BACKGROUND, there)
    if there is not None:
        gone = [path for path in context.index.paths() if path not in there]
        context.mark_all(map(request_key, gone), SyncPriority.BACKGROUND)
        marked += len(gone)
    return files, marked


def _look_at(
    context: BoardContext,
    view: MirrorView,
    blobs: Iterator[GitFile],
    priority: SyncPriority,
    there: set[str] | None = None,
    new: Collection[str] = (),
) -> tuple[int, int]:
    """Mark those of `blobs` that the index did not judge as they are now; how many blobs, and how many were marked.

    One that is new to the index is put there, and marked only if there is something to do about it. The paths are
    added to `there`. `new` are the paths that were not there at the last look, which was complete.
    """
    files = marked = 0
    while chunk := list(islice(blobs, CHUNK)):
        dirty = _index(context, view, chunk, new)
        pass_by(INDEXED)
        context.mark_all(map(request_key, dirty), priority)
        files, marked = files + len(chunk), marked + len(dirty)
        if there is not None:
            there.update(blob.path for blob in chunk)
    return files, marked


def _index(context: BoardContext, view: MirrorView, blobs: list[GitFile], new: Collection[str]) -> list[str]:
    """Put those of `blobs` that the index lacks there; the paths of all that need a sync."""
    dirty, entries, paths = [], [], [blob.path for blob in blobs]
    for blob, known, adopted in zip(blobs, context.index.find(paths), context.adoption.blobs(paths), strict=True):
        if blob.oid is None or known is not None:
            if known is not None and known.file_oid != blob.oid:
                dirty.append(blob.path)
            continue
        data = view.blob(blob.oid, max_bytes=context.board.max_request_bytes)
        entry, needs_sync = entry_of_new_file(blob.path, blob.oid, data, adopted=adopted)
        entries.append(entry.model_copy(update={"fresh": True}) if blob.path in new else entry)
        if needs_sync:
            dirty.append(blob.path)
    context.index.put(*entries)
    return dirty


def _requests(blobs: Iterable[GitFile]) -> Iterator[GitFile]:
    return (blob for blob in blobs if is_request_path(blob.path))
