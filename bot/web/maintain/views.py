"""Views of a board for its maintainers, read from Redis: its inbox, its parked syncs, its unknown causes."""

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

MAX_READ, CHUNK_SIZE = 2_000, 100
"""Deliveries, or failed requests, read for one page; and those read at a time."""
MAX_MARKS, MAX_BODY_CHARACTERS = 10, 50_000
"""Marked keys, and characters of the body, that a page shows of one delivery."""
_UNKNOWN_VERDICT = "A verdict of another version of Steward."
_REQUEST = "request:"


class MaintenanceReader:
    """Reads the maintainers' views of one board."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self.log = InboxLog(context.redis, context.keys)

    def inbox(self, *, before: str = "", verdict: str = "", limit: int = 50) -> models.DeliveryListResponse:
        """A page of deliveries older than the place `before`, newest first; only those with `verdict`, if given."""
        page: list[StoredDelivery] = []
        last, is_over = "", True
        for number, stored in enumerate(self.log.newest(before=before)):
            if len(page) == limit or number == MAX_READ:
                is_over = False
                break
            last = stored.entry
            if verdict in ("", stored.verdict):
                page.append(stored)
        (number, size), states = self.log.size(), self._key_states(page)
        return models.DeliveryListResponse(
            deliveries=[models.DeliveryView(**_fields(stored, states)) for stored in page],
            counts=self.log.counts(),
            kept=number,
            kept_bytes=size,
            next=None if is_over else last,
        )

    def delivery(self, name: str) -> models.DeliveryResponse | None:
        """The delivery with this id, or at this place, with its body; None if it is not stored."""
        stored = self.log.find(name)
        if stored is None:
            return None
        body = readable_body(stored.body)
        cut = max(0, len(body) - MAX_BODY_CHARACTERS)
        fields = _fields(stored, self._key_states([stored]))
        return models.DeliveryResponse(**fields, body=body[:MAX_BODY_CHARACTERS], cut=cut)

    def parked(self) -> models.ParkedListResponse:
        """The parked syncs."""
        syncs = self.context.parking.all()
        paths = [sync.key.removeprefix(_REQUEST) for sync in syncs]
        entries = dict(zip(paths, self.context.index.find(paths), strict=True))
        return models.ParkedListResponse(parked=[_parked(sync, entries) for sync in syncs])

    def unknown(self, *, limit: int = 100) -> models.UnknownListResponse:
        """The requests whose cause is unknown, newest first."""
        failed = list(islice(self._failed(), MAX_READ))
        unknown = [entry for entry in failed if _is_unknown(entry)]
        public = [entry for entry in unknown if entry.standing.access == "public"]
        views = [_cause(self.context, entry) for entry in public[:limit]]
        return models.UnknownListResponse(unknown=views, hidden=len(unknown) - len(public), looked_at=len(failed))

    def _failed(self) -> Iterable[IndexEntry]:
        listed = self.context.index.catalog.newest(status="FAILED")
        while chunk := [path for _, path in islice(listed, CHUNK_SIZE)]:
            yield from (entry for entry in self.context.index.find(chunk) if entry is not None)

    def _key_states(self, page: Iterable[StoredDelivery]) -> dict[str, KeyState]:
        return self.log.key_states(mark.key for stored in page for mark in stored.marks[:MAX_MARKS])


def _fields(stored: StoredDelivery, states: dict[str, KeyState]) -> dict[str, object]:
    marks = stored.marks[:MAX_MARKS]
    return {
        "id": stored.id,
        "entry": stored.entry,
        "received": iso(stored.received),
        "verdict": stored.verdict,
        "meaning": VERDICTS.get(stored.verdict, _UNKNOWN_VERDICT),
        "marks": [models.MarkedKeyView(key=mark.key, standing=states[mark.key]) for mark in marks],
        "more_marks": len(stored.marks) - len(marks),
        "bytes": len(stored.body),
    }


def _parked(sync: ParkedSync, entries: dict[str, IndexEntry | None]) -> models.ParkedSyncView:
    path = sync.key.removeprefix(_REQUEST)
    entry = entries.get(path) if sync.key.startswith(_REQUEST) else None
    page = f"/requests/{quote(path)}" if entry is not None and not entry.is_private else ""
    return models.ParkedSyncView(key=sync.key, since=iso(sync.since), tries=sync.tries, error=sync.error, page_url=page)


def _is_unknown(entry: IndexEntry) -> bool:
    failure = entry.standing.failure
    if failure is None:
        return False
    # A refusal has its own causes; a cause that another version stored may not exist any more.
    return failure.cause == UNKNOWN or (failure.fault == "unknown" and failure.cause not in CAUSES)


def _cause(context: BoardContext, entry: IndexEntry) -> models.UnknownCauseView:
    summary = serializers.summary(context, entry)
    return models.UnknownCauseView(
        path=entry.path,
        model=summary.model,
        submitted=summary.submitted or "",
        message=summary.failure.message if summary.failure is not None else "",
        log_url=(entry.standing.log or None) if summary.access == "public" else None,
        page_url=f"/requests/{quote(entry.path)}",
        request_url=summary.request_url,
    )
