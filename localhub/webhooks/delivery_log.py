"""The deliveries of every webhook as rows: its activity log, and the deliveries to send after a restart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from localhub.database import Database
from localhub.json_values import JsonObject

DeliveryState = Literal["pending", "delivered", "failed", "dropped", "over-quota", "suspended", "disabled", "deleted"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
  id TEXT PRIMARY KEY, webhook_id TEXT NOT NULL, delivery_id TEXT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL, status INTEGER, error TEXT, created_at REAL NOT NULL, due REAL NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_by_webhook ON deliveries (webhook_id, created_at, state, delivery_id);
CREATE INDEX IF NOT EXISTS deliveries_pending ON deliveries (due) WHERE state = 'pending';
"""

_LOG_SECONDS = 48 * 3600.0
"""Seconds of the Hub's clock that a finished delivery stays in the log."""
_PRUNE_INTERVAL = 500
"""Deliveries added between two prunings of the log."""


@dataclass(frozen=True)
class OutgoingDelivery:
    """One delivery. `id` names the entry of the log; `delivery_id` goes out as `Webhook-Id`, also when repeated.

    `created_at` is on the Hub's clock; `due`, the time of the next attempt, is in real seconds: a clock that runs fast
    must not shorten the pauses in which a receiver recovers.
    """

    id: str
    webhook_id: str
    delivery_id: str
    payload: str
    state: DeliveryState
    attempts: int
    status: int | None
    error: str | None
    created_at: float
    due: float

    @property
    def body(self) -> JsonObject:
        """The payload as JSON data."""
        parsed: dict[str, Any] = json.loads(self.payload)
        return parsed


class DeliveryLog:
    """The table of deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._added = 0
        database.ensure(SCHEMA)

    def add(self, deliveries: Sequence[OutgoingDelivery], now: float) -> None:
        """Store deliveries, all or none; prune the log after every few hundred."""
        with self._database.write() as db:
            db.executemany(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [_values(item) for item in deliveries]
            )
            self._added += len(deliveries)
            if self._added >= _PRUNE_INTERVAL:
                self._added = 0
                db.execute("DELETE FROM deliveries WHERE state != 'pending' AND created_at < ?", (now - _LOG_SECONDS,))

    def update(self, delivery: OutgoingDelivery, **columns: Any) -> OutgoingDelivery:
        """Store new values of `columns`; return the changed delivery."""
        changed = replace(delivery, **columns)
        values = (changed.state, changed.attempts, changed.status, changed.error, changed.due, changed.id)
        with self._database.write() as db:
            db.execute(
                "UPDATE deliveries SET state = ?, attempts = ?, status = ?, error = ?, due = ? WHERE id = ?", values
            )
        return changed

    def end_pending(self, webhook_id: str, state: DeliveryState) -> int:
        """Set the pending deliveries of a webhook to `state`; return how many there were."""
        with self._database.write() as db:
            cursor = db.execute(
                "UPDATE deliveries SET state = ? WHERE webhook_id = ? AND state = 'pending'", (state, webhook_id)
            )
            return cursor.rowcount

    def find(self, webhook_id: str, log_id: str) -> OutgoingDelivery | None:
        """The entry `log_id` of a webhook's log, if there is one."""
        row = self._database.row(
            "SELECT * FROM deliveries WHERE id = ? AND webhook_id = ?", (log_id.lower(), webhook_id)
        )
        return _delivery(row) if row else None

    def pending(self) -> list[OutgoingDelivery]:
        """The pending deliveries of all webhooks, ordered by due time."""
        rows = self._database.rows("SELECT * FROM deliveries WHERE state = 'pending' ORDER BY due, rowid")
        return [_delivery(row) for row in rows]

    def latest(self, webhook_id: str, count: int) -> list[OutgoingDelivery]:
        """The newest `count` entries of a webhook's log, newest first."""
        rows = self._database.rows(
            "SELECT * FROM deliveries WHERE webhook_id = ? ORDER BY rowid DESC LIMIT ?", (webhook_id, count)
        )
        return [_delivery(row) for row in rows]

    def triggers_since(self, webhook_id: str, moment: float) -> int:
        """How many events triggered the webhook since `moment`, without those over its quota."""
        row = self._database.row(
            "SELECT count(DISTINCT delivery_id) AS n FROM deliveries"
            " WHERE webhook_id = ? AND created_at >= ? AND state != 'over-quota'",
            (webhook_id, moment),
        )
        return int(row["n"]) if row else 0


def _values(item: OutgoingDelivery) -> tuple[object, ...]:
    names = ("id", "webhook_id", "delivery_id", "payload", "state", "attempts", "status", "error", "created_at", "due")
    return tuple(getattr(item, name) for name in names)


def _delivery(row: sqlite3.Row) -> OutgoingDelivery:
    return OutgoingDelivery(**dict(row))
