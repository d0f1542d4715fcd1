"""Discussions: opening, comments with hidden markers, edits, states and lists."""

from __future__ import annotations

from typing import Any

from localhub.contract.checks import check, check_date, check_equal, only, part
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import Workspace, act_in_thread, events, open_pull, open_thread, thread

threads = FactGroup("threads")

_MARKER = "<!-- steward:1 a-board request lab/a-model_eval_request_False_bfloat16_Original.json -->"
_TEXT = (
    f"{_MARKER}\n**Waiting**: position 3.\n\n| task | score |\n|---|---|\n| größe | 0.5 |\n\n- [x] done ✅ <b>&amp;</b>"
)


def _marked(ws: Workspace) -> int:
    """A discussion whose first post has a marker."""
    return ws.once("marked thread", lambda: open_thread(ws, ws.threads_repo(), "A marked thread", _TEXT))


def _raw(event: Any) -> str:
    return str(part(event, "data", "latest", "raw"))


def _comments(ws: Workspace, number: int) -> list[Any]:
    return events(thread(ws, ws.threads_repo(), number), "comment")


def _list(ws: Workspace, **params: str) -> Any:
    defaults = {"type": "all", "status": "all", "p": "0"}
    return ws.client.get(f"{ws.threads_repo().api}/discussions", params=defaults | params).expect(200).json()


@threads.fact(calls=1)
def opened(ws: Workspace) -> None:
    """`POST …/discussions` answers with `num` and the `url` of the discussion."""
    body = {"title": "A first question", "description": "Why?", "pullRequest": False}
    answer = ws.client.post(f"{ws.threads_repo().api}/discussions", json=body).expect(200).json()
    end = f"{ws.threads_repo().web}/discussions/{part(answer, 'num')}"
    check("url", str(part(answer, "url")).endswith(end), expected=f"… {end}", got=answer["url"])


@threads.fact(calls=1)
def details(ws: Workspace) -> None:
    """The details of a discussion give `title`, `status`, `isPullRequest`, `createdAt`, `locked` and its events."""
    fields = thread(ws, ws.threads_repo(), _marked(ws))
    expected = {"title": "A marked thread", "status": "open", "isPullRequest": False, "locked": False}
    check_equal("details", {name: part(fields, name) for name in expected}, expected)
    check_date("createdAt", part(fields, "createdAt"))
    check_equal("type of the first event", part(fields, "events", 0, "type"), "comment")


@threads.fact(calls=1)
def author_id(ws: Workspace) -> None:
    """Authors of threads and of comments have the `_id` of `whoami-v2`, beside their `name`."""
    fields = thread(ws, ws.threads_repo(), _marked(ws))
    for name, item in (("thread", fields), ("comment", part(fields, "events", 0))):
        check_equal(f"name of the {name}'s author", part(item, "author", "name"), ws.me)
        check_equal(f"_id of the {name}'s author", part(item, "author", "_id"), ws.my_id)


@threads.fact(calls=1)
def marker_in_first_post(ws: Workspace) -> None:
    """The first post comes back as it was written, with an HTML comment in its first line, in `data.latest.raw`."""
    check_equal("raw", _raw(_comments(ws, _marked(ws))[0]), _TEXT)


@threads.fact(calls=2)
def marker_in_comment(ws: Workspace) -> None:
    """A comment is 201 with `newMessage`, and comes back as it was written, with the HTML comment."""
    number = _marked(ws)
    message = part(
        act_in_thread(ws, ws.threads_repo(), number, "comment", {"comment": _TEXT}).expect(201).json(), "newMessage"
    )
    check_equal("raw", _raw(message), _TEXT)
    stored = only("comments", _comments(ws, number), lambda event: event["id"] == part(message, "id"))
    check_equal("raw of the thread", _raw(stored), _TEXT)


@threads.fact(calls=3)
def marker_after_edit(ws: Workspace) -> None:
    """An edit keeps a comment's id and its HTML comment, sets `edited`, and shows the new text."""
    number, text = _marked(ws), f"{_MARKER}\nNew text"
    message = part(
        act_in_thread(ws, ws.threads_repo(), number, "comment", {"comment": _TEXT}).expect(201).json(), "newMessage"
    )
    comment_id = str(part(message, "id"))
    answer = (
        act_in_thread(ws, ws.threads_repo(), number, f"comment/{comment_id.lower()}/edit", {"content": text})
        .expect(200)
        .json()
    )
    check_equal("id", part(answer, "updatedComment", "id"), comment_id)
    stored = only("comments", _comments(ws, number), lambda event: event["id"] == comment_id)
    check_equal("raw", _raw(stored), text)
    check_equal("edited", part(stored, "data", "edited"), True)


@threads.fact(calls=3)
def hidden_comment(ws: Workspace) -> None:
    """A hidden comment stays in the timeline, with `hidden` and without its text."""
    number = _marked(ws)
    message = part(
        act_in_thread(ws, ws.threads_repo(), number, "comment", {"comment": "A secret"}).expect(201).json(),
        "newMessage",
    )
    comment_id = str(part(message, "id"))
    act_in_thread(ws, ws.threads_repo(), number, f"comment/{comment_id.lower()}/hide").expect(200)
    stored = only("comments", _comments(ws, number), lambda event: event["id"] == comment_id)
    check_equal("hidden", part(stored, "data", "hidden"), True)
    check("raw", "A secret" not in _raw(stored), expected="another text", got=_raw(stored))


