"""Changes to a board without webhooks, and runs of the timer by which the bot finds them."""

from __future__ import annotations

import json

import httpx2

from bot.processes.reconcile import PERIOD
from localhub.git.repository import Author, SetFile
from steward.testing.board import BOT, REQUESTS, BoardDriver

FINISHED = {"status": "FINISHED", "precision": "float32", "weight_type": "Original"}
WATCHED = [{"type": "dataset", "name": REQUESTS}]


def look(stand: BoardDriver, *, after: float = PERIOD) -> list[tuple[str, str]]:
    """Advance the clock by `after` seconds, run the timer and the syncs; return the calls to the Hub."""
    before = len(stand.calls)
    stand.time += after
    stand.tick()
    stand.work()
    return stand.calls[before:]


def modify(stand: BoardDriver, **files: str | None) -> None:
    """Commit files without a webhook."""
    body = {"type": "dataset", "id": REQUESTS, "files": files, "author": "form"}
    httpx2.post(f"{stand.hub.url}/_admin/modify", json=body).raise_for_status()


def fill(stand: BoardDriver, count: int) -> None:
    """Commit `count` finished requests at once, as git objects."""
    repo = stand.hub.state.repos.get("dataset", REQUESTS)
    assert repo is not None
    models = [f"org-{number // 5}/model-{number}" for number in range(count)]
    files = [SetFile(path_of(model), json.dumps({**FINISHED, "model": model}).encode()) for model in models]
    repo.git.commit("refs/heads/main", files, None, Author("form", "form@example.com"), "Old requests")


def path_of(model: str) -> str:
    """Return the path of the request for `model`."""
    return f"{model}_eval_request_False_float32_Original.json"


def state(stand: BoardDriver, path: str) -> str | None:
    """Return the state of `path` in the index."""
    entry = stand.context.index.find([path])[0]
    return None if entry is None else entry.state


def member(stand: BoardDriver, name: str, role: str) -> tuple[object, object, str]:
    """Return the organisation, the account and the role that make `name` a member of the board's organisation."""
    accounts = stand.hub.state.accounts
    return accounts.by_name("board"), accounts.by_name(name), role


def text_of(event: object) -> str:
    """Return the text of a comment."""
    return getattr(event, "content", "")


def webhook(stand: BoardDriver) -> str:
    """Create a webhook of the bot on the requests repo; return its id."""
    body = {"url": "http://127.0.0.1:9/hook", "watched": WATCHED, "domains": ["repo", "discussion"]}
    headers = {"Authorization": f"Bearer {BOT}"}
    answer = httpx2.post(f"{stand.hub.url}/api/settings/webhooks", json=body, headers=headers)
    return str(answer.json()["webhook"]["id"])
