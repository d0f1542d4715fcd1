"""Pages of requests, newest first, and pages of the queue, in order; each page reads only its own entries."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest

from bot.core.context import BoardContext
from bot.read_models import models, serializers
from bot.read_models.queue_snapshot import take_snapshot
from leaderboard.dispatch import WaitingRequest, find_blocker
from leaderboard.holds import Hold
from leaderboard.queue_snapshot import QueueSnapshot
from redis_state.attempts import AttemptState
from redis_state.board.entry import IndexEntry

MAX_SCANNED = 2_000
"""Requests that one page scans; a page with a rare filter may be short, and continues at `next`."""
CHUNK = 100

Cursor = tuple[float, str]


class BadCursor(ValueError):
    """A cursor that this server did not write."""


class QueueReader:
    """The pages of one board."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self._ordered: tuple[QueueSnapshot, list[WaitingRequest], list[WaitingRequest]] | None = None

    # --- all requests

    def requests(
        self, *, status: str = "", model: str = "", submitter: str = "", cursor: str = "", limit: int = 100
    ) -> models.RequestListResponse:
        """The requests that match all filters, from `cursor` on. Raises BadCursor."""
        after = read_cursor(cursor) if cursor else None
        page: list[IndexEntry] = []
        last: Cursor | None = None
        scanned = 0
        for time, entry in self._candidates(status, model, submitter, after):
            if len(page) == limit or scanned == MAX_SCANNED:
                following = write_cursor(last) if last is not None else None
                return models.RequestListResponse(requests=serializers.summaries(self.context, page), next=following)
            last, scanned = (time, entry.path), scanned + 1
            if _matches(entry, status, model, submitter):
                page.append(entry)
        return models.RequestListResponse(requests=serializers.summaries(self.context, page), next=None)

    def _candidates(
        self, status: str, model: str, submitter: str, after: Cursor | None
    ) -> Iterator[tuple[float, IndexEntry]]:
        index = self.context.index
        if model:
            newest = sorted(((entry.time, entry.path, entry) for entry in index.of_model(model)), reverse=True)
            yield from ((time, entry) for time, path, entry in newest if after is None or (time, path) < after)
            return
        listed = index.catalog.newest(status=status, submitter=submitter, after=after)
        while chunk := list(islice(listed, CHUNK)):
            entries = index.find([path for _, path in chunk])
            yield from ((time, entry) for (time, _), entry in zip(chunk, entries, strict=True) if entry is not None)

    def request(self, path: str) -> models.RequestView | None:
        """The public request at `path`; None where there is none."""
        entry = self.context.index.find([path])[0]
        return serializers.request(self.context, entry) if entry is not None and not entry.is_private else None

    # --- the queue

    def queue(self, *, after: int = 0, held_after: int = 0, limit: int = 100) -> models.QueueResponse:
        """Waiting requests from position `after` on, blocked requests, and running requests."""
        snapshot = take_snapshot(self.context)
        waiting, held = self._in_order(snapshot)
        page, held_page = waiting[after : after + limit], held[held_after : held_after + limit]
        running = sorted(snapshot.running, key=lambda attempt: (-attempt.started, attempt.path))[:limit]
        entries = self._entries(chain((item.path for item in (*page, *held_page)), (item.path for item in running)))
        running_entries = [entries[attempt.path] for attempt in running if attempt.path in entries]
        states = self.context.attempts.read_all(entry.attempt for entry in running_entries if entry.attempt is not None)
        pauses = self.context.pauses.all() if held_page else {}
        now = self.context.now()
        delayed = self.context.index.delayed(now)
        return models.QueueResponse(
            counts=models.QueueCountsView(
                waiting=len(waiting),
                held=len(held) + len(delayed),
                running=len(snapshot.running),
                workers=len(snapshot.conditions.capacities),
            ),
            waiting=[_waiting_view(snapshot, request, entries.get(request.path)) for request in page],
            held=[
                *(_blocked_view(snapshot, request, entries.get(request.path), pauses) for request in held_page),
                *(_delayed_view(entry, now) for entry in delayed[:limit] if held_after + limit >= len(held)),
            ],
            running=[_running_view(entry, states.get(entry.attempt or "")) for entry in running_entries],
            next=after + limit if after + limit < len(waiting) else None,
            next_held=held_after + limit if held_after + limit < len(held) else None,
        )

    def whole_queue(self, *, limit: int) -> models.WholeQueueResponse:
        """`queue`, with the newest finished and failed requests, `limit` of each."""
        finished, failed = (self.requests(status=status, limit=limit) for status in ("FINISHED", "FAILED"))
        return models.WholeQueueResponse(
            **dict(self.queue(limit=limit)),
            finished=finished.requests,
            failed=failed.requests,
            next_finished=finished.next,
            next_failed=failed.next,
        )

    def _in_order(self, snapshot: QueueSnapshot) -> tuple[Sequence[WaitingRequest], Sequence[WaitingRequest]]:
        """The requests with a position, in order, and the blocked ones; computed once for each snapshot."""
        ordered = self._ordered  # another thread may replace it with that of another snapshot
        if ordered is None or ordered[0] is not snapshot:
            lanes = list(snapshot.order.values())
            turns = lanes[0] if len(lanes) == 1 else [item for rank in zip_longest(*lanes) for item in rank if item]
            held = sorted(request for request in snapshot.waiting if request.path not in snapshot.positions)
            self._ordered = ordered = (snapshot, turns, held)
        return ordered[1:]

    def _entries(self, paths: Iterable[str]) -> dict[str, IndexEntry]:
        entries = self.context.index.find(list(paths))
        return {entry.path: entry for entry in entries if entry is not None}


