"""An account's webhooks."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field, field_validator

from localhub.accounts.store import Account
from localhub.errors import BadRequest, Forbidden, HubError
from localhub.repos import access
from localhub.routes.dependencies import CallerDep, StateDep

router = APIRouter(prefix="/api/settings/webhooks", tags=["webhooks"])

Id = Annotated[str, Path(max_length=64)]
MOST = 1000
"""Watched items of one webhook, a bound of this server's own."""


class WebhookTargetBody(BaseModel):
    """One thing to watch."""

    type: Literal["dataset", "model", "space", "bucket", "kernel", "user", "org"]
    name: str = Field(min_length=1, max_length=200)


class WebhookBody(BaseModel):
    """A webhook as it is to be. In an update `url`, `secret` and `domains` may be missing: they stay [?]."""

    url: str | None = Field(None, max_length=2000)
    watched: list[WebhookTargetBody] | None = Field(None, max_length=MOST)
    domains: list[Literal["repo", "discussion"]] | None = Field(None, max_length=10)
    secret: str | None = Field(None, max_length=2000, pattern=r"^[\x20-\x7F]*$")
    job: dict[str, Any] | None = None
    jobSourceId: str | None = None  # noqa: N815 (the Hub's word)

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not _check_reachable(url):
            raise ValueError("a webhook's url starts with http:// or https:// and names a host")
        return url


def _owner(who: CallerDep) -> Account:
    """Webhooks belong to the account itself: a token that only reads may not touch them, nor one whose scopes do not
    name the account with the permission for it [?]."""
    account = access.require_account(who)
    if who.token and who.token.role != "write" and not who.token.grants(account, "user.webhooks.write"):
        raise Forbidden("This token cannot manage webhooks: use one with the write role, or user.webhooks.write.")
    return account


Owner = Annotated[Account, Depends(_owner)]


@router.get("")
def list_webhooks(state: StateDep, who: CallerDep) -> list[dict[str, Any]]:
    """The caller's webhooks: a bare list."""
    return [state.webhooks.as_json(webhook) for webhook in state.webhooks.all(access.require_account(who))]


@router.get("/{webhook_id}")
def read_webhook(state: StateDep, who: CallerDep, webhook_id: Id) -> dict[str, Any]:
    """One webhook."""
    return {"webhook": state.webhooks.as_json(state.webhooks.get(webhook_id, access.require_account(who)))}


@router.post("")
def create_webhook(state: StateDep, owner: Owner, body: WebhookBody) -> dict[str, Any]:
    """A new webhook."""
    _refuse_jobs(body)
    if body.url is None:
        raise BadRequest("✖ Required\n  → at url")
    if not body.domains:
        raise BadRequest("✖ domains names repo, discussion or both\n  → at domains")
    made = state.webhooks.create(
        owner, url=body.url, secret=body.secret, watched=_target_dicts(body.watched), domains=body.domains
    )
    return {"webhook": state.webhooks.as_json(made)}


@router.post("/{webhook_id}")
def update_webhook(state: StateDep, owner: Owner, webhook_id: Id, body: WebhookBody) -> dict[str, Any]:
    """Changes a webhook.

    The client sends `watched: []` and no domains when it is told only a new URL, which the Hub's description forbids;
    what the Hub answers is not known. Taken literally the webhook would fall silent, so it is refused, as described.
    """
    _refuse_jobs(body)
    webhook = state.webhooks.get(webhook_id, owner)
    if not body.watched:
        raise BadRequest("✖ Array must contain at least 1 element(s)\n  → at watched")
    changes: dict[str, Any] = {"watched": _target_dicts(body.watched)}
    if body.domains is not None:
        changes["domains"] = body.domains
    if body.url is not None:
        changes["url"] = body.url
    if body.secret is not None:
        changes["secret"] = body.secret or None
    return {"webhook": state.webhooks.as_json(state.webhooks.update(webhook, owner, **changes))}


@router.post("/{webhook_id}/enable")
def enable_webhook(state: StateDep, owner: Owner, webhook_id: Id) -> dict[str, Any]:
    """Lets a webhook hear again, also a suspended one."""
    return {"webhook": state.webhooks.as_json(state.webhooks.enable(state.webhooks.get(webhook_id, owner)))}


@router.post("/{webhook_id}/disable")
def disable_webhook(state: StateDep, owner: Owner, webhook_id: Id) -> dict[str, Any]:
    """Makes a webhook deaf until it is enabled."""
    return {"webhook": state.webhooks.as_json(state.webhooks.disable(state.webhooks.get(webhook_id, owner)))}


@router.delete("/{webhook_id}")
def delete_webhook(state: StateDep, owner: Owner, webhook_id: Id) -> dict[str, Any]:
    """Removes a webhook with its log."""
    state.webhooks.delete(state.webhooks.get(webhook_id, owner))
    return {}


@router.post("/{webhook_id}/replay/{log_id}")
def replay(state: StateDep, owner: Owner, webhook_id: Id, log_id: Id) -> dict[str, int]:
    """Sends a delivery again under its old id, to today's URL; the receiver's status, 0 where none came [?]."""
    webhook = state.webhooks.get(webhook_id, owner)
    delivery = state.webhooks.deliveries.log.find(webhook.id, log_id)
    if delivery is None:
        raise HubError(404, "There is no such delivery in this webhook's activity.")
    return {"status": state.webhooks.deliveries.replay(webhook, delivery)}


def _target_dicts(watched: list[WebhookTargetBody] | None) -> list[dict[str, str]]:
    return [{"type": item.type, "name": item.name} for item in watched or ()]


def _refuse_jobs(body: WebhookBody) -> None:
    if body.job or body.jobSourceId:
        raise BadRequest("This Hub runs no jobs: a webhook needs a url.")


def _check_reachable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False
