"""Rate limits: the headers that report them, and the limit of commits of one repo."""

from __future__ import annotations

import re

from localhub.contract.checks import NotTried, check, check_equal
from localhub.contract.client import HubAnswer
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import Workspace, commit

limits = FactGroup("limits")

_LIMIT = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')
_POLICY = re.compile(r'"[^"]+";"(\w+)";q=(\d+);w=(\d+)')
_MOST_COMMITS = 330
"""More than the limit of any plan that is known: 128, 256 or 320 commits an hour."""


def _check_headers(answer: HubAnswer, resource: str) -> None:
    for header, form in (("ratelimit", _LIMIT), ("ratelimit-policy", _POLICY)):
        value = answer.headers.get(header, "")
        match = form.search(value)
        check(header, match is not None and match[1] == resource, expected=f'"{resource}" …', got=value or "none")


@limits.fact(calls=1)
def headers_of_calls(ws: Workspace) -> None:
    """An answer of the API has `RateLimit: "api";r=…;t=…` and `RateLimit-Policy: "fixed window";"api";q=…;w=…`."""
    _check_headers(ws.client.get(f"{ws.contents().api}/refs").expect(200), "api")


@limits.fact(calls=1)
def headers_of_files(ws: Workspace) -> None:
    """Files count for another limit, `resolvers`."""
    _check_headers(ws.client.get(f"{ws.contents().web}/resolve/main/notes/a.json"), "resolvers")


@limits.fact(calls=1)
def window(ws: Workspace) -> None:
    """The limits hold for windows of five minutes."""
    match = _POLICY.search(ws.client.get(f"{ws.contents().api}/refs").expect(200).headers.get("ratelimit-policy", ""))
    check_equal("w", match[3] if match else "none", "300")


def _refused_commit(ws: Workspace) -> tuple[int, HubAnswer]:
    """How many commits a new repo took, and the answer to the next one."""

    def make() -> tuple[int, HubAnswer]:
        repo = ws.repo("quota")
        for number in range(_MOST_COMMITS):
            answer = commit(ws, repo, {"a.txt": b"%d" % number}, wait=False)
            if answer.status != 200:
                return number, answer
        raise NotTried(f"the repo took {_MOST_COMMITS} commits without a refusal")

    return ws.once("refused commit", make)


@limits.fact(calls=_MOST_COMMITS + 1, needs=("exhaustive",))
def commits_of_a_repo(ws: Workspace) -> None:
    """One commit too many in an hour is 429; only its text says "rate limit for repository commits"."""
    answer = _refused_commit(ws)[1].expect(429)
    text = "rate limit for repository commits"
    check("error", text in answer.error, expected=f"… {text} …", got=answer.error)
    match = _LIMIT.search(answer.headers.get("ratelimit", ""))
    check("RateLimit", match is None or match[2] != "0", expected="calls left", got=answer.headers.get("ratelimit"))


@limits.choice(calls=0, needs=("exhaustive",))
def initial_commit(ws: Workspace) -> None:
    """The initial commit of a repo does not count among the commits of an hour."""
    count, answer = _refused_commit(ws)
    match = re.search(r"\((\d+) per hour\)", answer.error)
    check_equal("commits before the refusal", count, int(match[1]) if match else "the number in the refusal")
