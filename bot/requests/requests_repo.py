"""The sync of the requests repo: which files changed since its last run, and who changed them.

The sync finds changes in the mirror: by the trees of two commits if it has both, else by comparing every file of the
newest commit with the index. It does the latter too when a board is new, when Redis was lost and when history was
rewritten. It makes no call per file.

Race closed: a commit lands between reading the head and fetching. It comes after the stored head, so the next sync sees
it.
Race closed: the bot dies between marking files and storing the head. The next sync marks them again.
Race closed: the bot dies between indexing a file and marking it. A file that needs a sync is indexed without a blob id,
so the next comparison marks it again.
Race closed: Redis is emptied between marking and storing the head. The head is stored only in the Redis of the marks.
Race closed: a file changes and changes back between two syncs, and was judged in between. The sync compares the files
that each commit touched with the index, not only those that differ between the two heads.
Race closed: an edit of the bot lands after Redis was emptied, so its end marks no request. The sync skips the bot's own
commits only if this Redis knows their edits.
Race accepted: more than MAX_COMMITS commits at once. Every file is compared; the authors of the oldest are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from bot.core.commit_origins import CommitHistory, note_origins
from bot.core.context import BoardContext, request_key
from bot.core.mirrors.folder import MirrorDamaged
from bot.core.mirrors.git_trees import GitFile
from bot.core.pull_records import MAIN, mark_moved
from bot.intake.deliveries import REQUESTS
from bot.intake.webhook_trust import note_look
from bot.ledger.edits import edits_in
from bot.queue.pauses import learn_pauses
from bot.requests.comparison import note_read
from bot.requests.first_look import entry_of_new_file
from bot.requests.moved_requests import moved_requests, take_over
from bot.results.contents import mark_contents
from bot.results.scoreboard import SCORES, mark_missing_scores
from hub.errors import RevisionNotFound
from leaderboard.adoption import FORMER_RECORD, RECORD
from leaderboard.request_paths import is_request_path
from redis_state.board.entry import IndexEntry
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

MAX_COMMITS = 50
"""Commits whose authors are read; files of earlier commits have no known author."""
SPARE_COMMITS = 20
"""Commits fetched in addition, for those that land between reading the history and fetching."""
CHUNK = 1_000
"""Files compared at a time: it bounds the memory of a start with a hundred thousand files."""
RETRY_SECONDS = 1.0
"""Time until the next sync if main moved during this one."""

INDEXED = point("new requests indexed, not marked")
MARKED = point("changed requests marked, head not remembered")


def sync_requests_repo(context: BoardContext) -> float | None:
    """Mark every request file that changed since the last sync and was not judged since, and every pull request with
    commits pushed after its check."""
    life = context.index.life()
    head, seen = _read_head(context), context.index.head(context.requests.id)
    note_look(context, REQUESTS, (REQUESTS,) if head != seen and seen is not None else ())
    if head == seen:
        return None
    mark_contents(context)
    history = _history(context, seen, head)
    if not _is_only_known_edits(context, history):
        context.mirror.fetch(context.requests, depth=_depth(context, history))
        with context.mirror.read_fetched(context.requests) as view:
            if not view.has(head):
                return context.now() + RETRY_SECONDS
            _mark(context, view, history)
        pass_by(MARKED)
    return None if context.index.put_head(context.requests.id, head, life) else context.now() + RETRY_SECONDS


def _read_head(context: BoardContext) -> str:
    """The head of main. Also mark pull requests with new heads, which come in the same list of refs. One call."""
    known = context.heads.known(context.requests.id)
    heads = context.hub.heads(context.requests, pulls=bool(context.redis.exists(context.keys.pulls)))
    mark_moved(context, heads)
    if MAIN not in heads:
        raise RevisionNotFound(f"{context.requests.id} has no {MAIN}.", status=404)
    context.heads.saw(context.requests.id, heads[MAIN], after=known)
    return heads[MAIN]


def _is_only_known_edits(context: BoardContext, history: CommitHistory) -> bool:
    """Whether all commits are the ledger's and this Redis knows their edits: the ends of these mark their requests."""
    if not (history.is_complete and history.is_ours):
        return False
    written = [edits_in(entry.message) for entry in history.commits]
    return all(written) and context.ledger.edits.knows([edit for edits in written for edit in edits])


def _history(context: BoardContext, seen: str | None, head: str) -> CommitHistory:
    commits = context.hub.commits(context.requests, head, limit=MAX_COMMITS)
    since = commits[: next((at for at, entry in enumerate(commits) if entry.oid == seen), len(commits))]
    return CommitHistory(context.me(), seen, head, tuple(since), is_complete=len(since) < len(commits))


def _depth(context: BoardContext, history: CommitHistory) -> int:
    """How many commits to fetch so that each can be compared with its parent; 0: all since the last fetch."""
    if not history.is_complete or history.seen is None:
        return 1
    try:
        with context.mirror.read(context.requests) as view:
            return 0 if view.has(history.seen) else len(history.commits) + 1 + SPARE_COMMITS
    except MirrorDamaged:
        return len(history.commits) + 1 + SPARE_COMMITS


