"""A request file that is new to the index: is there anything to do about it, or is it only to be remembered?

After Redis was lost a board may have a hundred thousand of them, nearly all at their end. What is at its end is put
into the index from its file alone; what waits, runs, or is not understood gets a sync of its own, which asks the Hub.
"""

from __future__ import annotations

from leaderboard.adoption import is_old
from leaderboard.jsontext import object_in
from leaderboard.lifecycle import highest_used_number
from leaderboard.requests import Request, Status, parse_request
from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import snapshot_of, snapshot_of_unreadable


def entry_of_new_file(
    path: str, oid: str, data: bytes | None, *, adopted: str | None = None
) -> tuple[IndexEntry, bool]:
    """The entry of the file at `path`, and whether it needs a sync. `data` is None where the file is too large to read.

    `adopted` is the blob id that the file had when the board was adopted: what is old needs none. What does carries no
    blob id yet: should its sync get lost, the next comparison finds it again.
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
    """The entry of a file from before adoption: listed, and at rest whatever it says."""
    if request is None:
        seen = entry.standing.model_copy(update={"old": True})
        return entry.model_copy(update={"state": "foreign", "file_oid": oid, "job": None, "standing": seen})
    status, facts = request.status, request.file.steward
    ended = status is not None and not status.waits and status is not Status.RUNNING
    state = "settled" if ended else "foreign"
    seen = snapshot_of(request, entry.standing.access, old=True)
    known = {"model": request.path.model, "sha": facts.revision, "thread": facts.thread, "standing": seen}
    return entry.model_copy(update={**known, "state": state, "file_oid": oid, "job": None})


def with_file_fields(entry: IndexEntry, request: Request) -> IndexEntry:
    """The entry with what the file alone says of model, commit, attempt and thread."""
    facts = request.file.steward
    said = {"model": request.path.model, "sha": facts.revision, "thread": facts.thread, "weights": facts.weights}
    number = max(entry.number, facts.attempt)
    return entry.model_copy(update={**{name: word for name, word in said.items() if word}, "number": number})


def _readable(path: str, oid: str, request: Request) -> tuple[IndexEntry, bool]:
    facts = request.file.steward
    known = with_file_fields(
        IndexEntry(path=path, used=highest_used_number(request) or None, standing=snapshot_of(request)), request
    )
    status = request.status
    if status is None or (status is Status.RUNNING and facts.attempt == 0):
        return known.model_copy(update={"state": "foreign", "file_oid": oid}), False
    if status is Status.RUNNING:
        return known.model_copy(update={"state": "running", "attempt": str(request.file.job_id)}), True
    if status.waits:
        return known, True
    kept = facts.kept if status is Status.CANCELLED else None  # what was withdrawn is a newer evaluation alone
    return known.model_copy(update={"state": "settled", "file_oid": oid, "kept": kept}), False


def _is_at_rest(data: bytes) -> bool:
    """Whether a file that is no readable request says that nothing more is to come: an old one in a strange dialect."""
    fields = object_in(data)
    if fields is None:
        return False
    status = fields.get("status")
    word = status.strip().upper() if isinstance(status, str) else Status.PENDING.value
    return not (word in Status.__members__ and Status(word).waits)
