"""Deliveries of webhooks: their payloads and headers after each kind of change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localhub.contract.checks import check, check_equal, only, part
from localhub.contract.facts.webhooks import create_webhook, hooked_repo, webhook_secret
from localhub.contract.listener import ReceivedDelivery
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import (
    Workspace,
    act_in_thread,
    commit,
    committed,
    head,
    needs_listener,
    open_pull,
    open_thread,
)

deliveries = FactGroup("deliveries", needs=("webhook address",))


def _address(ws: Workspace) -> str:
    """The end of the address to which deliveries go."""
    return f"/{ws.prefix}all"


def _hook(ws: Workspace) -> Any:
    """The webhook that reports everything of the repo `hooks` to the listener."""
    return ws.once("webhook", lambda: create_webhook(ws, "all"))


def _deliveries(ws: Workspace, act: Callable[[], object], *wanted: str) -> dict[str, ReceivedDelivery]:
    """Act, and return the first new delivery of each event that is wanted. Raises Differs if one does not arrive."""
    listener = needs_listener(ws)
    _hook(ws)
    before = len(listener.at(_address(ws)))
    act()

    def arrived(received: list[ReceivedDelivery]) -> bool:
        return set(wanted) <= {delivery.event for delivery in received[before:]}

    new = listener.wait(_address(ws), arrived, ws.patience)[before:]
    events = [delivery.event for delivery in new]
    check("deliveries", set(wanted) <= set(events), expected=" and ".join(wanted), got=events or "none")
    return {delivery.event: delivery for delivery in reversed(new)}


def _payload(ws: Workspace, act: Callable[[], object], event: str) -> Any:
    """Act, and return the payload of the new delivery of this event."""
    return _deliveries(ws, act, event)[event].payload


def _settle(ws: Workspace, number: int) -> None:
    """Wait for the delivery about a new thread, so that it does not count for the next action."""
    needs_listener(ws).wait(_address(ws), lambda received: any(_number(d) == number for d in received), ws.patience)


def _number(delivery: ReceivedDelivery) -> object:
    return (delivery.payload.get("discussion") or {}).get("num")


def _thread(ws: Workspace) -> int:
    """A discussion in the repo, whose delivery has arrived."""

    def make() -> int:
        _hook(ws)
        number = open_thread(ws, hooked_repo(ws), "A watched thread")
        _settle(ws, number)
        return number

    return ws.once("watched thread", make)


@deliveries.fact(calls=1)
def commit_on_main(ws: Workspace) -> None:
    """A commit is delivered as `repo.content/update` with `repo` and the refs that moved, in `updatedRefs`."""
    repo, oids = hooked_repo(ws), list[str]()
    new = _deliveries(ws, lambda: oids.append(committed(ws, repo, {"a.txt": b"2"})), "repo.content/update")
    payload = new["repo.content/update"].payload
    got = {name: part(payload, "repo", name) for name in ("type", "name", "private")}
    check_equal("repo", got, {"type": "dataset", "name": repo.id, "private": True})
    ref = only("updatedRefs", part(payload, "updatedRefs"), lambda item: item.get("ref") == "refs/heads/main")
    check_equal("newSha", part(ref, "newSha"), oids[0])
    check_equal("webhook.version", part(payload, "webhook", "version"), 3)


@deliveries.fact(calls=1)
def delivery_headers(ws: Workspace) -> None:
    """A delivery carries `X-Webhook-Secret`, a `Webhook-Id` and the type application/json."""
    event = "repo.content/update"
    headers = _deliveries(ws, lambda: commit(ws, hooked_repo(ws), {"a.txt": b"3"}).expect(200), event)[event].headers
    check(
        "X-Webhook-Secret",
        headers.get("x-webhook-secret") == webhook_secret(ws),
        expected="the secret",
        got="another value",
    )
    check("Webhook-Id", bool(headers.get("webhook-id")), expected="an id", got="none")
    check(
        "Content-Type",
        "application/json" in headers.get("content-type", ""),
        expected="JSON",
        got=headers.get("content-type"),
    )


@deliveries.fact(calls=1)
def new_thread(ws: Workspace) -> None:
    """A new discussion is `discussion/create` with `discussion.num` and its first post in `comment`."""
    numbers = list[int]()
    payload = _payload(
        ws, lambda: numbers.append(open_thread(ws, hooked_repo(ws), "A new thread", "Its text")), "discussion/create"
    )
    check_equal("discussion.num", part(payload, "discussion", "num"), numbers[0])
    check_equal("discussion.isPullRequest", part(payload, "discussion", "isPullRequest"), False)
    check_equal("comment.content", part(payload, "comment", "content"), "Its text")


@deliveries.fact(calls=2)
def new_comment(ws: Workspace) -> None:
    """A comment is `discussion.comment/create` with its text and the id of its author, the one of `whoami-v2`."""
    number = _thread(ws)
    payload = _payload(
        ws,
        lambda: act_in_thread(ws, hooked_repo(ws), number, "comment", {"comment": "A comment"}).expect(201),
        "discussion.comment/create",
    )
    check_equal("comment.content", part(payload, "comment", "content"), "A comment")
    check_equal("comment.author.id", part(payload, "comment", "author", "id"), ws.my_id)
    check_equal("discussion.num", part(payload, "discussion", "num"), number)


@deliveries.fact(calls=2)
def hidden_comment(ws: Workspace) -> None:
    """A hidden comment is `discussion.comment/update` without its text."""
    number = _thread(ws)
    comment_id = str(ws.once("comment to hide", lambda: _comment(ws, number)))
    payload = _payload(
        ws,
        lambda: act_in_thread(ws, hooked_repo(ws), number, f"comment/{comment_id.lower()}/hide").expect(200),
        "discussion.comment/update",
    )
    check("comment", "To be hidden" not in str(part(payload, "comment")), expected="no text", got=payload["comment"])


def _comment(ws: Workspace, number: int) -> str:
    answer = act_in_thread(ws, hooked_repo(ws), number, "comment", {"comment": "To be hidden"}).expect(201).json()
    return str(part(answer, "newMessage", "id"))


@deliveries.fact(calls=1)
def new_pull(ws: Workspace) -> None:
    """A new pull request is `discussion/create` and a `repo.content/update` of `refs/pr/N`."""
    numbers = list[int]()
    new = _deliveries(
        ws,
        lambda: numbers.append(open_pull(ws, hooked_repo(ws), {"p.txt": b"1"}, "A pull request")),
        "discussion/create",
        "repo.content/update",
    )
    check_equal("isPullRequest", part(new["discussion/create"].payload, "discussion", "isPullRequest"), True)
    refs = [part(item, "ref") for item in part(new["repo.content/update"].payload, "updatedRefs")]
    check_equal("updatedRefs", refs, [f"refs/pr/{numbers[0]}"])


@deliveries.choice(calls=2)
def status_with_comment(ws: Workspace) -> None:
    """A change of status with a comment is delivered twice: `discussion/update` and `discussion.comment/create`."""
    number = _thread(ws)
    _deliveries(
        ws,
        lambda: act_in_thread(ws, hooked_repo(ws), number, "status", {"status": "closed", "comment": "Because."}),
        "discussion/update",
        "discussion.comment/create",
    )


@deliveries.choice(calls=4)
def merge(ws: Workspace) -> None:
    """A merge is delivered twice: `discussion/update` with the status merged, and `repo.content/update` of the base."""
    repo = hooked_repo(ws)
    _hook(ws)
    number = open_pull(ws, repo, {"to-merge.txt": b"1"}, "To be merged")
    _settle(ws, number)

    def of_main(payload: Any) -> bool:
        return any(ref.get("ref") == "refs/heads/main" for ref in payload.get("updatedRefs") or ())

    seen = len(needs_listener(ws).at(_address(ws)))
    act_in_thread(ws, repo, number, "merge").expect(200)

    def arrived(received: list[ReceivedDelivery]) -> bool:
        new = [delivery.payload for delivery in received[seen:]]
        merged = any((it.get("discussion") or {}).get("status") == "merged" for it in new)
        return merged and any(map(of_main, new))

    received = needs_listener(ws).wait(_address(ws), arrived, ws.patience)
    events = [delivery.event for delivery in received[seen:]]
    check("deliveries", arrived(received), expected="discussion/update and repo.content/update", got=events)


@deliveries.choice(calls=2)
def squash(ws: Workspace) -> None:
    """A super-squash is `repo.content/update` from the old head to the new one."""
    repo, old = hooked_repo(ws), head(ws, hooked_repo(ws))
    payload = _payload(
        ws,
        lambda: ws.client.post(f"{repo.api}/super-squash/main", json={"message": "One"}).expect(200),
        "repo.content/update",
    )
    ref = only("updatedRefs", part(payload, "updatedRefs"), lambda item: item.get("ref") == "refs/heads/main")
    check_equal("oldSha", part(ref, "oldSha"), old)


@deliveries.fact(calls=2)
def retried(ws: Workspace) -> None:
    """A delivery that got 500 is sent again, with the same `Webhook-Id`."""
    listener = needs_listener(ws)
    _hook(ws)
    before = len(listener.at(_address(ws)))
    listener.refuse_once = _address(ws)
    commit(ws, hooked_repo(ws), {"a.txt": b"again"}).expect(200)

    def ids(received: list[ReceivedDelivery]) -> list[str]:
        return [delivery.headers.get("webhook-id", "") for delivery in received[before:]]

    received = listener.wait(_address(ws), lambda items: len(ids(items)) > len(set(ids(items))), ws.patience)
    got = ids(received)
    check(
        "Webhook-Id", len(got) > len(set(got)), expected="twice the same", got=f"{len(got)} deliveries, all different"
    )


@deliveries.choice(calls=1)
def move(ws: Workspace) -> None:
    """When a repo is renamed, `repo.name` of `repo/move` is the old name, and `movedTo.name` the new one."""
    repo, new = hooked_repo(ws), ws.named("hooksnew")
    body = {"fromRepo": repo.id, "toRepo": new.id, "type": repo.kind}
    payload = _payload(ws, lambda: ws.client.post("/api/repos/move", json=body).expect(200), "repo/move")
    got = (part(payload, "repo", "name"), part(payload, "movedTo", "name"))
    check_equal("repo.name and movedTo.name", got, (repo.id, new.id))
