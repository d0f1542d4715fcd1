"""Webhooks: how they are managed, and the deliveries that they make."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from localhub.contract.checks import check, check_equal, only, part
from localhub.contract.client import HubAnswer
from localhub.contract.listener import ReceivedDelivery
from localhub.contract.registry import FactGroup
from localhub.contract.scratch import ScratchRepo
from localhub.contract.workspace import Workspace, commit, committed, head, needs_listener, open_pull, open_thread, say

webhooks = FactGroup("webhooks", "Webhooks", needs=("webhook address",))

_HOOKS = "/api/settings/webhooks"
_DOMAINS = ["repo", "discussion"]


def _repo(ws: Workspace) -> ScratchRepo:
    return ws.repo("hooks", files={"a.txt": b"one\n"})


def _secret(ws: Workspace) -> str:
    return ws.once("webhook secret", lambda: secrets.token_hex(16))


def _settings(ws: Workspace, path: str) -> dict[str, Any]:
    url = f"{needs_listener(ws).public_url}/{path}"
    watched = [{"type": "dataset", "name": _repo(ws).id}]
    return {"url": url, "watched": watched, "domains": _DOMAINS, "secret": _secret(ws)}


def _create(ws: Workspace, path: str) -> Any:
    answer = ws.client.post(_HOOKS, json=_settings(ws, path)).expect(200)
    hook = part(answer.json(), "webhook")
    ws.client.guard.webhooks[str(part(hook, "id"))] = None
    return hook


def _hook(ws: Workspace) -> Any:
    """The webhook that reports everything of the repo `hooks` to the path `/all`."""
    return ws.once("webhook", lambda: _create(ws, "all"))


def _managed(ws: Workspace) -> str:
    """The id of the webhook whose settings the facts change."""
    return str(part(ws.once("managed webhook", lambda: _create(ws, "managed")), "id"))


def _call(ws: Workspace, action: str = "", body: object = None) -> HubAnswer:
    return ws.client.post(f"{_HOOKS}/{_managed(ws)}{action}", json={} if body is None else body)


def _deliveries(ws: Workspace, act: Callable[[], object], *wanted: str) -> dict[str, ReceivedDelivery]:
    """Act, and return the first new delivery of each event that is wanted. Raises Differs if one does not arrive."""
    listener = needs_listener(ws)
    _hook(ws)
    before = len(listener.at("/all"))
    act()

    def arrived(received: list[ReceivedDelivery]) -> bool:
        return set(wanted) <= {delivery.event for delivery in received[before:]}

    new = listener.wait("/all", arrived, ws.patience)[before:]
    events = [delivery.event for delivery in new]
    check("deliveries", set(wanted) <= set(events), expected=" and ".join(wanted), got=events or "none")
    return {delivery.event: delivery for delivery in reversed(new)}


def _payload(ws: Workspace, act: Callable[[], object], event: str) -> Any:
    """Act, and return the payload of the new delivery of this event."""
    return _deliveries(ws, act, event)[event].payload


def _settle(ws: Workspace, number: int) -> None:
    """Wait for the delivery about a new thread, so that it does not count for the next action."""
    needs_listener(ws).wait("/all", lambda received: any(_number(d) == number for d in received), ws.patience)


def _number(delivery: ReceivedDelivery) -> object:
    return (delivery.payload.get("discussion") or {}).get("num")


def _thread(ws: Workspace) -> int:
    """A discussion in the repo, whose delivery has arrived."""

    def make() -> int:
        _hook(ws)
        number = open_thread(ws, _repo(ws), "A watched thread")
        _settle(ws, number)
        return number

    return ws.once("watched thread", make)


@webhooks.fact(calls=1)
def create(ws: Workspace) -> None:
    """A new webhook is answered with `id`, `url`, `watched`, `domains` and `disabled: false`, without its secret."""
    hook, asked = _create(ws, "created"), _settings(ws, "created")
    check_equal("url", part(hook, "url"), asked["url"])
    watched = [{name: part(item, name) for name in ("type", "name")} for item in part(hook, "watched")]
    check_equal("watched", watched, asked["watched"])
    check_equal("domains", sorted(part(hook, "domains")), sorted(_DOMAINS))
    check_equal("disabled", part(hook, "disabled"), False)
    check("secret", _secret(ws) not in str(hook), expected="absent", got="there")


@webhooks.fact(calls=1)
def listed(ws: Workspace) -> None:
    """`GET /api/settings/webhooks` is a bare list of the account's webhooks."""
    hook_id = _managed(ws)
    answer = ws.client.get(_HOOKS).expect(200).json()
    check("the list", isinstance(answer, list), expected="a list", got=answer)
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


