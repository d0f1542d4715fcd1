"""Refusals: status, `X-Error-Code` and message, from which a client derives its exceptions."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from localhub.contract.checks import check, check_equal
from localhub.contract.client import HubAnswer
from localhub.contract.registry import FactGroup
from localhub.contract.scratch import MISSING
from localhub.contract.workspace import Workspace

refusals = FactGroup("refusals")
_NO_COMMIT = "0123456789" * 4


def _check_missing(answer: HubAnswer, code: str) -> None:
    """Check a 404 with its code and its message."""
    answer.expect(404)
    check_equal("X-Error-Code", answer.code, code)
    check("error", bool(answer.error), expected="a message", got=answer.text)


def _check_hidden(answer: HubAnswer) -> None:
    """Check the refusal of a repo to a caller without a token."""
    answer.expect(401, 404)
    check(
        "X-Error-Code", answer.status == 401 or answer.code == "RepoNotFound", expected="RepoNotFound", got=answer.code
    )


@refusals.fact(calls=1)
def no_repo(ws: Workspace) -> None:
    """A repo that does not exist is 404, `RepoNotFound`, to a caller with a token."""
    _check_missing(ws.client.get(ws.named(MISSING).api), "RepoNotFound")


@refusals.fact(calls=1)
def no_repo_without_token(ws: Workspace) -> None:
    """A repo that does not exist is 401, or 404 with `RepoNotFound`, to a caller without a token."""
    _check_hidden(ws.client.get(ws.named(MISSING).api, sender="anonymous"))


@refusals.fact(calls=2)
def private_without_token(ws: Workspace) -> None:
    """A private repo is refused to a caller without a token like one that does not exist."""
    there = ws.client.get(ws.contents().api, sender="anonymous")
    _check_hidden(there)
    missing = ws.client.get(ws.named(MISSING).api, sender="anonymous")
    check_equal("status and code", (there.status, there.code), (missing.status, missing.code))


@refusals.fact(calls=1)
def no_revision(ws: Workspace) -> None:
    """Repo info at a commit that does not exist is 404, `RevisionNotFound`."""
    _check_missing(ws.client.get(f"{ws.contents().api}/revision/{_NO_COMMIT}"), "RevisionNotFound")


@refusals.fact(calls=1)
def no_revision_of_tree(ws: Workspace) -> None:
    """A listing of a branch that does not exist is 404, `RevisionNotFound`."""
    _check_missing(ws.client.get(f"{ws.contents().api}/tree/no-such-branch"), "RevisionNotFound")


@refusals.fact(calls=1)
def no_folder(ws: Workspace) -> None:
    """A listing of a folder that does not exist is 404, `EntryNotFound`."""
    _check_missing(ws.client.get(f"{ws.contents().api}/tree/main/no-such-folder"), "EntryNotFound")


@refusals.fact(calls=2)
def no_file(ws: Workspace) -> None:
    """A file that does not exist is 404, `EntryNotFound`, with `X-Repo-Commit`."""
    answer = ws.client.get(f"{ws.contents().web}/resolve/main/no-such-file.json", follow=True)
    _check_missing(answer, "EntryNotFound")
    commit = answer.headers.get("x-repo-commit", "")
    check("X-Repo-Commit", len(commit) == 40, expected="a commit", got=commit)


@refusals.fact(calls=1)
def no_revision_of_file(ws: Workspace) -> None:
    """A file at a branch that does not exist is 404, `RevisionNotFound`."""
    _check_missing(
        ws.client.get(f"{ws.contents().web}/resolve/no-such-branch/README.md", follow=True), "RevisionNotFound"
    )


@refusals.fact(calls=1)
def no_thread(ws: Workspace) -> None:
    """A discussion that does not exist is 404, with a message that begins with "No discussion found"."""
    answer = ws.client.get(f"{ws.contents().api}/discussions/987654").expect(404)
    check("error", answer.error.startswith("No discussion found"), expected="No discussion found …", got=answer.error)


@refusals.fact(calls=1)
def invalid_parameter(ws: Workspace) -> None:
    """An unknown property in `expand` is 400, and the JSON `error` is text."""
    answer = ws.client.get(ws.contents().api, params={"expand": "noSuchProperty"}).expect(400)
    check("error", bool(answer.error), expected="a message", got=answer.text)


@refusals.fact(calls=2)
def request_id(ws: Workspace) -> None:
    """Each answer carries `X-Request-Id` or `X-Amzn-Trace-Id`, also a refusal."""
    for path in (ws.contents().api, ws.named(MISSING).api):
        names = ws.client.get(path).headers.keys() & {"x-request-id", "x-amzn-trace-id"}
        check("X-Request-Id", bool(names), expected="an id", got="none")


@refusals.fact(calls=1)
def date(ws: Workspace) -> None:
    """Each answer carries `Date`, by which an operator's clock is checked."""
    value = ws.client.get(f"{ws.contents().api}/refs").expect(200).headers.get("date", "")
    try:
        parsedate_to_datetime(value)
    except ValueError:
        check("Date", False, expected="a date", got=value or "none")
