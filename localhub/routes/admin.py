"""The admin API: settings and counters of this Hub. The real Hub has no such API, and it needs no token.

Its addresses begin with `/_admin`; calls to them are neither counted nor subject to faults and limits.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, Field

from localhub.accounts.store import Account
from localhub.clock import iso
from localhub.controls.faults import FaultKind
from localhub.errors import BadRequest, HubError, RepoNotFound
from localhub.git.refs import RefChange
from localhub.git.repository import Change, RemoveFile, SetFile
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos import paths
from localhub.repos.events import HubEvent
from localhub.repos.store import author_of
from localhub.routes.dependencies import StateDep
from localhub.state import HubState
from localhub.webhooks.deliveries import DeliveryPolicy
from localhub.webhooks.delivery_log import OutgoingDelivery

router = HubRouter(prefix="/_admin", tags=["admin"])

Id = Annotated[str, Path(max_length=64)]
_DAY_SECONDS = 86_400.0
_HEADER_NAME = r"^[A-Za-z0-9-]{1,100}$"


class FaultBody(BaseModel):
    """A fault for the next calls that match `route`; see `FaultRule`."""

    route: str = Field(min_length=1, max_length=1000)
    kind: FaultKind
    times: int | None = Field(1, ge=1, le=1_000_000)
    status: int = Field(500, ge=200, le=599)
    seconds: float = Field(0.0, ge=0, le=_DAY_SECONDS)
    error: str | None = Field(None, max_length=10_000)
    headers: dict[Annotated[str, Field(pattern=_HEADER_NAME)], Annotated[str, Field(pattern=r"^[\x20-\x7E]*$")]] = {}


class WebhookFaultsBody(BaseModel):
    """How many of the next deliveries are lost, sent twice, late, or out of order."""

    drop: int = Field(0, ge=0)
    double: int = Field(0, ge=0)
    delay: int = Field(0, ge=0)
    seconds: float = Field(0.0, ge=0, le=_DAY_SECONDS)
    shuffle: int = Field(0, ge=0)


class DeliveryPolicyBody(BaseModel):
    """The limits and retries of deliveries; a missing field stays."""

    timeout: float | None = Field(None, gt=0, le=600)
    retries: int | None = Field(None, ge=0, le=100)
    first_wait: float | None = Field(None, ge=0, le=_DAY_SECONDS)
    longest_wait: float | None = Field(None, ge=0, le=_DAY_SECONDS)
    suspend_after: int | None = Field(None, ge=1)
    quota: int | None = Field(None, ge=0)


class UnannouncedCommit(BaseModel):
    """A commit without a webhook. `files`: path → text, or null to remove the file."""

    type: Literal["model", "dataset", "space"] = "model"
    id: str = Field(max_length=200)
    revision: str = Field("main", min_length=1, max_length=200)
    files: dict[str, str | None] = Field(min_length=1)
    message: str = Field("Modified without telling", max_length=10_000)
    author: str | None = Field(None, max_length=200)


class ClockAdvance(BaseModel):
    """The seconds by which to move the Hub's clock."""

    seconds: float = Field(ge=0, le=100 * 366 * _DAY_SECONDS)


@router.get("/stats")
def read_stats(state: StateDep) -> JsonObject:
    """Calls by method, route, account and status; commits by repo; deliveries by webhook."""
    return state.stats.read()


@router.post("/stats/reset")
def reset_stats(state: StateDep) -> JsonObject:
    """Return the counters and set them to zero."""
    return state.stats.reset()


@router.get("/faults")
def read_faults(state: StateDep) -> JsonObject:
    """The faults in force."""
    return {"rules": [rule.as_dict() for rule in state.faults.rules()], "webhooks": state.faults.webhooks.as_dict()}


@router.post("/faults", status_code=201)
def add_fault(state: StateDep, body: FaultBody) -> JsonObject:
    """Add a fault."""
    options = body.model_dump(exclude={"route", "kind"}, exclude_none=True) | {"times": body.times}
    return state.faults.add(body.route, body.kind, **options).as_dict()


@router.delete("/faults")
def clear_faults(state: StateDep) -> JsonObject:
    """Remove all faults and release hanging calls."""
    state.faults.clear()
    return {}


@router.delete("/faults/{fault_id}")
def remove_fault(state: StateDep, fault_id: Id) -> JsonObject:
    """Remove one fault."""
    if not state.faults.remove(fault_id):
        raise HubError(404, "There is no such fault; it may have happened already.")
    return {}


