"""How a request file changes from one status to the next: which fields are set, and nothing else.

A transition is not a text but what it sets, so that whatever else people change in the file meanwhile survives it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from leaderboard.attempts import Failure
from leaderboard.lifecycle import CurrentAttempt, highest_used_number
from leaderboard.requests import PreviousResult, Request, Status

RESTS_ON = ("status", "job_id", "steward.attempt", "steward.revision")
"""The fields that every decision about a running or waiting attempt rests on; `steward.x` is a member of `steward`."""
MOST_CAUSES = 100
"""Causes of its reopening that a file keeps; the oldest go first."""
_COMMIT = re.compile(r"[0-9a-f]{40}$")
JUDGED = (*RESTS_ON, "model", "base_model", "revision", "precision", "weight_type", "private", "use_chat_template")
"""The fields that a verdict about the submission itself rests on."""


@dataclass(frozen=True)
class Transition:
    """Sets `fields` of the file, and the members `facts` of its object `steward`; a fact of None is removed."""

    fields: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)


def claim_transition(
    request: Request,
    *,
    attempt: str,
    now: CurrentAttempt,
    revision: str,
    thread: int | None,
    started: str,
    cause: str = "",
) -> Transition:
    """RUNNING: the commit of this is the claim of `attempt`. `started` is an ISO time in UTC.

    `cause` is what put a request back that had come to an end, for the file to keep.
    """
    causes = request.file.steward.causes
    facts = {"attempt": now.number, "first": now.first, "spent": now.number, "revision": revision, "failure": None}
    if cause and cause not in causes:
        facts["causes"] = [*causes, cause][-MOST_CAUSES:]
    fields = {"status": Status.RUNNING.value, "job_id": attempt, "job_start_time": started}
    return Transition(fields, _with_thread(facts, thread))


def show_previous_transition(kept: PreviousResult) -> Transition:
    """PENDING_NEW_EVAL: it waits, and front ends go on showing the result that is `kept`."""
    return Transition({"status": Status.PENDING_NEW_EVAL.value}, {"kept": kept.model_dump(exclude_none=True)})


def restore_transition(
    kept: PreviousResult,
    *,
    tried: str,
    failure: Failure,
    log: str | None,
    thread: int | None,
    number: int | None = None,
) -> Transition:
    """FINISHED as it was before, with what became of the newer evaluation noted: its failure, its log, and its commit,
    `tried`, which can be evaluated once more."""
    facts: dict[str, Any] = {
        "failure": failure.model_dump(),
        "log": log or kept.log,
        "results": kept.results,
        "revision": kept.revision if _COMMIT.match(kept.revision) else None,
        "kept": None,
        "priority": None,
        "tried": tried,
    }
    if number is not None:
        facts["spent"] = number
    fields = {"status": Status.FINISHED.value, "revision": kept.revision}
    return Transition(fields, _with_thread(facts, thread))


def finish_transition(*, number: int, revision: str, results: str, log: str | None, thread: int | None) -> Transition:
    """FINISHED by attempt `number` at the commit `revision`, with the path of the results and the address of the log.

    Attempt and revision stand there since the claim, unless somebody wrote the whole file anew meanwhile. A priority
    was that of the turn which it had: should it wait again, it waits like all others.
    """
    facts = {"attempt": number, "revision": revision, "results": results, "log": log, "failure": None, "spent": number}
    facts |= {"kept": None, "priority": None, "tried": None}
    return Transition({"status": Status.FINISHED.value}, _with_thread(facts, thread))


def fail_transition(*, failure: Failure, log: str | None, thread: int | None, number: int | None = None) -> Transition:
    """FAILED, and never silently: cause, whose fault, message, advice and log.

    `number` is that of the attempt that failed, None where it did not come to one.
    """
    facts: dict[str, Any] = {"failure": failure.model_dump(), "log": log}
    if number is not None:
        facts |= {"attempt": number, "spent": number}
    return Transition({"status": Status.FAILED.value}, _with_thread(facts, thread))


def reopen_transition(
    request: Request, *, now: CurrentAttempt, cause: str, failure: Failure, thread: int | None
) -> Transition | None:
    """RERUN as the attempt after `now`, because of `cause`; None where that has reopened this request before."""
    causes = request.file.steward.causes
    if cause in causes:
        return None
    facts = {
        "attempt": now.number + 1,
        "first": now.first,
        "spent": now.number,
        "failure": failure.model_dump(),
        "causes": [*causes, cause][-MOST_CAUSES:],
    }
    return Transition({"status": Status.RERUN.value, "job_id": -1}, _with_thread(facts, thread))


def relaunch_transition(request: Request, *, cause: str, used: int = 0) -> Transition | None:
    """RERUN because a person asked for it in `cause`; None where that has reopened this request before.

    The next attempt is judged anew, at the commit that the file asks for, with a budget of its own. `used` is the
    number of the last attempt that is known from elsewhere.
    """
    causes = request.file.steward.causes
    if cause in causes:
        return None
    over = max(highest_used_number(request), used)
    kept = previous_result_of(request)
    facts = {
        "attempt": over + 1,
        "first": over + 1,
        "spent": over,
        "revision": None,
        "causes": [*causes, cause][-MOST_CAUSES:],
        "kept": kept.model_dump(exclude_none=True) if kept is not None else None,
        "tried": None,
    }
    return Transition({"status": Status.RERUN.value, "job_id": -1}, facts)


def retry_transition(request: Request, *, cause: str, shown: bool, used: int = 0) -> Transition | None:
    """`relaunched`; where a newer evaluation failed and an earlier result stayed, at the commit that was tried.

    `shown` says whether front ends show that result meanwhile.
    """
    step, tried = relaunch_transition(request, cause=cause, used=used), request.tried
    if step is None or tried is None:
        return step
    status = Status.PENDING_NEW_EVAL if shown else Status.RERUN
    return Transition({**step.fields, "status": status.value, "revision": tried}, step.facts)


def resubmit_transition(request: Request, *, revision: str, cause: str, used: int = 0) -> Transition | None:
    """Waits again, at the commit `revision`; None where `cause` has reopened this request before.

    One that has results says PENDING_NEW_EVAL, which front ends show beside them. What it failed of is no longer so.
    """
    step = relaunch_transition(request, cause=cause, used=used)
    if step is None:
        return None
    kept = previous_result_of(request)
    status = Status.PENDING_NEW_EVAL if kept is not None else Status.PENDING
    fields = {**step.fields, "status": status.value, "revision": revision}
    facts = {"failure": None, "cancelled": None, "kept": kept.model_dump(exclude_none=True) if kept else None}
    return Transition(fields, {**step.facts, **facts})


def reevaluate_transition(request: Request, *, cause: str, shown: bool, used: int = 0) -> Transition | None:
    """Waits for another evaluation of the very commit that it has results of; None where it was reopened for it before.

    Its turn comes after everything else. `shown` says whether front ends show the results meanwhile.
    """
    step, kept = relaunch_transition(request, cause=cause, used=used), previous_result_of(request)
    if step is None or kept is None:
        return None
    status = Status.PENDING_NEW_EVAL if shown else Status.PENDING
    pinned = kept.revision if _COMMIT.match(kept.revision) else None
    facts = {**step.facts, "revision": pinned, "failure": None, "priority": "low"}
    return Transition({**step.fields, "status": status.value}, facts)


def previous_result_of(request: Request) -> PreviousResult | None:
    """The result that a request has while it waits, or waits again; None where it has none."""
    facts, file = request.file.steward, request.file
    if facts.kept is not None:
        return facts.kept
    if facts.results is None and request.status is not Status.FINISHED:
        return None
    return PreviousResult(revision=facts.revision or file.revision or "main", results=facts.results, log=facts.log)


def _with_thread(facts: dict[str, Any], thread: int | None) -> dict[str, Any]:
    """A thread that is not known here is no reason to forget one that the file names."""
    return facts if thread is None else {**facts, "thread": thread}