@threads.fact(calls=4)
def closed_and_opened(ws: Workspace) -> None:
    """`POST …/status` closes and opens a thread; the timeline says who did."""
    repo, number = ws.threads_repo(), open_thread(ws, ws.threads_repo(), "To be closed")
    answer = act_in_thread(ws, repo, number, "status", {"status": "closed"}).expect(200).json()
    check_equal("newStatus", part(answer, "newStatus", "data", "status"), "closed")
    fields = thread(ws, repo, number)
    check_equal("status", part(fields, "status"), "closed")
    change = only("status-change", events(fields, "status-change"), lambda event: event["data"]["status"] == "closed")
    check_equal("author of the change", part(change, "author", "_id"), ws.my_id)
    act_in_thread(ws, repo, number, "status", {"status": "open"}).expect(200)


@threads.choice(calls=3)
def status_with_comment(ws: Workspace) -> None:
    """A change of status with a comment leaves both events in the timeline."""
    repo, number = ws.threads_repo(), open_thread(ws, ws.threads_repo(), "To be closed with a word")
    act_in_thread(ws, repo, number, "status", {"status": "closed", "comment": "Because."}).expect(200)
    fields = thread(ws, repo, number)
    check_equal("status changes", len(events(fields, "status-change")), 1)
    check_equal("the last comment", _raw(events(fields, "comment")[-1]), "Because.")


@threads.fact(calls=3)
def renamed(ws: Workspace) -> None:
    """`POST …/title` renames a thread; the timeline holds `from` and `to`."""
    repo, number = ws.threads_repo(), open_thread(ws, ws.threads_repo(), "Before the change")
    act_in_thread(ws, repo, number, "title", {"title": "After the change"}).expect(200)
    fields = thread(ws, repo, number)
    check_equal("title", part(fields, "title"), "After the change")
    change = only("title-change", events(fields, "title-change"), lambda _: True)
    got = {name: part(change, "data", name) for name in ("from", "to")}
    check_equal("data", got, {"from": "Before the change", "to": "After the change"})


@threads.fact(calls=2)
def lengths(ws: Workspace) -> None:
    """A title of more than 200 characters and a comment of more than 65,536 are 400."""
    body = {"title": "t" * 201, "description": "Why?", "pullRequest": False}
    ws.client.post(f"{ws.threads_repo().api}/discussions", json=body).expect(400)
    act_in_thread(ws, ws.threads_repo(), _marked(ws), "comment", {"comment": "c" * 65_537}).expect(400)


@threads.fact(calls=1)
def longest_comment(ws: Workspace) -> None:
    """A comment of 65,536 characters is accepted."""
    act_in_thread(ws, ws.threads_repo(), _marked(ws), "comment", {"comment": "c" * 65_536}).expect(201)


@threads.fact(calls=4)
def listed(ws: Workspace) -> None:
    """The list begins with the newest thread, and gives `count`, `start`, and `numComments` with the first post."""
    repo = ws.threads_repo()
    open_thread(ws, repo, "An older thread")
    number = open_thread(ws, repo, "The newest thread")
    act_in_thread(ws, repo, number, "comment", {"comment": "A second post"}).expect(201)
    answer = _list(ws)
    newest = part(answer, "discussions", 0)
    expected = {"num": number, "title": "The newest thread", "status": "open", "numComments": 2}
    check_equal("the first thread", {name: part(newest, name) for name in expected}, expected)
    check_date("createdAt", part(newest, "createdAt"))
    check_equal("author", part(newest, "author", "name"), ws.me)
    check_equal("start", part(answer, "start"), 0)
    check("count", part(answer, "count") >= 2, expected="2 or more", got=answer["count"])


@threads.fact(calls=2)
def list_ends(ws: Workspace) -> None:
    """A page behind the last one is empty."""
    _marked(ws)
    answer = _list(ws, p="1")
    check_equal("discussions", part(answer, "discussions"), [])
    check("start", part(answer, "start") >= part(answer, "count"), expected="count or more", got=answer)


@threads.fact(calls=6)
def list_filters(ws: Workspace) -> None:
    """The list can be filtered by `type`, `status` and `author`."""
    repo = ws.threads_repo()
    pull = open_pull(ws, repo, {"listed.txt": b"1"}, "A pull request in the list")
    closed = open_thread(ws, repo, "A closed thread in the list")
    act_in_thread(ws, repo, closed, "status", {"status": "closed"}).expect(200)

    def numbers(**params: str) -> list[int]:
        return [part(item, "num") for item in part(_list(ws, **params), "discussions")]

    pulls, still_open, of_another = numbers(type="pull_request"), numbers(status="open"), numbers(author="huggingface")
    check("pull requests", pull in pulls and closed not in pulls, expected=f"{pull}, not {closed}", got=pulls)
    check("open", pull in still_open and closed not in still_open, expected=f"{pull}, not {closed}", got=still_open)
    check_equal("threads of another author", of_another, [])
