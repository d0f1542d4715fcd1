"""Pages of requests, newest first, and of the queue, in turn: each reads from Redis what is on the page."""

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

LOOKED_AT = 2_000
"""Requests that are looked at for one page, at most: with rare filters a page may be short, and goes on at `next`."""
CHUNK = 100

Cursor = tuple[float, str]


class BadCursor(ValueError):
    """A cursor that is none of ours."""


class QueueReader:
    """The pages of one board."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self._turns: tuple[QueueSnapshot, list[WaitingRequest], list[WaitingRequest]] | None = None

    # --- all requests

    def requests(
        self, *, status: str = "", model: str = "", submitter: str = "", cursor: str = "", limit: int = 100
    ) -> models.RequestListResponse:
        """The requests that fit all filters, from `cursor` on. Raises BadCursor."""
        after = read_cursor(cursor) if cursor else None
        found: list[IndexEntry] = []
        last: Cursor | None = None
        looked = 0
        for time, entry in self._candidates(status, model, submitter, after):
            if len(found) == limit or looked == LOOKED_AT:
                following = write_cursor(last) if last is not None else None
                return models.RequestListResponse(requests=serializers.summaries(self.context, found), next=following)
            last, looked = (time, entry.path), looked + 1
            if _fits(entry, status, model, submitter):
                found.append(entry)
        return models.RequestListResponse(requests=serializers.summaries(self.context, found), next=None)

    def _candidates(
        self, status: str, model: str, submitter: str, after: Cursor | None
    ) -> Iterator[tuple[float, IndexEntry]]:
        index = self.context.index
        if model:
            known = sorted(((entry.time, entry.path, entry) for entry in index.of_model(model)), reverse=True)
            yield from ((time, entry) for time, path, entry in known if after is None or (time, path) < after)
            return
        listed = index.catalog.newest(status=status, submitter=submitter, after=after)
        while chunk := list(islice(listed, CHUNK)):
            entries = index.find([path for _, path in chunk])
            yield from ((time, entry) for (time, _), entry in zip(chunk, entries, strict=True) if entry is not None)

    def request(self, path: str) -> models.RequestView | None:
        """The request at `path`; None where there is none that the public may know of."""
        entry = self.context.index.find([path])[0]
        return serializers.request(self.context, entry) if entry is not None and not entry.is_private else None

    # --- the queue

    def queue(self, *, after: int = 0, held_after: int = 0, limit: int = 100) -> models.QueueResponse:
        """Those that wait, from position `after` on; those that are held back; those that run."""
        snapshot = take_snapshot(self.context)
        waiting, held = self._in_turn(snapshot)
        page, back = waiting[after : after + limit], held[held_after : held_after + limit]
        running = sorted(snapshot.running, key=lambda busy: (-busy.started, busy.path))
        entries = self._entries(chain((one.path for one in (*page, *back)), (busy.path for busy in running[:limit])))
        told = [entries[busy.path] for busy in running[:limit] if busy.path in entries]
        states = self.context.attempts.read_all(one.attempt for one in told if one.attempt is not None)
        pauses = self.context.pauses.all() if back else {}
        return models.QueueResponse(
            counts=models.QueueCountsView(
                waiting=len(waiting), held=len(held), running=len(running), workers=len(snapshot.conditions.capacities)
            ),
            waiting=[self._waiting(snapshot, one, entries) for one in page],
            held=[_blocked_view(snapshot, one, entries.get(one.path), pauses) for one in back],
            running=[_running(one, states.get(one.attempt or "")) for one in told],
            next=after + limit if after + limit < len(waiting) else None,
            next_held=held_after + limit if held_after + limit < len(held) else None,
        )

    def whole_queue(self, *, limit: int) -> models.WholeQueueResponse:
        """`queue` with the newest of those that ended, `limit` of each kind."""
        finished, failed = (self.requests(status=status, limit=limit) for status in ("FINISHED", "FAILED"))
        return models.WholeQueueResponse(
            **dict(self.queue(limit=limit)),
            finished=finished.requests,
            failed=failed.requests,
            next_finished=finished.next,
            next_failed=failed.next,
        )

    def _in_turn(self, snapshot: QueueSnapshot) -> tuple[Sequence[WaitingRequest], Sequence[WaitingRequest]]:
        """Those that have a position, by it, and those that are held back; worked out once for each line."""
        turns_of = self._turns  # another thread may put those of another line in its place
        if turns_of is None or turns_of[0] is not snapshot:
            lanes = list(snapshot.order.values())
            turns = lanes[0] if len(lanes) == 1 else [one for rank in zip_longest(*lanes) for one in rank if one]
            held = sorted(one for one in snapshot.waiting if one.path not in snapshot.positions)
            self._turns = turns_of = (snapshot, turns, held)
        return turns_of[1:]

    def _entries(self, paths: Iterable[str]) -> dict[str, IndexEntry]:
        found = self.context.index.find(list(paths))
        return {entry.path: entry for entry in found if entry is not None}

    def _waiting(
        self, snapshot: QueueSnapshot, one: WaitingRequest, entries: dict[str, IndexEntry]
    ) -> models.WaitingRequestView:
        outlook = snapshot.outlook(one.path)
        assert outlook is not None
        place = serializers.place(outlook)
        return models.WaitingRequestView(**dict(place), **_identity_fields(entries.get(one.path)), tier=one.tier)


def _blocked_view(
    snapshot: QueueSnapshot, one: WaitingRequest, entry: IndexEntry | None, pauses: Mapping[str, Hold]
) -> models.BlockedRequestView:
    back = find_blocker(one, snapshot.conditions)
    assert back is not None
    seen = entry if entry is not None and not entry.is_private else None  # a maintainer's words may name the model
    who = {name: word for name, word in _identity_fields(seen).items() if name != "precision"}
    return models.BlockedRequestView(**dict(serializers.blocker_view(seen, back, pauses)), **who, tier=one.tier)


def _running(entry: IndexEntry, state: AttemptState | None) -> models.RunningRequestView:
    return models.RunningRequestView(**dict(serializers.progress(state)), **_identity_fields(entry), tier=entry.tier)


def _identity_fields(entry: IndexEntry | None) -> dict[str, str | None]:
    """Which request it is; nothing of it where the public may not know."""
    if entry is None or entry.is_private:
        return {"path": None, "model": None, "precision": "", "submitter": ""}
    precision = entry.precision
    return {"path": entry.path, "model": entry.model, "precision": precision, "submitter": entry.whose}


def _fits(entry: IndexEntry, status: str, model: str, submitter: str) -> bool:
    if entry.is_private or (status and entry.standing.status != status):
        return False
    if submitter and entry.whose.casefold() != submitter.casefold():
        return False
    return not model or entry.model.casefold() == model.casefold()


def write_cursor(after: Cursor) -> str:
    """Time and path as one word that needs no quoting in an address."""
    return base64.urlsafe_b64encode(f"{after[0]!r} {after[1]}".encode()).decode().rstrip("=")


def read_cursor(word: str) -> Cursor:
    """Time and path in a cursor. Raises BadCursor."""
    try:
        time, _, path = base64.b64decode(word + "=" * (-len(word) % 4), b"-_", validate=True).decode().partition(" ")
        found = float(time)
    except (ValueError, binascii.Error) as error:
        raise BadCursor(word[:50]) from error
    if not path or not -1e15 < found < 1e15:
        raise BadCursor(word[:50])
    return found, path
