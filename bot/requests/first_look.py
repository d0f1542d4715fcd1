"""The first index entry of a request file, and whether the file needs a sync.

After Redis was lost, a board may have a hundred thousand such files, nearly all of them ended. An ended request is
indexed from its file alone; a file that waits, runs or cannot be understood gets its own sync, which asks the Hub.
"""

from __future__ import annotations

from bot.core.adoption import git_id
from bot.core.context import BoardContext
from hub.records import File, FileEntry
from leaderboard.adoption import is_old
from leaderboard.jsontext import JsonObject, object_in
from leaderboard.lifecycle import highest_used_number
from leaderboard.reasons import Problem
from leaderboard.requests import Request, Status, parse_request
from redis_state.board.entry import EntryChanges, IndexEntry
from redis_state.board.request_snapshot import snapshot_of, snapshot_of_unreadable

_NEW_ENTRY = IndexEntry(path="")


def entry_of_new_file(
    path: str, oid: str, data: bytes | None, *, adopted: str | None = None
) -> tuple[IndexEntry, bool]:
    """The entry of the file at `path`, and whether it needs a sync. `data` is None if the file is too large to read.

    `adopted` is the blob id that the file had when the board was adopted: an old file needs no sync. An entry that
    needs a sync has no blob id yet, so that the next comparison finds it again if its mark gets lost.
    """
    request = parse_request(path, data) if data is not None else []
    readable = request if isinstance(request, Request) else None
    if is_old(adopted, oid, readable):
        return entry_of_old_file(IndexEntry(path=path, standing=snapshot_of_unreadable(data)), oid, readable), False
    if isinstance(request, Request):
        return _readable(path, oid, request)
    if data is not None and _is_at_rest(data):
        return IndexEntry(path=path, state="foreign", file_oid=oid, standing=snapshot_of_unreadable(data)), False
    return IndexEntry(path=path, standing=snapshot_of_unreadable(data)), True


def entry_of_old_file(entry: IndexEntry, oid: str, request: Request | None) -> IndexEntry:
    """The entry of a file from before adoption: listed, and never worked on, whatever its status is."""
    if request is None:
        return entry.changed(state="foreign", file_oid=oid, job=None, standing=entry.standing.as_old())
    status, facts = request.status, request.file.steward
    ended = status is not None and not status.waits and status is not Status.RUNNING
    return entry.changed(
        state="settled" if ended else "foreign",
        file_oid=oid,
        job=None,
        model=request.path.model,
        sha=facts.revision,
        thread=facts.thread,
        parameters=_parameters(entry, request),
        standing=snapshot_of(request, entry.standing.access, old=True),
    )


def skip_if_old(context: BoardContext, entry: IndexEntry, file: File, request: Request | list[Problem]) -> bool:
    """Whether the file is old; if so, index it as a file that needs no work."""
    readable = request if isinstance(request, Request) else None
    if not context.adoption.is_old(file, readable):
        return False
    context.index.put(entry_of_old_file(entry, git_id(file.oid, len(file.data)), readable))
    return True


def skip_if_old_and_large(context: BoardContext, entry: IndexEntry, file: FileEntry) -> bool:
    """Whether a file that is too large to read is old; if so, index it as a file that needs no work."""
    if not context.adoption.is_old_entry(file):
        return False
    context.index.put(entry_of_old_file(entry, git_id(file.oid, file.size), None))
    return True


def with_file_fields(entry: IndexEntry, request: Request) -> IndexEntry:
    """The entry with model, commit, attempt and thread from the file."""
    return entry.changed(**_file_fields(entry, request))


def _file_fields(entry: IndexEntry, request: Request) -> EntryChanges:
    facts = request.file.steward
    return {
        "model": request.path.model or entry.model,
        "sha": facts.revision or entry.sha,
        "thread": facts.thread or entry.thread,
        "weights": facts.weights or entry.weights,
        "parameters": _parameters(entry, request),
        "number": max(entry.number, facts.attempt),
    }


def with_snapshot(entry: IndexEntry, request: Request) -> IndexEntry:
    """The entry of an ended request with the size and the displayed fields that its file has.

    Returns the entry unchanged if its status differs from the file's, as for a request that was refused in shadow mode.
    After a rename, the details repo may be named in the entry alone.
    """
    snapshot = snapshot_of(request, entry.standing.access, old=entry.standing.old)
    if snapshot.status != entry.standing.status:
        return entry
    details = snapshot.details or entry.standing.details
    return entry.changed(parameters=_parameters(entry, request), standing=snapshot.with_details(details))


def _parameters(entry: IndexEntry, request: Request) -> int | None:
    """The number of parameters: as admission counted them, else as the front end wrote it into the file."""
    if entry.parameters is not None or request.billions is None:
        return entry.parameters
    return round(request.billions * 1e9)


def _readable(path: str, oid: str, request: Request) -> tuple[IndexEntry, bool]:
    changes, needs_sync = _first_state(oid, request)
    changes |= {"used": highest_used_number(request) or None, "standing": snapshot_of(request)}
    return IndexEntry(path=path, **_file_fields(_NEW_ENTRY, request) | changes), needs_sync


def _first_state(oid: str, request: Request) -> tuple[EntryChanges, bool]:
    """The state in the entry of a readable file, and whether the file needs a sync."""
    facts, status = request.file.steward, request.status
    if status is None or (status is Status.RUNNING and facts.attempt == 0):
        return {"state": "foreign", "file_oid": oid}, False
    if status is Status.RUNNING:
        return {"state": "running", "attempt": str(request.file.job_id)}, True
    if status.waits:
        return {}, True
    result = facts.kept if status is Status.CANCELLED else None  # only the newer evaluation was withdrawn
    return {"state": "settled", "file_oid": oid, "kept": result}, False


def _is_at_rest(data: bytes) -> bool:
    """Whether a file that cannot be read as a request has an ended status: an old file in an unknown dialect."""
    fields = object_in(data)
    return fields is not None and not waits(fields)


def waits(fields: JsonObject) -> bool:
    """Whether the object of an unreadable request file waits for an evaluation, by its status; no status counts too."""
    status = fields.get("status")
    word = status.strip().upper() if isinstance(status, str) else Status.PENDING.value
    return word in Status.__members__ and Status(word).waits
