"""The webhooks of every account: their settings, and which of them an event triggers.

The payload of an event is built when the event happens, stored once for each webhook that it triggers, and sent
afterwards by deliveries.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from localhub.accounts.store import Account, Accounts, Caller
from localhub.controls.faults import Faults
from localhub.errors import HubError
from localhub.jobs.store import Job
from localhub.json_values import JsonObject
from localhub.repos.access import Access
from localhub.repos.events import HubEvent
from localhub.repos.records import RepoType
from localhub.repos.store import RepoStore
from localhub.webhooks.deliveries import Deliveries, DeliveryPolicy
from localhub.webhooks.jobs import WebhookJobs
from localhub.webhooks.payloads import for_webhook, payload
from localhub.webhooks.store import SUSPENDED, Webhook, WebhookDomain, WebhookStore, WebhookTarget

_REPO_TYPES = ("model", "dataset", "space")


class WebhookService:
    """Creates, changes and triggers webhooks."""

    def __init__(
        self,
        store: WebhookStore,
        deliveries: Deliveries,
        accounts: Accounts,
        repos: RepoStore,
        access: Access,
        faults: Faults,
        jobs: WebhookJobs,
        *,
        base_url: Callable[[], str],
    ) -> None:
        self.deliveries = deliveries
        self.store = store
        self.jobs = jobs
        self._accounts = accounts
        self._repos = repos
        self._access = access
        self._faults = faults
        self._base_url = base_url

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
        """Create a webhook. `watched`: `{type, name}` each; `HubError` 400 for one that `owner` cannot see."""
        return self.store.add(owner.id, url, secret or None, self._targets(owner, watched), _checked_domains(domains))

    def create_for_job(
        self,
        owner: Account,
        *,
        source: Job,
        secrets: Mapping[str, str],
        secret: str | None = None,
        watched: Sequence[Mapping[str, str]],
        domains: Iterable[str] = ("repo", "discussion"),
    ) -> Webhook:
        """Create a webhook that starts the Job `source` again for each event, with these `secrets`."""
        webhook = self.create(owner, url="", secret=secret, watched=watched, domains=domains)
        self.jobs.put(webhook.id, source, secrets)
        return webhook

    def get(self, webhook_id: str, owner: Account | None = None) -> Webhook:
        """The webhook of that id; `HubError` 404 if there is none, or if `owner` is given and does not own it."""
        return self.store.get(webhook_id, owner.id if owner else None)

    def all(self, owner: Account | None = None) -> list[Webhook]:
        """Every webhook, or those of one account, oldest first."""
        return self.store.all(owner.id if owner else None)

    def update(self, webhook: Webhook, owner: Account, **changes: Any) -> Webhook:
        """Change `url`, `secret`, `watched` or `domains`; a setting that is not given stays."""
        if "watched" in changes:
            changes["watched"] = self._targets(owner, changes["watched"])
        if "domains" in changes:
            changes["domains"] = _checked_domains(changes["domains"])
        names = ("url", "secret", "watched", "domains")
        return self.store.change(webhook, {name: changes[name] for name in names if name in changes})

    def enable(self, webhook: Webhook) -> Webhook:
        """Let later events trigger the webhook again; events in between are not sent."""
        return self.store.change(webhook, {"disabled": "", "failures": 0})

    def disable(self, webhook: Webhook, reason: str = "disabled") -> Webhook:
        """Let no event trigger the webhook, and give up its pending deliveries."""
        changed = self.store.change(webhook, {"disabled": reason})
        self.deliveries.forget(webhook.id, "suspended" if reason == SUSPENDED else "disabled")
        return changed

    def delete(self, webhook: Webhook) -> None:
        """Remove the webhook with its activity log."""
        self.deliveries.forget(webhook.id, "deleted")
        self.store.remove(webhook)
        self.jobs.remove(webhook.id)

    def as_json(self, webhook: Webhook) -> JsonObject:
        """The webhook as the API shows it: never with its secret."""
        fields: dict[str, Any] = {
            "id": webhook.id,
            "url": webhook.url or None,
            "disabled": SUSPENDED if webhook.disabled == SUSPENDED else bool(webhook.disabled),
            "watched": [self._target_json(target) for target in webhook.watched],
            "hasSecret": webhook.secret is not None,
            "domains": list(webhook.domains),
        }
        if webhook.starts_job and (job := self.jobs.find(webhook.id)) is not None:
            fields |= {"job": job.as_json(), "jobSourceId": job.source_id}
        return {**fields, "lastTriggerAt": webhook.last_trigger_at} if webhook.last_trigger_at else fields

    def start(self) -> None:
        """Queue the deliveries that were still pending when the Hub last stopped."""
        self.deliveries.start()

    def drain(self, seconds: float = 10.0) -> bool:
        """Wait until every delivery has arrived or was given up; False if that takes longer than `seconds`."""
        return self.deliveries.drain(seconds)

    def close(self) -> None:
        """Stop sending; pending deliveries are sent after the next start."""
        self.deliveries.close()

    def dispatch(self, event: HubEvent) -> None:
        """Queue a delivery for each webhook that the event triggers."""
        if self._faults.silent:
            return
        triggered = [
            webhook for webhook in self.store.enabled() if webhook.matches(event) and self._may_see(webhook, event)
        ]
        if not triggered:
            return
        body = payload(event, self._base_url())
        self.deliveries.send([(webhook, for_webhook(body, webhook.id)) for webhook in triggered])

    def _may_see(self, webhook: Webhook, event: HubEvent) -> bool:
        owner = self._accounts.by_id(webhook.owner_id)
        return owner is not None and self._access.allows(Caller(owner), event.repo, "read")

    def _targets(self, owner: Account, watched: Sequence[Mapping[str, str]]) -> list[WebhookTarget]:
        if not watched:
            raise HubError(400, "A webhook watches at least one thing: watched is empty.")
        return [self._target(owner, item["type"], item["name"]) for item in watched]

    def _target(self, owner: Account, kind: str, name: str) -> WebhookTarget:
        if kind in ("user", "org"):
            account = self._accounts.by_name(name)
            if account and account.kind == kind:
                return WebhookTarget(kind, account.name, account.id)
        elif kind in _REPO_TYPES:
            repo = self._repos.get(cast("RepoType", kind), name)
            if repo and self._access.allows(Caller(owner), repo, "read"):
                return WebhookTarget(kind, repo.full_name, repo.oid)
        raise HubError(400, f"There is no {kind} {name} that this webhook could watch.")

    def _target_json(self, target: WebhookTarget) -> dict[str, str]:
        """The target with its present name."""
        if target.type in ("user", "org"):
            account = self._accounts.by_id(target.id)
            return {"type": target.type, "name": account.name if account else target.name}
        repo = self._repos.by_oid(target.id)
        return {"type": target.type, "name": repo.full_name if repo else target.name}


def _checked_domains(domains: Iterable[str]) -> list[WebhookDomain]:
    names = sorted(set(domains), reverse=True)
    if not names or not set(names) <= {"repo", "discussion"}:
        raise HubError(400, "domains names repo, discussion or both.")
    return cast("list[WebhookDomain]", names)
