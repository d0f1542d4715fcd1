"""Pages of an account's webhooks and their deliveries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from localhub.accounts.store import Caller
from localhub.errors import BadRequest, HubError
from localhub.routes.dependencies import StateDep
from localhub.routes.page_dependencies import Form, PageRoute, SameSite, Viewer, page
from localhub.routes.webhooks import Id
from localhub.state import HubState
from localhub.webhooks.store import Webhook

router = APIRouter(route_class=PageRoute, default_response_class=HTMLResponse)

_MAX_DELIVERIES = 50


@router.get("/settings/webhooks")
def webhooks(request: Request, state: StateDep, caller: Viewer) -> Response:
    """The viewer's webhooks."""
    return page(request, "webhooks.html", hooks=state.webhooks.all(caller.account) if caller.account else [])


@router.get("/settings/webhooks/{webhook_id}")
def webhook(request: Request, state: StateDep, caller: Viewer, webhook_id: Id) -> Response:
    """One webhook and its activity log."""
    return _activity(request, state, state.webhooks.get(webhook_id, caller.require_account()))


@router.post("/settings/webhooks/{webhook_id}", dependencies=[SameSite])
async def change(request: Request, state: StateDep, caller: Viewer, webhook_id: Id, form: Form) -> Response:
    """Enable or disable a webhook, or send a delivery again."""
    return await run_in_threadpool(_change, request, state, caller, webhook_id, form)


def _change(request: Request, state: HubState, caller: Caller, webhook_id: str, form: dict[str, str]) -> Response:
    hook = state.webhooks.get(webhook_id, caller.require_account())
    action, notice = form.get("action"), None
    if action == "enable":
        hook = state.webhooks.enable(hook)
    elif action == "disable":
        hook = state.webhooks.disable(hook)
    elif action == "replay":
        notice = _replay(state, hook, form.get("log", ""))
    else:
        raise BadRequest("A webhook can be enabled, disabled, or a delivery replayed.")
    return _activity(request, state, hook, notice)


def _replay(state: HubState, hook: Webhook, log_id: str) -> str:
    delivery = state.webhooks.deliveries.log.find(hook.id, log_id)
    if delivery is None:
        raise HubError(404, "There is no such delivery in this webhook's activity.")
    status = state.webhooks.deliveries.replay(hook, delivery)
    return f"Sent again: the receiver answered {status}." if status else "Sent again, but the receiver did not answer."


def _activity(request: Request, state: HubState, hook: Webhook, notice: str | None = None) -> Response:
    rows: list[dict[str, Any]] = [
        {**vars(item), "body": item.body, "when": datetime.fromtimestamp(item.created_at, UTC)}
        for item in state.webhooks.deliveries.log.latest(hook.id, _MAX_DELIVERIES)
    ]
    return page(request, "webhook.html", hook=hook, deliveries=rows, problem=notice)
