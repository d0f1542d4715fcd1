"""Pages of an account's webhooks and of what became of their deliveries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from localhub.accounts.store import Caller
from localhub.errors import BadRequest, HubError
from localhub.pages import page
from localhub.repos import access
from localhub.routes.dependencies import StateDep
from localhub.routes.page_dependencies import Form, PageRoute, SameSite, Viewer
from localhub.routes.webhooks import Id
from localhub.state import HubState
from localhub.webhooks.service import Webhook

router = APIRouter(route_class=PageRoute, default_response_class=HTMLResponse)

_SHOWN = 50


@router.get("/settings/webhooks")
def webhooks(request: Request, state: StateDep, who: Viewer) -> Response:
    """The viewer's webhooks."""
    return page(request, "webhooks.html", hooks=state.webhooks.all(who.account) if who.account else [])


@router.get("/settings/webhooks/{webhook_id}")
def webhook(request: Request, state: StateDep, who: Viewer, webhook_id: Id) -> Response:
    """One webhook and its activity."""
    return _activity(request, state, state.webhooks.get(webhook_id, access.require_account(who)))


@router.post("/settings/webhooks/{webhook_id}", dependencies=[SameSite])
async def change(request: Request, state: StateDep, who: Viewer, webhook_id: Id, form: Form) -> Response:
    """Enables, disables, or sends a delivery again."""
    return await run_in_threadpool(_change, request, state, who, webhook_id, form)


def _change(request: Request, state: HubState, who: Caller, webhook_id: str, form: dict[str, str]) -> Response:
    hook = state.webhooks.get(webhook_id, access.require_account(who))
    action, told = form.get("action"), None
    if action == "enable":
        hook = state.webhooks.enable(hook)
    elif action == "disable":
        hook = state.webhooks.disable(hook)
    elif action == "replay":
        told = _replay(state, hook, form.get("log", ""))
    else:
        raise BadRequest("A webhook can be enabled, disabled, or a delivery replayed.")
    return _activity(request, state, hook, told)


def _replay(state: HubState, hook: Webhook, log_id: str) -> str:
    delivery = state.webhooks.deliveries.log.find(hook.id, log_id)
    if delivery is None:
        raise HubError(404, "There is no such delivery in this webhook's activity.")
    status = state.webhooks.deliveries.replay(hook, delivery)
    return f"Sent again: the receiver answered {status}." if status else "Sent again, but nobody answered."


def _activity(request: Request, state: HubState, hook: Webhook, told: str | None = None) -> Response:
    shown: list[dict[str, Any]] = [
        {**vars(item), "body": item.body, "when": datetime.fromtimestamp(item.created_at, UTC)}
        for item in state.webhooks.deliveries.log.latest(hook.id, _SHOWN)
    ]
    return page(request, "webhook.html", hook=hook, deliveries=shown, problem=told)
