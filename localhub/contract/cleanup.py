"""Removes what a run made, and what earlier runs left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from localhub.contract.checks import Differs, NotTried
from localhub.contract.client import ContractClient
from localhub.contract.paging import next_page
from localhub.contract.scratch import PREFIX, RepoKind, ScratchRepo, is_scratch_name

_HOOKS = "/api/settings/webhooks"
_MOST_PAGES = 20
_TRIES, _CALLS = 2, 6
"""How often a removal is tried, and the most calls that it makes, since each waits for rate limits."""
_GONE = (200, 204, 301, 307, 308, 404)
"""Answers after which a repo is not there under its name: removed, renamed, or never made."""


def remove_all(client: ContractClient) -> list[str]:
    """Remove the webhooks and repos that the guard allows to write to; return a sentence for each that stays."""
    guard = client.guard
    client.budget.most = client.budget.used + _CALLS * (len(guard.repos) + len(guard.webhooks))
    problems = []
    for hook in reversed(list(guard.webhooks)):
        problems += _removed(client, f"webhook {hook}", f"{_HOOKS}/{hook}", None)
    for repo in reversed(list(guard.repos)):
        body = {"name": repo.name, "organization": repo.owner, "type": repo.kind}
        problems += _removed(client, f"{repo.kind} {repo.id}", "/api/repos/delete", body)
    return problems


def _removed(client: ContractClient, name: str, path: str, body: object) -> list[str]:
    why = ""
    for _ in range(_TRIES):
        try:
            answer = client.call("DELETE", path, json=body)
        except NotTried as error:
            why = str(error)
            continue
        if answer.status in _GONE:
            return []
        why = f"{answer.status} {answer.error}"
    return [f"The {name} could not be removed: {why}"]


def admit_left_overs(client: ContractClient, namespace: str) -> list[str]:
    """Find what earlier runs left in `namespace`, let the guard allow its removal, and return its names.

    Raises Differs and NotTried if the lists cannot be read.
    """
    client.budget.most = client.budget.used + 4 * _MOST_PAGES
    names = []
    for kind in get_args(RepoKind):
        for repo in _left_repos(client, namespace, kind):
            client.guard.admit_repo(repo)
            names.append(f"{repo.kind} {repo.id}")
    for hook in client.get(_HOOKS).expect(200).json():
        watched = [str(item["name"]) for item in hook.get("watched") or ()]
        if watched and all(_is_left(name, namespace) for name in watched):
            client.guard.webhooks[str(hook["id"])] = None
            names.append(f"webhook {hook['id']}")
    return names


def _left_repos(client: ContractClient, namespace: str, kind: RepoKind) -> Iterator[ScratchRepo]:
    answer = client.get(f"/api/{kind}s", params={"author": namespace, "search": PREFIX, "limit": "100"}).expect(200)
    for _ in range(_MOST_PAGES):
        items: list[Any] = answer.json()
        names = [str(item["id"]) for item in items]
        yield from (ScratchRepo(kind, name) for name in names if _is_left(name, namespace))
        if not (following := next_page(answer)):
            return
        answer = client.get(following).expect(200)
    raise Differs(f"at most {_MOST_PAGES} pages of {kind}s", "more")


def _is_left(repo_id: str, namespace: str) -> bool:
    owner, _, name = repo_id.partition("/")
    return owner == namespace and is_scratch_name(name)
