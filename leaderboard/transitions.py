"""How a request file changes from one status to the next: text in, text out, everything unknown kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leaderboard.attempts import Failure
from leaderboard.requests import Request, Status, edit


def claimed(request: Request, *, attempt: str, number: int, revision: str, thread: int | None, started: str) -> str:
    """RUNNING: the commit of this text is the claim of `attempt`. `started` is an ISO time in UTC."""
    facts = {"attempt": number, "revision": revision, "thread": thread, "failure": None}
    fields = {"status": Status.RUNNING.value, "job_id": attempt, "job_start_time": started}
    return edit(request.raw, {**fields, "steward": _facts(request, facts)})


def finished(request: Request, *, results: str, log: str, thread: int | None) -> str:
    """FINISHED, with the path of the results and the address of the log."""
    facts = {"results": results, "log": log, "thread": thread, "failure": None}
    return edit(request.raw, {"status": Status.FINISHED.value, "steward": _facts(request, facts)})


def failed(request: Request, *, failure: Failure, log: str | None, thread: int | None) -> str:
    """FAILED, and never silently: cause, whose fault, message, advice and log."""
    facts = {"failure": failure.model_dump(), "log": log, "thread": thread}
    return edit(request.raw, {"status": Status.FAILED.value, "steward": _facts(request, facts)})


def reopened(request: Request, *, number: int, cause: str, failure: Failure, thread: int | None) -> str:
    """RERUN as attempt `number`, because of `cause`; the same cause reopens a request only once."""
    causes = request.file.steward.causes
    if cause in causes:
        return request.raw
    facts = {"attempt": number, "failure": failure.model_dump(), "thread": thread, "causes": [*causes, cause][-100:]}
    return edit(request.raw, {"status": Status.RERUN.value, "job_id": -1, "steward": _facts(request, facts)})


def refused_unread(raw: str, *, failure: Failure, thread: int | None) -> str:
    """FAILED, in a file that is an object but not a request: what is not understood is not touched."""
    return edit(
        raw,
        {"status": Status.FAILED.value, "steward": _without_none({"failure": failure.model_dump(), "thread": thread})},
    )


def _facts(request: Request, changes: Mapping[str, Any]) -> dict[str, Any]:
    kept = request.file.steward.model_dump(exclude_unset=True)
    return _without_none({**kept, **changes})


def _without_none(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