@webhooks.fact(calls=1)
def commit_on_main(ws: Workspace) -> None:
    """A commit is delivered as `repo.content/update` with `repo` and the refs that moved, in `updatedRefs`."""
    repo, oids = _repo(ws), list[str]()
    new = _deliveries(ws, lambda: oids.append(committed(ws, repo, {"a.txt": b"2"})), "repo.content/update")
    payload = new["repo.content/update"].payload
    got = {name: part(payload, "repo", name) for name in ("type", "name", "private")}
    check_equal("repo", got, {"type": "dataset", "name": repo.id, "private": True})
    ref = only("updatedRefs", part(payload, "updatedRefs"), lambda item: item.get("ref") == "refs/heads/main")
    check_equal("newSha", part(ref, "newSha"), oids[0])
    check_equal("webhook.version", part(payload, "webhook", "version"), 3)


@webhooks.fact(calls=1)
def delivery_headers(ws: Workspace) -> None:
    """A delivery carries `X-Webhook-Secret`, a `Webhook-Id` and the type application/json."""
    event = "repo.content/update"
    headers = _deliveries(ws, lambda: commit(ws, _repo(ws), {"a.txt": b"3"}).expect(200), event)[event].headers
    check(
        "X-Webhook-Secret", headers.get("x-webhook-secret") == _secret(ws), expected="the secret", got="another value"
    )
    check("Webhook-Id", bool(headers.get("webhook-id")), expected="an id", got="none")
    check(
        "Content-Type",
        "application/json" in headers.get("content-type", ""),
        expected="JSON",
        got=headers.get("content-type"),
    )


@webhooks.fact(calls=1)
def new_thread(ws: Workspace) -> None:
    """A new discussion is `discussion/create` with `discussion.num` and its first post in `comment`."""
    numbers = list[int]()
    payload = _payload(
        ws, lambda: numbers.append(open_thread(ws, _repo(ws), "A new thread", "Its text")), "discussion/create"
    )
    check_equal("discussion.num", part(payload, "discussion", "num"), numbers[0])
    check_equal("discussion.isPullRequest", part(payload, "discussion", "isPullRequest"), False)
    check_equal("comment.content", part(payload, "comment", "content"), "Its text")


@webhooks.fact(calls=2)
def new_comment(ws: Workspace) -> None:
    """A comment is `discussion.comment/create` with its text and the id of its author, the one of `whoami-v2`."""
    number = _thread(ws)
    payload = _payload(
        ws,
        lambda: say(ws, _repo(ws), number, "comment", {"comment": "A comment"}).expect(201),
        "discussion.comment/create",
    )
    check_equal("comment.content", part(payload, "comment", "content"), "A comment")
    check_equal("comment.author.id", part(payload, "comment", "author", "id"), ws.my_id)
    check_equal("discussion.num", part(payload, "discussion", "num"), number)


@webhooks.fact(calls=2)
def hidden_comment(ws: Workspace) -> None:
    """A hidden comment is `discussion.comment/update` without its text."""
    number = _thread(ws)
    comment_id = str(ws.once("comment to hide", lambda: _comment(ws, number)))
    payload = _payload(
        ws,
        lambda: say(ws, _repo(ws), number, f"comment/{comment_id.lower()}/hide").expect(200),
        "discussion.comment/update",
    )
    check("comment", "To be hidden" not in str(part(payload, "comment")), expected="no text", got=payload["comment"])


def _comment(ws: Workspace, number: int) -> str:
    answer = say(ws, _repo(ws), number, "comment", {"comment": "To be hidden"}).expect(201).json()
    return str(part(answer, "newMessage", "id"))


