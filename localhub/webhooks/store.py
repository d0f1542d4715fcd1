"""Webhooks as rows.

A webhook watches repos and accounts by id, so that it survives their renames.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from localhub.clock import Clock, iso
from localhub.database import Database
from localhub.errors import HubError
from localhub.ids import new_id
from localhub.repos.events import HubEvent

WebhookDomain = Literal["repo", "discussion"]
SUSPENDED = "suspended-after-failure"

SCHEMA = """
CREATE TABLE IF NOT EXISTS webhooks (
  id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, url TEXT NOT NULL, secret TEXT, watched TEXT NOT NULL,
  domains TEXT NOT NULL, disabled TEXT NOT NULL DEFAULT '', failures INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL, last_trigger_at TEXT);
"""


@dataclass(frozen=True)
class WebhookTarget:
    """A repo (model, dataset, space) or an account (user, org), by id; `name` is its name when it was added."""

    type: str
    name: str
    id: str


@dataclass(frozen=True)
class Webhook:
    """One webhook; `disabled` is '', 'disabled' or 'suspended-after-failure'. One without a `url` starts a Job."""

    id: str
    owner_id: str
    url: str
    secret: str | None
    watched: tuple[WebhookTarget, ...]
    domains: tuple[WebhookDomain, ...]
    disabled: str
    failures: int
    created_at: str
    last_trigger_at: str | None

    @property
    def starts_job(self) -> bool:
        """Whether each event starts a Job, in place of a call."""
        return not self.url

    def matches(self, event: HubEvent) -> bool:
        """Whether the event is of one of the domains and about a target that this webhook watches."""
        domain = event.kind.partition(".")[0]
        subjects = {event.repo.oid, event.repo.owner_id}
        if event.moved_to:
            subjects.add(event.moved_to.owner_id)
        return domain in self.domains and any(target.id in subjects for target in self.watched)


class WebhookStore:
    """The table of webhooks, with a cached list of the enabled ones."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._version = 0
        """Rises after each change: a cached list of an older version is stale."""
        self._enabled: tuple[int, list[Webhook]] = (-1, [])
        database.ensure(SCHEMA)

    def add(
        self,
        owner_id: str,
        url: str,
        secret: str | None,
        watched: Sequence[WebhookTarget],
        domains: Iterable[WebhookDomain],
    ) -> Webhook:
        """Store a new webhook."""
        webhook_id = new_id()
        row = (webhook_id, owner_id, url, secret, _targets_json(watched), json.dumps(list(domains)), self._now())
        with self._database.write() as db:
            db.execute(
                "INSERT INTO webhooks (id, owner_id, url, secret, watched, domains, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        self._version += 1
        return self.get(webhook_id)

    def get(self, webhook_id: str, owner_id: str | None = None) -> Webhook:
        """The webhook of that id; `HubError` 404 if there is none, or if another account than `owner_id` owns it."""
        webhook = self.find(webhook_id)
        if webhook is None or (owner_id and webhook.owner_id != owner_id):
            raise HubError(404, "Webhook not found")
        return webhook

    def find(self, webhook_id: str) -> Webhook | None:
        """The webhook of that id, if there is one."""
        row = self._database.row("SELECT * FROM webhooks WHERE id = ?", (webhook_id.lower(),))
        return _webhook(row) if row else None

    def all(self, owner_id: str | None = None) -> list[Webhook]:
        """Every webhook, or those of one account, oldest first."""
        rows = self._database.rows(
            "SELECT * FROM webhooks WHERE ?1 IS NULL OR owner_id = ?1 ORDER BY rowid", (owner_id,)
        )
        return [_webhook(row) for row in rows]

    def enabled(self) -> list[Webhook]:
        """The webhooks that are not disabled; read from the table only after a change."""
        version, webhooks = self._enabled
        if version != self._version:
            version = self._version  # before the rows are read: a change in between makes the list stale again
            webhooks = [webhook for webhook in self.all() if not webhook.disabled]
            self._enabled = (version, webhooks)
        return webhooks

    def change(self, webhook: Webhook, columns: Mapping[str, object]) -> Webhook:
        """Set columns of a webhook; return the changed webhook."""
        if columns:
            setters = ", ".join(f"{name} = ?" for name in columns)
            values = [_column(name, value) for name, value in columns.items()]
            with self._database.write() as db:
                db.execute(f"UPDATE webhooks SET {setters} WHERE id = ?", [*values, webhook.id])  # noqa: S608 (names from this package)
            self._version += 1
        return self.get(webhook.id)

    def remove(self, webhook: Webhook) -> None:
        """Drop a webhook and its deliveries."""
        with self._database.write() as db:
            db.execute("DELETE FROM deliveries WHERE webhook_id = ?", (webhook.id,))
            db.execute("DELETE FROM webhooks WHERE id = ?", (webhook.id,))
        self._version += 1

    def note_trigger(self, webhooks: Iterable[Webhook]) -> None:
        """Store that an event triggered these webhooks now."""
        moment = self._now()
        with self._database.write() as db:
            rows = [(moment, webhook.id) for webhook in webhooks]
            db.executemany("UPDATE webhooks SET last_trigger_at = ? WHERE id = ?", rows)

    def note_outcome(self, webhook: Webhook, *, delivered: bool, suspend_after: int) -> bool:
        """Count the deliveries that failed in a row, and suspend the webhook at `suspend_after` of them.

        Returns whether this call suspended it. While the delivery was under way the webhook may have been deleted,
        disabled, or enabled with a new count.
        """
        if delivered and not webhook.failures:
            return False
        with self._database.write():
            current = self.find(webhook.id)
            if current is None:
                return False
            failures = 0 if delivered else current.failures + 1
            suspends = failures >= suspend_after and not current.disabled
            self.change(current, {"failures": failures} | ({"disabled": SUSPENDED} if suspends else {}))
        self._version += 1  # again: until the transaction ended, readers still saw the old rows
        return suspends

    def _now(self) -> str:
        return iso(self._clock.now())


def _column(name: str, value: object) -> object:
    if name == "watched" and isinstance(value, Sequence):
        return _targets_json(value)
    return json.dumps(value) if name == "domains" else value


def _targets_json(targets: Sequence[WebhookTarget]) -> str:
    return json.dumps([asdict(target) for target in targets])


def _webhook(row: sqlite3.Row) -> Webhook:
    columns = dict(row)
    columns["watched"] = tuple(WebhookTarget(**item) for item in json.loads(columns["watched"]))
    columns["domains"] = tuple(json.loads(columns["domains"]))
    return Webhook(**columns)
