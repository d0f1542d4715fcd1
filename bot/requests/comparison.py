"""Comparison of every request file in the mirror with the index, to find changes that no dirty mark announced.

A file and its entry may disagree for a moment, while a mark waits for its sync or an edit for its commit. A longer
disagreement means that a mark was lost. A pass reads the index and the mirror; it calls the Hub only to fetch what the
mirror lacks.

The first pass after an upgrade also reads the files of ended requests again. An earlier version stored fewer of their
fields, and no change of the file would bring the others.

Race accepted: an edit of the bot lands after the head that was seen last. Its request is synced once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from bot.core.context import BoardContext, request_key
from bot.core.mirrors.folder import MirrorDamaged
from bot.core.mirrors.git_trees import GitFile
from bot.requests.first_look import with_snapshot
from leaderboard.effects import Effect, EffectMode
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, Status, parse_request
from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.dirty import SyncPriority
from redis_state.redis import text

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

FILES = "files"
"""Dirty key: it is time to compare the request files with the index."""
COMPARE_SECONDS = 600.0
"""Time between two passes: it bounds how long a request may be forgotten."""
AT_REST = ("settled", "foreign")
READ_AGAIN = "entries read again"
"""Field of the hash of rounds: the entry fields of the version that last read the files of ended requests again."""
_FIELDS = ",".join((*IndexEntry.model_fields, *RequestSnapshot.model_fields))
_CHUNK = 1_000
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""Replaces bytes that are not UTF-8 in a path of the mirror: the API has no such file."""


def is_due(context: BoardContext) -> bool:
    """Whether a pass is due. The first one is due COMPARE_SECONDS after a start, which compares by itself."""
    now = context.now()
    last = context.redis.hget(context.keys.rounds, FILES)
    if last is None:
        context.redis.hset(context.keys.rounds, FILES, now)
        return False
    return not 0 <= now - float(last) < COMPARE_SECONDS


def sync_files(context: BoardContext) -> None:
    """Mark every request whose entry disagrees with its file at the last seen head. Up to four calls."""
    head = context.index.head(context.requests.id)
    if head is not None:
        paths = [path for path, _ in _differing_at(context, head)]
        if paths:
            log.info("requests whose index entries are out of date", count=len(paths), first=paths[0])
            context.mark_all(map(request_key, paths), SyncPriority.BACKGROUND)
        _read_again(context, head)
    context.redis.hset(context.keys.rounds, FILES, context.now())


def _read_again(context: BoardContext, head: str) -> None:
    """Complete the entries of ended requests, once in each version whose entries have other fields. No call."""
    if text(context.redis.hget(context.keys.rounds, READ_AGAIN) or b"") == _FIELDS:
        return
    try:
        with context.mirror.read(context.requests) as view:
            if not view.has(head):
                return
            for blob, entry in _entries_at(context, view, head):
                if entry is not None and entry.state in AT_REST and entry.file_oid == blob.oid:
                    _complete(context, view, entry)
    except MirrorDamaged:
        return  # the next pass has a new mirror
    note_read(context)


def note_read(context: BoardContext) -> None:
    """Record that all entries of ended requests have the fields of this version."""
    context.redis.hset(context.keys.rounds, READ_AGAIN, _FIELDS)


def _complete(context: BoardContext, view: MirrorView, entry: IndexEntry) -> None:
    """Store what this version reads in the request's file, unless the entry has it or changes meanwhile."""
    data = view.blob(entry.file_oid, max_bytes=context.board.max_request_bytes)
    request = parse_request(entry.path, data) if data is not None else None
    if isinstance(request, Request) and (completed := with_snapshot(entry, request)) != entry:
        context.index.change(entry.path, lambda now: completed if now == entry else None)


def _entries_at(context: BoardContext, view: MirrorView, head: str) -> Iterator[tuple[GitFile, IndexEntry | None]]:
    """Every request file at `head`, with its entry."""
    files = (blob for blob in view.files(head) if is_request_path(blob.path) and _UNREADABLE not in blob.path)
    while chunk := list(islice(files, _CHUNK)):
        yield from zip(chunk, context.index.find([blob.path for blob in chunk]), strict=True)


def _differing_at(context: BoardContext, head: str) -> list[tuple[str, str]]:
    try:
        with context.mirror.read(context.requests) as view:
            if view.has(head):
                return list(out_of_step(context, view, head))
    except MirrorDamaged:
        pass  # there is no mirror, or a damaged one: the fetch makes it again
    newest = context.mirror.fetch(context.requests, depth=0)
    with context.mirror.read_fetched(context.requests) as view:
        return list(out_of_step(context, view, head if view.has(head) else newest))


def out_of_step(context: BoardContext, view: MirrorView, head: str) -> Iterator[tuple[str, str]]:
    """The path of each request whose entry disagrees with its file at `head`, and how it does."""
    present = set[int]()  # hashes, which need half of the paths' memory
    # Without these effects a request may be settled although its file does not say an end.
    acts = context.effects.mode(Effect.EDIT, Effect.RELAUNCH) is EffectMode.ON
    for blob, entry in _entries_at(context, view, head):
        present.add(hash(blob.path))
        if difference := _difference(blob, entry, acts=acts):
            yield blob.path, difference
    for path in context.index.paths():
        if hash(path) not in present:
            yield path, "The index has it, but there is no such file."


def _difference(blob: GitFile, entry: IndexEntry | None, *, acts: bool) -> str:
    if entry is None:
        return "The index does not have it."
    if entry.file_oid != blob.oid:
        return "The index has it as it was before its last change."
    if acts and entry.state == "settled" and _is_open(entry):
        return "It has not ended, but the index says that it has."
    return ""


def _is_open(entry: IndexEntry) -> bool:
    """Whether the judged file has a status that waits or runs."""
    word = entry.standing.status
    status = Status(word) if word in Status.__members__ else None
    return status is not None and (status.waits or status is Status.RUNNING)