@webhooks.fact(calls=1)
def new_pull(ws: Workspace) -> None:
    """A new pull request is `discussion/create` and a `repo.content/update` of `refs/pr/N`."""
    numbers = list[int]()
    new = _deliveries(
        ws,
        lambda: numbers.append(open_pull(ws, _repo(ws), {"p.txt": b"1"}, "A pull request")),
        "discussion/create",
        "repo.content/update",
    )
    check_equal("isPullRequest", part(new["discussion/create"].payload, "discussion", "isPullRequest"), True)
    refs = [part(item, "ref") for item in part(new["repo.content/update"].payload, "updatedRefs")]
    check_equal("updatedRefs", refs, [f"refs/pr/{numbers[0]}"])


@webhooks.choice(calls=2)
def status_with_comment(ws: Workspace) -> None:
    """A change of status with a comment is delivered twice: `discussion/update` and `discussion.comment/create`."""
    number = _thread(ws)
    _deliveries(
        ws,
        lambda: say(ws, _repo(ws), number, "status", {"status": "closed", "comment": "Because."}),
        "discussion/update",
        "discussion.comment/create",
    )


@webhooks.choice(calls=4)
def merge(ws: Workspace) -> None:
    """A merge is delivered twice: `discussion/update` with the status merged, and `repo.content/update` of the base."""
    repo = _repo(ws)
    _hook(ws)
    number = open_pull(ws, repo, {"to-merge.txt": b"1"}, "To be merged")
    _settle(ws, number)

    def of_main(payload: Any) -> bool:
        return any(ref.get("ref") == "refs/heads/main" for ref in payload.get("updatedRefs") or ())

    seen = len(needs_listener(ws).at("/all"))
    say(ws, repo, number, "merge").expect(200)

    def arrived(received: list[ReceivedDelivery]) -> bool:
        new = [delivery.payload for delivery in received[seen:]]
        merged = any((it.get("discussion") or {}).get("status") == "merged" for it in new)
        return merged and any(map(of_main, new))

    received = needs_listener(ws).wait("/all", arrived, ws.patience)
    events = [delivery.event for delivery in received[seen:]]
    check("deliveries", arrived(received), expected="discussion/update and repo.content/update", got=events)


@webhooks.choice(calls=2)
def squash(ws: Workspace) -> None:
    """A super-squash is `repo.content/update` from the old head to the new one."""
    repo, old = _repo(ws), head(ws, _repo(ws))
    payload = _payload(
        ws,
        lambda: ws.client.post(f"{repo.api}/super-squash/main", json={"message": "One"}).expect(200),
        "repo.content/update",
    )
    ref = only("updatedRefs", part(payload, "updatedRefs"), lambda item: item.get("ref") == "refs/heads/main")
    check_equal("oldSha", part(ref, "oldSha"), old)


@webhooks.fact(calls=2)
def retried(ws: Workspace) -> None:
    """A delivery that got 500 is sent again, with the same `Webhook-Id`."""
    listener = needs_listener(ws)
    _hook(ws)
    before = len(listener.at("/all"))
    listener.refuse_once.add("/all")
    commit(ws, _repo(ws), {"a.txt": b"again"}).expect(200)

    def ids(received: list[ReceivedDelivery]) -> list[str]:
        return [delivery.headers.get("webhook-id", "") for delivery in received[before:]]

    received = listener.wait("/all", lambda items: len(ids(items)) > len(set(ids(items))), ws.patience)
    got = ids(received)
    check(
        "Webhook-Id", len(got) > len(set(got)), expected="twice the same", got=f"{len(got)} deliveries, all different"
    )


@webhooks.fact(calls=2)
def delete(ws: Workspace) -> None:
    """`DELETE /api/settings/webhooks/{id}` removes a webhook."""
    hook_id = str(part(ws.once("webhook to delete", lambda: _create(ws, "deleted")), "id"))
    ws.client.call("DELETE", f"{_HOOKS}/{hook_id}").expect(200)
    ws.client.get(f"{_HOOKS}/{hook_id}").expect(404)


@webhooks.choice(calls=1)
def move(ws: Workspace) -> None:
    """When a repo is renamed, `repo.name` of `repo/move` is the old name, and `movedTo.name` the new one."""
    repo, new = _repo(ws), ws.named("hooksnew")
    body = {"fromRepo": repo.id, "toRepo": new.id, "type": repo.kind}
    payload = _payload(ws, lambda: ws.client.post("/api/repos/move", json=body).expect(200), "repo/move")
    got = (part(payload, "repo", "name"), part(payload, "movedTo", "name"))
    check_equal("repo.name and movedTo.name", got, (repo.id, new.id))