def _mark(context: BoardContext, view: MirrorView, history: CommitHistory) -> None:
    _read_adoption(context, view, history.head)
    learn_pauses(context, view, history.head)
    if history.seen is not None and view.has(history.seen):
        differences = list(view.differences(history.seen, history.head))
        moved = moved_requests(context, view, differences)
        note_origins(context, view, history, except_for=moved)
        new = {change.path: moved.get(change.path) for change in differences if change.was is None}
        touched = _touched(view, history)
        files, marked = _mark_changed(context, view, _requests(touched), SyncPriority.EVENT, new=new)
        log.info("requests repo", head=history.head, since=history.seen, changed=files, marked=marked)
        if history.is_complete:
            return
    else:
        note_origins(context, view, history.without_start())
    if history.seen is not None:
        log.warning("the last seen head is far back, or no longer in the history", since=history.seen)
    files, marked = compare(context, view, history.head)
    context.mark(SCORES, SyncPriority.BACKGROUND)  # Redis may be new: finished requests then lack their scores
    log.info("requests repo compared", head=history.head, files=files, marked=marked)


def _touched(view: MirrorView, history: CommitHistory) -> Iterator[GitFile]:
    """Every file that differs from the last seen head, then files that commits since then changed and changed back."""
    yielded = set[str]()
    for blob in view.changed(history.seen, history.head):
        yielded.add(blob.path)
        yield blob
    for entry in history.commits:
        parent = view.parent(entry.oid) if view.has(entry.oid) else None
        if parent is None or not view.has(parent):
            continue
        for blob in view.changed(parent, entry.oid):
            if blob.path not in yielded:
                yielded.add(blob.path)
                yield GitFile(blob.path, view.find(history.head, blob.path))


def _read_adoption(context: BoardContext, view: MirrorView, head: str) -> None:
    """Read the record of adoption at `head` if it is new; it says which files are old."""
    record = view.find(head, RECORD) or view.find(head, FORMER_RECORD)
    if context.adoption.is_read(record):
        return
    if record is None:
        context.adoption.forget()
        return
    context.adoption.read_with(view, head)
    active = {*context.index.unjudged(), *(entry.path for entry in context.index.busy())}
    active |= {entry.path for entry in context.index.waiting()}
    context.mark_all(map(request_key, sorted(active)), SyncPriority.BACKGROUND)


def compare(context: BoardContext, view: MirrorView, head: str) -> tuple[int, int]:
    """Compare every request file at `head` with the index; return how many there are, and how many were marked."""
    # Hashes need half of the paths' memory. Nothing can be gone from an empty index.
    present: set[int] | None = set() if context.index.count() else None
    files, marked = _mark_changed(context, view, _requests(view.files(head)), SyncPriority.BACKGROUND, present)
    if present is not None:
        gone = [path for path in context.index.paths() if hash(path) not in present]
        context.mark_all(map(request_key, gone), SyncPriority.BACKGROUND)
        marked += len(gone)
    else:
        note_read(context)
    return files, marked


def _mark_changed(
    context: BoardContext,
    view: MirrorView,
    blobs: Iterator[GitFile],
    priority: SyncPriority,
    present: set[int] | None = None,
    new: Mapping[str, IndexEntry | None] | None = None,
) -> tuple[int, int]:
    """Mark those of `blobs` that were not judged in this version; return how many there are, and how many were marked.

    A file that is new to the index is put there, and marked only if it needs a sync. The hashes of the paths are added
    to `present`.
    `new` are paths that did not exist at the last sync, which was complete, with the entry under the former name; None
    for a comparison of every file, whose caller marks the scores once.
    """
    files = marked = 0
    while chunk := list(islice(blobs, CHUNK)):
        dirty, entries = _index(context, view, chunk, new or {})
        if new is not None:
            mark_missing_scores(context, entries)
        pass_by(INDEXED)
        context.mark_all(map(request_key, dirty), priority)
        files, marked = files + len(chunk), marked + len(dirty)
        if present is not None:
            present.update(hash(blob.path) for blob in chunk)
    return files, marked


def _index(
    context: BoardContext, view: MirrorView, blobs: list[GitFile], new: Mapping[str, IndexEntry | None]
) -> tuple[list[str], list[IndexEntry]]:
    """Put those of `blobs` into the index that it lacks; return the paths of all that need a sync, and new entries."""
    dirty, entries, paths = [], [], [blob.path for blob in blobs]
    for blob, known, adopted in zip(blobs, context.index.find(paths), context.adoption.blobs(paths), strict=True):
        former = new.get(blob.path)
        if blob.oid is None or known is not None:
            if known is not None and former is not None:
                context.index.change(blob.path, partial(take_over, context, former))  # its own sync was first
            if known is not None and known.file_oid != blob.oid:
                dirty.append(blob.path)
            continue
        data = view.blob(blob.oid, max_bytes=context.board.max_request_bytes)
        entry, needs_sync = entry_of_new_file(blob.path, blob.oid, data, adopted=adopted)
        if former is not None:
            entry = take_over(context, former, entry)
        entries.append(entry.changed(fresh=True) if blob.path in new else entry)
        if needs_sync:
            dirty.append(blob.path)
    context.index.put(*entries)
    return dirty, entries


def _requests(blobs: Iterable[GitFile]) -> Iterator[GitFile]:
    return (blob for blob in blobs if is_request_path(blob.path))
