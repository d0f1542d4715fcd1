"""What maintainers see of a board: its inbox, its parked syncs, its unknown causes. All of it is read from Redis."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from urllib.parse import quote

from bot.core.context import BoardContext
from bot.intake.deliveries import VERDICTS
from bot.intake.inbox_log import InboxLog, KeyState, StoredDelivery, readable_body
from bot.read_models import serializers
from bot.web.maintain import models
from leaderboard.failures import CAUSES, UNKNOWN
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso
from redis_state.parking import ParkedSync

LOOKED_AT, CHUNK = 2_000, 100
"""Deliveries, or failed requests, that are looked at for one page; and those that are read at a time."""
MARKS, CHARACTERS = 10, 50_000
"""Marks of a delivery, and characters of its body, that are shown."""
_ANOTHER = "A word of another version of Steward."
_REQUEST = "request:"


class MaintenanceReader:
    """One board, as its maintainers see it."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self.log = InboxLog(context.redis, context.keys)

    def inbox(self, *, before: str = "", verdict: str = "", limit: int = 50) -> models.DeliveryListResponse:
        """A page of deliveries, newest first, those before the place `before`, of which `verdict` was made."""
        found: list[StoredDelivery] = []
        last, is_over = "", True
        for number, stored in enumerate(self.log.newest(before=before)):
            if len(found) == limit or number == LOOKED_AT:
                is_over = False
                break
            last = stored.entry
            if verdict in ("", stored.verdict):
                found.append(stored)
        (number, size), standings = self.log.size(), self._standings(found)
        return models.DeliveryListResponse(
            deliveries=[models.DeliveryView(**_fields(one, standings)) for one in found],
            counts=self.log.counts(),
            kept=number,
            kept_bytes=size,
            next=None if is_over else last,
        )

    def delivery(self, name: str) -> models.DeliveryResponse | None:
        """The delivery of this id, or at this place, with its body; None where it is not kept."""
        stored = self.log.find(name)
        if stored is None:
            return None
        body = readable_body(stored.body)
        cut = max(0, len(body) - CHARACTERS)
        fields = _fields(stored, self._standings([stored]))
        return models.DeliveryResponse(**fields, body=body[:CHARACTERS], cut=cut)

    def parked(self) -> models.ParkedListResponse:
        """The syncs that wait to be woken."""
        found = self.context.parking.all()
        paths = [one.key.removeprefix(_REQUEST) for one in found]
        entries = dict(zip(paths, self.context.index.find(paths), strict=True))
        return models.ParkedListResponse(parked=[_parked(one, entries) for one in found])

    def unknown(self, *, limit: int = 100) -> models.UnknownListResponse:
        """The requests whose cause is unknown, the newest first."""
        entries = list(islice(self._failed(), LOOKED_AT))
        found = [one for one in entries if _is_unknown(one)]
        seen = [one for one in found if one.standing.access == "public"]
        told = [_cause(self.context, one) for one in seen[:limit]]
        return models.UnknownListResponse(unknown=told, hidden=len(found) - len(seen), looked_at=len(entries))

    def _failed(self) -> Iterable[IndexEntry]:
        listed = self.context.index.catalog.newest(status="FAILED")
        while chunk := [path for _, path in islice(listed, CHUNK)]:
            yield from (one for one in self.context.index.find(chunk) if one is not None)

    def _standings(self, found: Iterable[StoredDelivery]) -> dict[str, KeyState]:
        return self.log.standings(mark.key for one in found for mark in one.marks[:MARKS])


def _fields(stored: StoredDelivery, standings: dict[str, KeyState]) -> dict[str, object]:
    marks = stored.marks[:MARKS]
    return {
        "id": stored.id,
        "entry": stored.entry,
        "received": iso(stored.received),
        "verdict": stored.verdict,
        "meaning": VERDICTS.get(stored.verdict, _ANOTHER),
        "marks": [models.MarkedKeyView(key=mark.key, standing=standings[mark.key]) for mark in marks],
        "more_marks": len(stored.marks) - len(marks),
        "bytes": len(stored.body),
    }


def _parked(one: ParkedSync, entries: dict[str, IndexEntry | None]) -> models.ParkedSyncView:
    path = one.key.removeprefix(_REQUEST)
    entry = entries.get(path) if one.key.startswith(_REQUEST) else None
    page = f"/requests/{quote(path)}" if entry is not None and not entry.is_private else ""
    return models.ParkedSyncView(key=one.key, since=iso(one.since), tries=one.tries, error=one.error, page_url=page)


def _is_unknown(entry: IndexEntry) -> bool:
    failure = entry.standing.failure
    if failure is None:
        return False
    # A refusal has a cause of its own; what another version gave to a death may be no cause any more.
    return failure.cause == UNKNOWN or (failure.fault == "unknown" and failure.cause not in CAUSES)


def _cause(context: BoardContext, entry: IndexEntry) -> models.UnknownCauseView:
    told = serializers.summary(context, entry)
    return models.UnknownCauseView(
        path=entry.path,
        model=told.model,
        submitted=told.submitted or "",
        message=told.failure.message if told.failure is not None else "",
        log_url=told.log_url,
        page_url=f"/requests/{quote(entry.path)}",
        request_url=told.request_url,
    )
