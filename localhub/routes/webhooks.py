"""An account's webhooks."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Path
from pydantic import BaseModel, Field, field_validator

from localhub.accounts.store import Account, Caller
from localhub.errors import BadRequest, Forbidden, HubError
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.routes.dependencies import CallerDep, StateDep
from localhub.routes.jobs import namespace_owner
from localhub.state import HubState
from localhub.webhooks.store import Webhook

router = HubRouter(prefix="/api/settings/webhooks", tags=["webhooks"])

Id = Annotated[str, Path(max_length=64)]
MAX_WATCHED = 1000
"""Watched items of one webhook; the limit is this server's own."""


class WebhookTargetBody(BaseModel):
    """A repo or an account to watch."""

    type: Literal["dataset", "model", "space", "bucket", "kernel", "user", "org"]
    name: str = Field(min_length=1, max_length=200)


class WebhookBody(BaseModel):
    """The settings of a webhook, which calls a `url` or starts the Job `jobSourceId` again, with these `secrets`.

    A `job` that is described in full is not supported here. In an update `url`, `secret` and `domains` may be missing:
    they stay [?].
    """

    url: str | None = Field(None, max_length=2000)
    watched: list[WebhookTargetBody] | None = Field(None, max_length=MAX_WATCHED)
    domains: list[Literal["repo", "discussion"]] | None = Field(None, max_length=10)
    secret: str | None = Field(None, max_length=2000, pattern=r"^[\x20-\x7F]*$")
    job: dict[str, Any] | None = None
    jobSourceId: str | None = Field(None, max_length=64)  # noqa: N815 (the Hub's word)
    secrets: dict[str, Annotated[str, Field(max_length=10_000)]] | None = Field(None, max_length=200)

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not _is_http_url(url):
            raise ValueError("a webhook's url starts with http:// or https:// and names a host")
        return url


async def _owner(caller: CallerDep) -> Account:
    """The caller's account, if its token may manage webhooks: with the write role, or scoped to the account with
    `user.webhooks.write` [?]."""
    account = caller.require_account()
    if caller.token and caller.token.role != "write" and not caller.token.grants(account, "user.webhooks.write"):
        raise Forbidden("This token cannot manage webhooks: use one with the write role, or user.webhooks.write.")
    return account


Owner = Annotated[Account, Depends(_owner)]


@router.get("")
def list_webhooks(state: StateDep, caller: CallerDep) -> list[JsonObject]:
    """The caller's webhooks, as a bare list."""
    return [state.webhooks.as_json(webhook) for webhook in state.webhooks.all(caller.require_account())]


@router.get("/{webhook_id}")
def read_webhook(state: StateDep, caller: CallerDep, webhook_id: Id) -> JsonObject:
    """One webhook."""
    return {"webhook": state.webhooks.as_json(state.webhooks.get(webhook_id, caller.require_account()))}


@router.post("")
def create_webhook(state: StateDep, caller: CallerDep, owner: Owner, body: WebhookBody) -> JsonObject:
    """Create a webhook."""
    _refuse_described_job(body)
    if (body.url is None) == (body.jobSourceId is None):
        raise BadRequest("✖ url or jobSourceId is needed, and not both\n  → at url")
    if body.secrets is not None and body.jobSourceId is None:
        raise BadRequest("✖ secrets are for a Job: give jobSourceId with them\n  → at secrets")
    if not body.domains:
        raise BadRequest("✖ domains names repo, discussion or both\n  → at domains")
    if body.jobSourceId is not None:
        return {"webhook": state.webhooks.as_json(_create_for_job(state, caller, owner, body))}
    assert body.url is not None
    webhook = state.webhooks.create(
        owner, url=body.url, secret=body.secret, watched=_target_dicts(body.watched), domains=body.domains
    )
    return {"webhook": state.webhooks.as_json(webhook)}


def _create_for_job(state: HubState, caller: Caller, owner: Account, body: WebhookBody) -> Webhook:
    """Create a webhook that starts a Job of a namespace in which the caller may start Jobs."""
    source = state.webhooks.jobs.source(body.jobSourceId or "")
    namespace = state.accounts.by_id(source.owner_id)
    namespace_owner(state, caller, namespace.name if namespace is not None else "", write=True)
    return state.webhooks.create_for_job(
        owner,
        source=source,
        secrets=body.secrets or {},
        secret=body.secret,
        watched=_target_dicts(body.watched),
        domains=body.domains or (),
    )


@router.post("/{webhook_id}")
def update_webhook(state: StateDep, owner: Owner, webhook_id: Id, body: WebhookBody) -> JsonObject:
    """Change a webhook.

    A client that changes only the URL sends `watched: []` and no domains, which the Hub's API description forbids; the
    Hub's answer is not known. Taken literally the webhook would watch nothing, so the call is refused, as described.
    """
    _refuse_described_job(body)
    webhook = state.webhooks.get(webhook_id, owner)
    if (body.url is not None and webhook.starts_job) or body.jobSourceId is not None or body.secrets is not None:
        raise BadRequest("✖ What a webhook calls or starts stays of its kind here: delete it, and create another")
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
def enable_webhook(state: StateDep, owner: Owner, webhook_id: Id) -> JsonObject:
    """Enable a webhook, also a suspended one."""
    return {"webhook": state.webhooks.as_json(state.webhooks.enable(state.webhooks.get(webhook_id, owner)))}


@router.post("/{webhook_id}/disable")
def disable_webhook(state: StateDep, owner: Owner, webhook_id: Id) -> JsonObject:
    """Disable a webhook until it is enabled again."""
    return {"webhook": state.webhooks.as_json(state.webhooks.disable(state.webhooks.get(webhook_id, owner)))}


@router.delete("/{webhook_id}")
def delete_webhook(state: StateDep, owner: Owner, webhook_id: Id) -> JsonObject:
    """Delete a webhook with its log."""
    state.webhooks.delete(state.webhooks.get(webhook_id, owner))
    return {}


@router.post("/{webhook_id}/replay/{log_id}")
def replay(state: StateDep, owner: Owner, webhook_id: Id, log_id: Id) -> dict[str, int]:
    """Send a delivery again under its old id, to the present URL; the receiver's status, 0 without an answer [?]."""
    webhook = state.webhooks.get(webhook_id, owner)
    delivery = state.webhooks.deliveries.log.find(webhook.id, log_id)
    if delivery is None:
        raise HubError(404, "There is no such delivery in this webhook's activity.")
    return {"status": state.webhooks.deliveries.replay(webhook, delivery)}


def _target_dicts(watched: list[WebhookTargetBody] | None) -> list[dict[str, str]]:
    return [{"type": item.type, "name": item.name} for item in watched or ()]


def _refuse_described_job(body: WebhookBody) -> None:
    if body.job:
        raise BadRequest("This Hub starts Jobs from webhooks by jobSourceId only.")


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False