@router.put("/faults/webhooks")
def set_webhook_faults(state: StateDep, body: WebhookFaultsBody) -> dict[str, float]:
    """Set the faults of the next deliveries."""
    state.faults.webhooks.set(**body.model_dump())
    return state.faults.webhooks.as_dict()


@router.post("/modify")
def modify(state: StateDep, body: UnannouncedCommit) -> dict[str, str]:
    """Commit to a repo without a webhook; a pull request's timeline still shows the commit."""
    repo = state.repos.get(body.type, body.id)
    if repo is None:
        raise RepoNotFound
    ref = body.revision if body.revision.startswith("refs/") else f"refs/heads/{body.revision}"
    author = author_of(_account(state, body.author or repo.namespace))
    with repo.git.lock:
        before = repo.git.head(ref)
        head = repo.git.commit(ref, _changes(body), before, author, body.message, when=state.clock.seconds())
    state.repos.touch(repo)
    state.threads.follow(HubEvent("repo.content", "update", repo, None, (RefChange(ref, before, head),)))
    return {"commitOid": head}


@router.get("/limits")
def read_limits(state: StateDep) -> JsonObject:
    """The limits in force; null means no limit."""
    return state.limits.as_dict()


@router.put("/limits")
def set_limits(state: StateDep, body: dict[str, Any]) -> JsonObject:
    """Change some limits; the counters start at zero again."""
    try:
        state.limits.set(**body)
    except (TypeError, ValueError) as error:
        raise BadRequest(str(error)) from error
    return state.limits.as_dict()


@router.get("/webhooks")
def every_webhook(state: StateDep) -> list[JsonObject]:
    """The webhooks of all accounts."""
    return [{**state.webhooks.as_json(hook), "owner": hook.owner_id} for hook in state.webhooks.all()]


@router.get("/webhooks/policy")
def read_policy(state: StateDep) -> JsonObject:
    """The limits and retries of deliveries."""
    return vars(state.webhooks.policy)


@router.put("/webhooks/policy")
def set_policy(state: StateDep, body: DeliveryPolicyBody) -> JsonObject:
    """Change the limits and retries of deliveries."""
    current = vars(state.webhooks.policy)
    state.webhooks.policy = DeliveryPolicy(**{**current, **body.model_dump(exclude_none=True)})
    return vars(state.webhooks.policy)


@router.post("/webhooks/drain")
def drain(state: StateDep, seconds: Annotated[float, Query(ge=0, le=60)] = 5.0) -> dict[str, bool]:
    """Wait until every delivery has arrived or was given up."""
    return {"idle": state.webhooks.drain(seconds)}


@router.get("/webhooks/{webhook_id}/deliveries")
def deliveries(state: StateDep, webhook_id: Id, limit: Annotated[int, Query(ge=1, le=5000)] = 100) -> list[JsonObject]:
    """A webhook's activity log, newest first."""
    hook = state.webhooks.get(webhook_id)
    return [_delivery(item) for item in state.webhooks.deliveries.log.latest(hook.id, limit)]


@router.delete("/accounts/{name}")
def delete_account(state: StateDep, name: Annotated[str, Path(max_length=200)]) -> JsonObject:
    """Delete an account; its commits and comments stay, without an author."""
    state.accounts.delete(_account(state, name))
    return {}


@router.get("/clock")
def read_clock(state: StateDep) -> dict[str, str]:
    """The time of the Hub's clock."""
    return {"now": iso(state.clock.now())}


@router.post("/clock/advance")
def advance_clock(state: StateDep, body: ClockAdvance) -> dict[str, str]:
    """Move the Hub's clock forward."""
    try:
        state.clock.advance(body.seconds)
        return {"now": iso(state.clock.now())}
    except (OverflowError, ValueError, OSError) as error:
        state.clock.advance(-body.seconds)
        raise BadRequest(f"No clock goes that far: {error}") from error


def _changes(body: UnannouncedCommit) -> list[Change]:
    return [
        RemoveFile(paths.clean(path)) if text is None else SetFile(paths.clean(path), text.encode("utf-8", "replace"))
        for path, text in body.files.items()
    ]


def _account(state: HubState, name: str) -> Account:
    account = state.accounts.by_name(name)
    if account is None:
        raise HubError(404, f"There is no account {name}.")
    return account


def _delivery(item: OutgoingDelivery) -> JsonObject:
    body = item.body
    return {
        "id": item.id,
        "webhookId": item.delivery_id,
        "state": item.state,
        "attempts": item.attempts,
        "status": item.status,
        "error": item.error,
        "createdAt": item.created_at,
        "nextAt": item.due if item.state == "pending" else None,
        "event": body["event"],
        "payload": body,
    }
