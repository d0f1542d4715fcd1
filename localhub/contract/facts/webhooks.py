"""Webhooks: creating, changing and removing them."""

from __future__ import annotations

import secrets
from typing import Any

from localhub.contract.checks import check, check_equal, described, only, part
from localhub.contract.client import HubAnswer
from localhub.contract.registry import FactGroup
from localhub.contract.scratch import ScratchRepo
from localhub.contract.workspace import Workspace, needs_listener

webhooks = FactGroup("webhooks", needs=("webhook address",))

_HOOKS = "/api/settings/webhooks"
_DOMAINS = ["repo", "discussion"]


def hooked_repo(ws: Workspace) -> ScratchRepo:
    """The repo that the webhooks watch."""
    return ws.repo("hooks", {"a.txt": b"one\n"})


def webhook_secret(ws: Workspace) -> str:
    """The secret of the webhooks."""
    return ws.once("webhook secret", lambda: secrets.token_hex(16))


def _settings(ws: Workspace, path: str) -> dict[str, Any]:
    url = f"{needs_listener(ws).public_url}/{ws.prefix}{path}"
    watched = [{"type": "dataset", "name": hooked_repo(ws).id}]
    return {"url": url, "watched": watched, "domains": _DOMAINS, "secret": webhook_secret(ws)}


def create_webhook(ws: Workspace, path: str) -> Any:
    """Create a webhook that delivers to `path` of the listener; return its settings."""
    answer = ws.client.post(_HOOKS, json=_settings(ws, path)).expect(200)
    hook = part(answer.json(), "webhook")
    ws.client.guard.webhooks[str(part(hook, "id"))] = None
    return hook


def _managed(ws: Workspace) -> str:
    """The id of the webhook whose settings the facts change."""
    return str(part(ws.once("managed webhook", lambda: create_webhook(ws, "managed")), "id"))


def _call(ws: Workspace, action: str = "", body: object = None) -> HubAnswer:
    return ws.client.post(f"{_HOOKS}/{_managed(ws)}{action}", json={} if body is None else body)


@webhooks.fact(calls=1)
def create(ws: Workspace) -> None:
    """A new webhook is answered with `id`, `url`, `watched`, `domains` and `disabled: false`, without its secret."""
    hook, asked = create_webhook(ws, "created"), _settings(ws, "created")
    check_equal("url", part(hook, "url"), asked["url"])
    watched = [{name: part(item, name) for name in ("type", "name")} for item in part(hook, "watched")]
    check_equal("watched", watched, asked["watched"])
    check_equal("domains", sorted(part(hook, "domains")), sorted(_DOMAINS))
    check_equal("disabled", part(hook, "disabled"), False)
    check("secret", webhook_secret(ws) not in str(hook), expected="absent", got="there")


@webhooks.fact(calls=1)
def listed(ws: Workspace) -> None:
    """`GET /api/settings/webhooks` is a bare list of the account's webhooks."""
    hook_id = _managed(ws)
    answer = ws.client.get(_HOOKS).expect(200).json()
    check("the list", isinstance(answer, list), expected="a list", got=described(answer))
    only("webhooks", answer, lambda hook: hook.get("id") == hook_id)


@webhooks.fact(calls=1)
def update(ws: Workspace) -> None:
    """A webhook can be given another secret by a call with all its settings."""
    answer = _call(ws, body=_settings(ws, "managed")).expect(200).json()
    check_equal("id", part(answer, "webhook", "id"), _managed(ws))


@webhooks.choice(calls=1)
def update_of_url_alone(ws: Workspace) -> None:
    """An update with `watched: []`, as huggingface_hub sends it to change only the URL, is 400."""
    _call(ws, body={"url": _settings(ws, "managed")["url"], "watched": []}).expect(400)


@webhooks.fact(calls=2)
def disable(ws: Workspace) -> None:
    """`/disable` and `/enable` change `disabled`."""
    disabled = part(_call(ws, "/disable").expect(200).json(), "webhook", "disabled")
    check("disabled", bool(disabled), expected=True, got=disabled)
    check_equal("disabled", part(_call(ws, "/enable").expect(200).json(), "webhook", "disabled"), False)


@webhooks.fact(calls=2)
def delete(ws: Workspace) -> None:
    """`DELETE /api/settings/webhooks/{id}` removes a webhook."""
    hook_id = str(part(ws.once("webhook to delete", lambda: create_webhook(ws, "deleted")), "id"))
    ws.client.call("DELETE", f"{_HOOKS}/{hook_id}").expect(200)
    ws.client.get(f"{_HOOKS}/{hook_id}").expect(404)
