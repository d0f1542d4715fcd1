"""Webhooks: who wants to hear of what. delivery.py brings it to them.

What is watched is kept by id, so that it survives renames. An event finds its webhooks at the moment it happens; it is
worded once, stored once for each of them, and sent afterwards.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from localhub.accounts.store import Account, Caller
from localhub.clock import iso, now
from localhub.errors import HubError
from localhub.ids import new_id
from localhub.repos import access
from localhub.repos.events import HubEvent
from localhub.webhooks.deliveries import Deliveries, DeliveryPolicy
from localhub.webhooks.payloads import for_webhook, payload

if TYPE_CHECKING:
    from localhub.repos.store import RepoType
    from localhub.state import HubState

WebhookDomain = Literal["repo", "discussion"]
SUSPENDED = "suspended-after-failure"
_REPO_TYPES = ("model", "dataset", "space")

SCHEMA = """
CREATE TABLE IF NOT EXISTS webhooks (
  id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, url TEXT NOT NULL, secret TEXT, watched TEXT NOT NULL,
  domains TEXT NOT NULL, disabled TEXT NOT NULL DEFAULT '', failures INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL, last_trigger_at TEXT);
"""


@dataclass(frozen=True)
class WebhookTarget:
    """A repo (model, dataset, space) or an account (user, org), by id; `name` is what it was called then."""

    type: str
    name: str
    id: str


@dataclass(frozen=True)
class Webhook:
    """One webhook; `disabled` is '', 'disabled' or 'suspended-after-failure'."""

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

    def hears(self, event: HubEvent) -> bool:
        """Whether the event is of a domain and about something that this webhook watches."""
        domain = event.kind.partition(".")[0]
        about = {event.repo.oid, event.repo.owner_id}
        if event.moved_to:
            about.add(event.moved_to.owner_id)
        return domain in self.domains and any(target.id in about for target in self.watched)


class WebhookService:
    """Every webhook of the box."""

    def __init__(self, state: HubState) -> None:
        self.state = state
        state.store.ensure(SCHEMA)
        self.deliveries = Deliveries(state, self)
        self._changed = 0  # rises after each change, so that the list below is known to be old
        self._enabled: tuple[int, list[Webhook]] = (-1, [])
        state.subscribe(self._hear)

    @property
    def policy(self) -> DeliveryPolicy:
        """Timeouts, retries, suspension and quota; assign another to change them."""
        return self.deliveries.policy

    @policy.setter
    def policy(self, policy: DeliveryPolicy) -> None:
        self.deliveries.policy = policy

    def create(
        self,
        owner: Account,
        *,
        url: str,
        secret: str | None = None,
        watched: Sequence[Mapping[str, str]],
        domains: Iterable[str] = ("repo", "discussion"),
    ) -> Webhook:
        """A new webhook. `watched`: `{type, name}` each; `HubError` 400 for one that `owner` cannot see."""
        row = (new_id(), owner.id, url, secret or None, self._watched(owner, watched), _domains(domains), self._now())
        with self.state.store.write() as db:
            db.execute(
                "INSERT INTO webhooks (id, owner_id, url, secret, watched, domains, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        self._changed += 1
        return self.get(str(row[0]))

    def get(self, webhook_id: str, owner: Account | None = None) -> Webhook:
        """The webhook, if it is `owner`'s (None: anybody's); `HubError` 404."""
        found = self.find(webhook_id)
        if found is None or (owner and found.owner_id != owner.id):
            raise HubError(404, "Webhook not found")
        return found

    def find(self, webhook_id: str) -> Webhook | None:
        """The webhook of that id, if there is one."""
        row = self.state.store.row("SELECT * FROM webhooks WHERE id = ?", (webhook_id.lower(),))
        return _webhook(row) if row else None

    def all(self, owner: Account | None = None) -> list[Webhook]:
        """Every webhook, or those of one account, oldest first."""
        rows = self.state.store.rows(
            "SELECT * FROM webhooks WHERE ?1 IS NULL OR owner_id = ?1 ORDER BY rowid", (owner.id if owner else None,)
        )
        return [_webhook(row) for row in rows]

    def update(self, webhook: Webhook, owner: Account, **changes: Any) -> Webhook:
        """Other `url`, `secret`, `watched` or `domains`; what is not named stays."""
        if "watched" in changes:
            changes["watched"] = self._watched(owner, changes["watched"])
        if "domains" in changes:
            changes["domains"] = _domains(changes["domains"])
        return self._set(
            webhook, {name: changes[name] for name in ("url", "secret", "watched", "domains") if name in changes}
        )

    def enable(self, webhook: Webhook) -> Webhook:
        """Lets it hear again; what it missed stays missed."""
        return self._set(webhook, {"disabled": "", "failures": 0})

    def disable(self, webhook: Webhook, why: str = "disabled") -> Webhook:
        """Makes it deaf; what was still on its way to it is not sent."""
        changed = self._set(webhook, {"disabled": why})
        self.deliveries.forget(webhook.id, "suspended" if why == SUSPENDED else "disabled")
        return changed

    def delete(self, webhook: Webhook) -> None:
        """Removes it with its activity log."""
        self.deliveries.forget(webhook.id, "deleted")
        with self.state.store.write() as db:
            db.execute("DELETE FROM deliveries WHERE webhook_id = ?", (webhook.id,))
            db.execute("DELETE FROM webhooks WHERE id = ?", (webhook.id,))
        self._changed += 1

    def note_outcome(self, webhook: Webhook, *, delivered: bool) -> None:
        """Counts deliveries given up in a row, and suspends the webhook when there are too many.

        While the delivery was under way the webhook may have been deleted, disabled, or enabled with a new count.
        """
        if delivered and not webhook.failures:
            return
        with self.state.store.write():
            current = self.find(webhook.id)
            if current is None:
                return
            failures = 0 if delivered else current.failures + 1
            self._set(current, {"failures": failures})
            if failures >= self.policy.suspend_after and not current.disabled:
                self.disable(current, SUSPENDED)
        self._changed += 1  # once more: before the end of the transaction the rows were still the old ones

    def as_json(self, webhook: Webhook) -> dict[str, Any]:
        """The webhook as the API words it: never with its secret."""
        told: dict[str, Any] = {
            "id": webhook.id,
            "url": webhook.url,
            "disabled": SUSPENDED if webhook.disabled == SUSPENDED else bool(webhook.disabled),
            "watched": [self._watch_json(target) for target in webhook.watched],
            "hasSecret": webhook.secret is not None,
            "domains": list(webhook.domains),
        }
        return {**told, "lastTriggerAt": webhook.last_trigger_at} if webhook.last_trigger_at else told

    def start(self) -> None:
        """Takes up what was not sent when the Hub last stopped."""
        self.deliveries.start()

    def drain(self, seconds: float = 10.0) -> bool:
        """Waits until every delivery has arrived or was given up; False when that takes longer."""
        return self.deliveries.drain(seconds)

    def close(self) -> None:
        """Stops sending; what has not arrived is sent after the next start."""
        self.deliveries.close()

    def _hear(self, event: HubEvent) -> None:
        if self.state.faults.silent:
            return
        hearing = [hook for hook in self._enabled_now() if hook.hears(event) and self._may_know(hook, event)]
        if not hearing:
            return
        body = payload(event, self.state.url)
        self.deliveries.send([(hook, for_webhook(body, hook.id)) for hook in hearing])

    def _enabled_now(self) -> list[Webhook]:
        version, known = self._enabled
        if version != self._changed:
            version = self._changed  # before the rows are read: a change in between makes the list old again
            known = [webhook for webhook in self.all() if not webhook.disabled]
            self._enabled = (version, known)
        return known

    def _may_know(self, webhook: Webhook, event: HubEvent) -> bool:
        owner = self.state.accounts.by_id(webhook.owner_id)
        return owner is not None and access.allows(self.state, Caller(owner), event.repo, "read")

    def _set(self, webhook: Webhook, columns: Mapping[str, object]) -> Webhook:
        if columns:
            setters = ", ".join(f"{name} = ?" for name in columns)
            with self.state.store.write() as db:
                db.execute(f"UPDATE webhooks SET {setters} WHERE id = ?", [*columns.values(), webhook.id])  # noqa: S608 (this module's own names)
            self._changed += 1
        return self.get(webhook.id)

    def _watched(self, owner: Account, watched: Sequence[Mapping[str, str]]) -> str:
        if not watched:
            raise HubError(400, "A webhook watches at least one thing: watched is empty.")
        return json.dumps([self._watch(owner, item["type"], item["name"]) for item in watched])

    def _watch(self, owner: Account, kind: str, name: str) -> dict[str, str]:
        if kind in ("user", "org"):
            account = self.state.accounts.by_name(name)
            if account and account.kind == kind:
                return {"type": kind, "name": account.name, "id": account.id}
        elif kind in _REPO_TYPES:
            repo = self.state.repos.get(cast("RepoType", kind), name)
            if repo and access.allows(self.state, Caller(owner), repo, "read"):
                return {"type": kind, "name": repo.full_name, "id": repo.oid}
        raise HubError(400, f"There is no {kind} {name} that this webhook could watch.")

    def _watch_json(self, target: WebhookTarget) -> dict[str, str]:
        """With its name of today."""
        if target.type in ("user", "org"):
            account = self.state.accounts.by_id(target.id)
            return {"type": target.type, "name": account.name if account else target.name}
        repo = self.state.repos.by_oid(target.id)
        return {"type": target.type, "name": repo.full_name if repo else target.name}

    def _now(self) -> str:
        return iso(now(self.state))


def _domains(domains: Iterable[str]) -> str:
    wanted = sorted(set(domains), reverse=True)
    if not wanted or not set(wanted) <= {"repo", "discussion"}:
        raise HubError(400, "domains names repo, discussion or both.")
    return json.dumps(wanted)


def _webhook(row: sqlite3.Row) -> Webhook:
    columns = dict(row)
    columns["watched"] = tuple(WebhookTarget(**item) for item in json.loads(columns["watched"]))
    columns["domains"] = tuple(json.loads(columns["domains"]))
    return Webhook(**columns)