def _waiting_view(
    snapshot: QueueSnapshot, request: WaitingRequest, entry: IndexEntry | None
) -> models.WaitingRequestView:
    outlook = snapshot.outlook(request.path)
    assert outlook is not None
    return models.WaitingRequestView(**dict(serializers.place(outlook)), **_identity_fields(entry), tier=request.tier)


def _blocked_view(
    snapshot: QueueSnapshot, request: WaitingRequest, entry: IndexEntry | None, pauses: Mapping[str, Hold]
) -> models.BlockedRequestView:
    blocker = find_blocker(request, snapshot.conditions)
    assert blocker is not None
    public = entry if entry is not None and not entry.is_private else None  # a maintainer's reason may name the model
    identity = {name: value for name, value in _identity_fields(public).items() if name != "precision"}
    view = serializers.blocker_view(public, blocker, pauses)
    return models.BlockedRequestView(**dict(view), **identity, tier=request.tier)


def _delayed_view(entry: IndexEntry, now: float) -> models.BlockedRequestView:
    blocker = serializers.delay_view(entry, now)
    assert blocker is not None
    public = None if entry.is_private else entry
    identity = {name: value for name, value in _identity_fields(public).items() if name != "precision"}
    return models.BlockedRequestView(**dict(blocker), **identity, tier=entry.tier)


def _running_view(entry: IndexEntry, state: AttemptState | None) -> models.RunningRequestView:
    return models.RunningRequestView(**dict(serializers.progress(state)), **_identity_fields(entry), tier=entry.tier)


def _identity_fields(entry: IndexEntry | None) -> dict[str, str | None]:
    """The fields that identify a request; empty ones for a private request."""
    if entry is None or entry.is_private:
        return {"path": None, "model": None, "precision": "", "submitter": ""}
    precision = entry.precision
    return {"path": entry.path, "model": entry.model, "precision": precision, "submitter": entry.known_submitter}


def _matches(entry: IndexEntry, status: str, model: str, submitter: str) -> bool:
    if entry.is_private or (status and entry.standing.status != status):
        return False
    if submitter and entry.known_submitter.casefold() != submitter.casefold():
        return False
    return not model or entry.model.casefold() == model.casefold()


def write_cursor(after: Cursor) -> str:
    """Encode time and path as one word that needs no quoting in a URL."""
    return base64.urlsafe_b64encode(f"{after[0]!r} {after[1]}".encode()).decode().rstrip("=")


def read_cursor(word: str) -> Cursor:
    """Decode a cursor to time and path. Raises BadCursor."""
    try:
        number, _, path = base64.b64decode(word + "=" * (-len(word) % 4), b"-_", validate=True).decode().partition(" ")
        time = float(number)
    except (ValueError, binascii.Error) as error:
        raise BadCursor(word[:50]) from error
    if not path or not -1e15 < time < 1e15:
        raise BadCursor(word[:50])
    return time, path
