"""Re-evaluate, on an operator's command, requests whose results were made with another version of the board's suite.

    survey      find the finished requests with results of another suite: read in clones of two repos, without a call
                for each request
    put_back    return them to the queue, in as few commits as the ledger needs

Their results stay, and stay shown, until newer ones are published; if the newer evaluation fails, they are restored
(`bot.request_files.earlier_results`). The suite is read from the results on the Hub, because Redis may have been lost.

Race closed: the command dies halfway, or runs twice. A request in the queue is not finished any more, one with a staged
edit is skipped, and a result is put back for one suite only once, even if the newer evaluation failed.
Race closed: a person relaunches or resubmits a request meanwhile. The edit requires the status that was read.
Race accepted: a request had more attempts than its file and the index know. Its admission notices that, and it is
evaluated at the commit that its file names.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.core.commit_origins import know_origin
from bot.core.context import BoardContext
from bot.core.decision_records import record_decision
from bot.ledger.edits import FieldEdit
from bot.request_files.file_edits import known_facts, transition_edit
from bot.results.finished_requests import FinishedRequest, finished_requests
from hub.records import Account
from leaderboard import transitions
from leaderboard.effects import Effect, EffectMode
from leaderboard.transitions import reevaluation_cause, reevaluation_status
from redis_state.clock import iso

CHUNK_SIZE = 250
"""Edits staged, and paths recorded, at a time: as many as the ledger puts into one commit."""


@dataclass(frozen=True)
class ReevaluationSurvey:
    """The finished requests that are `due` for the board's suite, and the numbers of those that are not, by reason.

    `current`: the result is of this suite. `tried`: an evaluation with this suite failed. `old`: the result is from
    before Steward. `changing`: an edit is staged. `unknown`: paths whose result is missing or cannot be read.
    """

    suite: str
    due: tuple[FinishedRequest, ...] = ()
    current: int = 0
    tried: int = 0
    old: int = 0
    changing: int = 0
    unknown: tuple[str, ...] = ()


def survey(
    context: BoardContext, *, model: str = "", old: bool = False, limit: int | None = None
) -> ReevaluationSurvey:
    """Survey all finished requests, or those of `model`; with `old`, results from before Steward are due too.

    List at most `limit` as due, in the order of their paths. A few calls for each of two clones. Raises HubError and
    MirrorDamaged.
    """
    due, unknown, counts = list[FinishedRequest](), list[str](), Counter[str]()
    for outdated in finished_requests(context, (model,) if model else ()):
        status = reevaluation_status(outdated.request, outdated.made_with or None, context.suite.digest)
        from_before = outdated.request.file.steward.results is None
        if context.ledger.edits.is_pending(outdated.path):
            counts["changing"] += 1
        elif status == "due" or (status == "unknown" and from_before and old):
            due.append(outdated)
        elif status == "unknown" and not from_before:
            unknown.append(outdated.path)
        else:
            counts["old" if status == "unknown" else status] += 1
    return ReevaluationSurvey(context.suite.digest, due=tuple(due[:limit]), unknown=tuple(unknown), **counts)


def put_back(context: BoardContext, due: Sequence[FinishedRequest], *, by: Account, command: str) -> int:
    """Return all of `due` to the queue and record the decision. Return their number: 0 if relaunches are held back.

    No calls, except to find the submitters of requests from before Steward. Raises HubError.
    """
    edits = [edit for outdated in due if (edit := _edit(context, outdated)) is not None]
    if edits and context.effects.mode(Effect.EDIT, Effect.RELAUNCH) is EffectMode.ON:
        _record(context, edits, by, command)
    staged = 0
    for chunk in _chunks(edits):
        staged += len(chunk) if context.effects.stage(context.requests, *chunk, effect=Effect.RELAUNCH) else 0
    return staged


def _edit(context: BoardContext, outdated: FinishedRequest) -> FieldEdit | None:
    request, suite = outdated.request, context.suite.digest
    cause, used = reevaluation_cause(request, suite), context.index.get(outdated.path).used or 0
    step = transitions.reevaluate_transition(request, cause=cause, used=used)
    if step is None:
        return None
    if request.file.steward.attempt == 0:
        know_origin(context, request)
    # Facts that Redis does not hold any more stay as the file has them.
    known = {name: value for name, value in known_facts(context, request).items() if value is not None}
    name = f"reevaluate {cause} {hashlib.sha256(outdated.path.encode()).hexdigest()[:12]}"
    line = f"Evaluate {request.path.model} with the new suite"
    return transition_edit(context.board, request, outdated.file, step, name=name, line=line, known=known)


def _record(context: BoardContext, edits: Sequence[FieldEdit], by: Account, command: str) -> None:
    """Record the decision like those of commands, one record for each chunk of edits."""
    at = datetime.fromtimestamp(context.now(), UTC)
    digest = hashlib.sha256("\n".join(edit.id for edit in edits).encode()).hexdigest()[:16]
    for number, chunk in enumerate(_chunks(edits)):
        fields: dict[str, Any] = {
            "at": iso(context.now()),
            "person": {"id": by.id, "name": by.name},
            "roles": ["operator"],
            "command": command,
            "verb": "reevaluate",
            "arguments": {"suite": context.suite.name, "digest": context.suite.digest},
            "requests": [edit.path for edit in chunk],
            "allowed": True,
            "outcome": "done",
            "answer": f"Put back into the queue: {len(chunk)} finished requests.",
            "thread": None,
            "comment": f"shell-{digest}",
            "number": number,
            "board": context.board.name,
        }
        record_decision(context, fields, at, cause=f"shell-{digest}-{number}", line="Record steward reevaluate")


def _chunks(edits: Sequence[FieldEdit]) -> Iterator[Sequence[FieldEdit]]:
    return (edits[start : start + CHUNK_SIZE] for start in range(0, len(edits), CHUNK_SIZE))
