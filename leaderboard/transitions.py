"""Transitions of a request file from one status to the next: the fields that each sets, and no others.

A transition names the fields to set instead of a whole text, so that simultaneous changes of other fields survive. A
waiting status becomes PENDING when it is written, if the board's front end does not list it (`Board.listed`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from leaderboard.attempts import Failure
from leaderboard.holds import Hold, Priority
from leaderboard.lifecycle import CurrentAttempt, highest_used_number
from leaderboard.requests import Request, Status
from leaderboard.steward_facts import PreviousResult

RESTS_ON = ("status", "job_id", "steward.attempt", "steward.revision")
"""The fields on which decisions about a running or waiting attempt depend; `steward.x` is a member of `steward`."""
JUDGED = (*RESTS_ON, "model", "base_model", "revision", "precision", "weight_type", "private", "use_chat_template")
"""The fields on which a verdict about the submission depends."""
MAX_CAUSES = 100
"""Causes of reopenings that a file keeps; the oldest are dropped first."""
_COMMIT = re.compile(r"[0-9a-f]{40}$")

ReevaluationStatus = Literal["due", "current", "tried", "unknown"]


class FactChanges(TypedDict, total=False):
    """Members of `steward` to set (see `leaderboard.steward_facts.StewardFacts`); None removes a member."""

    attempt: int
    first: int
    spent: int
    revision: str | None
    thread: int
    failure: Mapping[str, Any] | None
    log: str | None
    results: str | None
    details: str | None
    rescored_from: str | None
    season: str | None
    causes: Sequence[str]
    priority: Priority | None
    hold: Mapping[str, Any] | None
    cancelled: Mapping[str, Any] | None
    kept: Mapping[str, Any] | None
    tried: str | None


@dataclass(frozen=True)
class Transition:
    """Sets `fields` of the file, and the members `facts` of its object `steward`; a fact of None is removed."""

    fields: Mapping[str, Any]
    facts: FactChanges = field(default_factory=FactChanges)

    def submitted_at(self, time: str | None) -> Transition:
        """Return the same transition, which also sets the time of submission, unless that is None."""
        return self if time is None else Transition({**self.fields, "submitted_time": time}, self.facts)


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
    """RUNNING: the commit with this transition is the claim of `attempt`. `started` is an ISO time in UTC.

    `cause` is the reason for which an ended request was reopened; the file keeps it.
    """
    causes = request.file.steward.causes
    facts = FactChanges(attempt=now.number, first=now.first, spent=now.number, revision=revision, failure=None)
    if cause and cause not in causes:
        facts["causes"] = _with_cause(request, cause)
    fields = {"status": Status.RUNNING.value, "job_id": attempt, "job_start_time": started}
    return Transition(fields, _with_thread(facts, thread))


def waiting_transition(status: Status, previous: PreviousResult | None) -> Transition:
    """Set the waiting `status`, and the result `previous` that front ends still show, if there is one."""
    return Transition({"status": status.value}, {"kept": _dump(previous)} if previous is not None else {})


def restore_transition(
    previous: PreviousResult,
    *,
    tried: str,
    failure: Failure,
    log: str | None,
    thread: int | None,
    number: int | None = None,
) -> Transition:
    """FINISHED with the earlier result, and the failure, log and commit of the newer evaluation.

    That commit, `tried`, can be evaluated once more.
    """
    facts = FactChanges(
        failure=failure.model_dump(),
        log=log or previous.log,
        results=previous.results,
        revision=previous.revision if _COMMIT.fullmatch(previous.revision) else None,
        kept=None,
        priority=None,
        tried=tried,
    )
    if number is not None:
        facts["spent"] = number
    fields = {"status": Status.FINISHED.value, "revision": previous.revision}
    return Transition(fields, _with_thread(facts, thread))


def finish_transition(*, number: int, revision: str, results: str, log: str | None, thread: int | None) -> Transition:
    """FINISHED by attempt `number` at the commit `revision`, with the path of the results and the URL of the log.

    The claim has written attempt and revision already, unless another program has overwritten the file since. The
    priority ends with the attempt: if the request waits again, it has normal priority.
    """
    facts = FactChanges(
        attempt=number,
        revision=revision,
        results=results,
        details=None,
        rescored_from=None,
        log=log,
        failure=None,
        spent=number,
        kept=None,
        priority=None,
        tried=None,
    )
    return Transition({"status": Status.FINISHED.value}, _with_thread(facts, thread))


def rescore_transition(*, results: str, rescored_from: str) -> Transition:
    """Set the results at `results`, which were computed from the answers of the evaluation with the results
    `rescored_from`. The status stays."""
    return Transition({}, FactChanges(results=results, rescored_from=rescored_from))


def fail_transition(*, failure: Failure, log: str | None, thread: int | None, number: int | None = None) -> Transition:
    """FAILED, always with cause, fault, message, advice and log.

    `number` is that of the failed attempt, None if the request failed before an attempt.
    """
    facts = FactChanges(failure=failure.model_dump(), log=log)
    if number is not None:
        facts["attempt"] = facts["spent"] = number
    return Transition({"status": Status.FAILED.value}, _with_thread(facts, thread))


def reopen_transition(
    request: Request, *, now: CurrentAttempt, cause: str, failure: Failure, thread: int | None
) -> Transition | None:
    """RERUN as the attempt after `now`, because of `cause`; None if `cause` has reopened this request before."""
    if cause in request.file.steward.causes:
        return None
    facts = FactChanges(
        attempt=now.number + 1,
        first=now.first,
        spent=now.number,
        failure=failure.model_dump(),
        causes=_with_cause(request, cause),
    )
    return Transition({"status": Status.RERUN.value, "job_id": -1}, _with_thread(facts, thread))


def relaunch_transition(request: Request, *, cause: str, used: int = 0) -> Transition | None:
    """RERUN because a person asked for it in `cause`; None if `cause` has reopened this request before.

    The next attempt is admitted again, at the commit that the file names, with a new limit of attempts. `used` is the
    highest attempt number known from other sources than the file.
    """
    if cause in request.file.steward.causes:
        return None
    spent = max(highest_used_number(request), used)
    previous = previous_result_of(request)
    facts = FactChanges(
        attempt=spent + 1,
        first=spent + 1,
        spent=spent,
        revision=None,
        causes=_with_cause(request, cause),
        kept=_dump(previous) if previous is not None else None,
        tried=None,
    )
    return Transition({"status": Status.RERUN.value, "job_id": -1}, facts)


def retry_transition(request: Request, *, cause: str, used: int = 0) -> Transition | None:
    """Return `relaunch_transition`; after a newer evaluation that failed (`Request.tried`), at its commit."""
    step, tried = relaunch_transition(request, cause=cause, used=used), request.tried
    if step is None or tried is None:
        return step
    return Transition({**step.fields, "status": Status.PENDING_NEW_EVAL.value, "revision": tried}, step.facts)


def resubmit_transition(request: Request, *, revision: str, cause: str, used: int = 0) -> Transition | None:
    """Waiting again, at the commit `revision`; None if `cause` has reopened this request before.

    A request with results becomes PENDING_NEW_EVAL, and front ends show the results meanwhile. Its failure is removed.
    """
    step = relaunch_transition(request, cause=cause, used=used)
    if step is None:
        return None
    previous = previous_result_of(request)
    status = Status.PENDING_NEW_EVAL if previous is not None else Status.PENDING
    fields = {**step.fields, "status": status.value, "revision": revision}
    facts: FactChanges = {
        **step.facts,
        "failure": None,
        "cancelled": None,
        "kept": _dump(previous) if previous else None,
    }
    return Transition(fields, facts)


def reevaluate_transition(request: Request, *, cause: str, used: int = 0) -> Transition | None:
    """Waiting for another evaluation of the same commit, with low priority, while front ends show the present results.

    None if `cause` has reopened this request before.
    """
    step, previous = relaunch_transition(request, cause=cause, used=used), previous_result_of(request)
    if step is None or previous is None:
        return None
    pinned = previous.revision if _COMMIT.fullmatch(previous.revision) else None
    facts: FactChanges = {**step.facts, "revision": pinned, "failure": None, "priority": "low"}
    return Transition({**step.fields, "status": Status.PENDING_NEW_EVAL.value}, facts)


def reevaluation_status(request: Request, made_with: str | None, suite: str) -> ReevaluationStatus:
    """Return how the results of a finished request relate to the suite with the digest `suite`.

    `made_with` is the digest of the suite of the results, if known. `tried`: the request was reopened for this suite
    once, but the newer evaluation failed and the same results stayed.
    """
    if made_with == suite:
        return "current"
    if reevaluation_cause(request, suite) in request.file.steward.causes:
        return "tried"
    return "due" if made_with is not None else "unknown"


def reevaluation_cause(request: Request, suite: str) -> str:
    """Return the cause that reopens a request for `suite`; it stays the same while the request has the same results."""
    result = hashlib.sha256((request.file.steward.results or "").encode()).hexdigest()
    return f"suite:{suite[:16]}:{result[:16]}"


def cancel_transition(why: Hold, previous: PreviousResult | None = None) -> Transition:
    """CANCELLED, with reason and author; a hold ends with it. The earlier result `previous` stays."""
    facts = FactChanges(cancelled=why.model_dump(), hold=None)
    if previous is not None:
        facts["kept"] = _dump(previous)
    return Transition({"status": Status.CANCELLED.value}, facts)


def hold_transition(why: Hold | None) -> Transition:
    """Hold the request for the reason `why`, or end its hold (None). The status stays."""
    return Transition({}, {"hold": why.model_dump() if why is not None else None})


def priority_transition(priority: Priority) -> Transition:
    """Set the priority; requests of higher priority run first. The status stays."""
    return Transition({}, {"priority": priority if priority != "normal" else None})


def previous_result_of(request: Request) -> PreviousResult | None:
    """Return the result that a request has while it waits; None without one."""
    facts, file = request.file.steward, request.file
    if facts.kept is not None:
        return facts.kept
    if facts.results is None and request.status is not Status.FINISHED:
        return None
    return PreviousResult(revision=facts.revision or file.revision or "main", results=facts.results, log=facts.log)


def _dump(previous: PreviousResult) -> Mapping[str, Any]:
    return previous.model_dump(exclude_none=True)


def _with_cause(request: Request, cause: str) -> list[str]:
    return [*request.file.steward.causes, cause][-MAX_CAUSES:]


def _with_thread(facts: FactChanges, thread: int | None) -> FactChanges:
    """Set the thread; an unknown thread does not remove one that the file names."""
    return facts if thread is None else {**facts, "thread": thread}
