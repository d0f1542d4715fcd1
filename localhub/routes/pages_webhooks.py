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
def webhooks(request: Request, box: StateDep, who: Viewer) -> Response:
    """The viewer's webhooks."""
    return page(request, "webhooks.html", hooks=box.webhooks.all(who.account) if who.account else [])


@router.get("/settings/webhooks/{webhook_id}")
def webhook(request: Request, box: StateDep, who: Viewer, webhook_id: Id) -> Response:
    """One webhook and its activity."""
    return _activity(request, box, box.webhooks.get(webhook_id, access.require_account(who)))


@router.post("/settings/webhooks/{webhook_id}", dependencies=[SameSite])
async def change(request: Request, box: StateDep, who: Viewer, webhook_id: Id, form: Form) -> Response:
    """Enables, disables, or sends a delivery again."""
    return await run_in_threadpool(_change, request, box, who, webhook_id, form)


def _change(request: Request, box: HubState, who: Caller, webhook_id: str, form: dict[str, str]) -> Response:
    hook = box.webhooks.get(webhook_id, access.require_account(who))
    action, told = form.get("action"), None
    if action == "enable":
        hook = box.webhooks.enable(hook)
    elif action == "disable":
        hook = box.webhooks.disable(hook)
    elif action == "replay":
        told = _replay(box, hook, form.get("log", ""))
    else:
        raise BadRequest("A webhook can be enabled, disabled, or a delivery replayed.")
    return _activity(request, box, hook, told)


def _replay(box: HubState, hook: Webhook, log_id: str) -> str:
    delivery = box.webhooks.deliveries.log.find(hook.id, log_id)
    if delivery is None:
        raise HubError(404, "There is no such delivery in this webhook's activity.")
    status = box.webhooks.deliveries.replay(hook, delivery)
    return f"Sent again: the receiver answered {status}." if status else "Sent again, but nobody answered."


def _activity(request: Request, box: HubState, hook: Webhook, told: str | None = None) -> Response:
    shown: list[dict[str, Any]] = [
        {**vars(item), "body": item.body, "when": datetime.fromtimestamp(item.created_at, UTC)}
        for item in box.webhooks.deliveries.log.latest(hook.id, _SHOWN)
    ]
    return page(request, "webhook.html", hook=hook, deliveries=shown, problem=told)
