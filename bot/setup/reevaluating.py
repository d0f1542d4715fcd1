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
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.core.commit_origins import know_origin
from bot.core.context import BoardContext
from bot.core.decision_records import record_decision
from bot.core.mirrors.git_trees import GitFile
from bot.ledger.edits import FieldEdit
from bot.request_files.file_edits import known_facts, transition_edit
from hub.records import Account, File
from leaderboard import transitions
from leaderboard.effects import Effect, EffectMode
from leaderboard.requests import Request, Status, is_request_path, parse_request
from leaderboard.results import MAX_BYTES, suite_digest
from leaderboard.transitions import reevaluation_cause, reevaluation_status
from redis_state.clock import iso

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

CHUNK_SIZE = 250
"""Edits staged, and paths recorded, at a time: as many as the ledger puts into one commit."""


@dataclass(frozen=True)
class OutdatedRequest:
    """A finished request, and the digest of the suite of its result; "" if unknown."""

    request: Request
    file: File
    made_with: str

    @property
    def path(self) -> str:
        """The path of its file."""
        return str(self.request.path)


@dataclass(frozen=True)
class ReevaluationSurvey:
    """The finished requests that are `due` for the board's suite, and the numbers of those that are not, by reason.

    `current`: the result is of this suite. `tried`: an evaluation with this suite failed. `old`: the result is from
    before Steward. `changing`: an edit is staged. `unknown`: paths whose result is missing or cannot be read.
    """

    suite: str
    due: tuple[OutdatedRequest, ...] = ()
    current: int = 0
    tried: int = 0
    old: int = 0
    changing: int = 0
    unknown: tuple[str, ...] = ()


def survey(
    context: BoardContext, *, model: str = "", old: bool = False, limit: int | None = None
) -> ReevaluationSurvey:
    """Survey all finished requests, or those of `model`; with `old`, results from before Steward are due too.

    At most `limit` are due, in the order of their paths. A few calls for each of two clones. Raises HubError and
    MirrorDamaged.
    """
    head = context.mirror.fetch(context.requests, depth=0)
    with context.mirror.read(context.requests) as view:
        finished = [request for request in _finished(context, view, head) if _is_of_model(request, model)]
    finished = _with_suites(context, sorted(finished, key=lambda request: request.path))
    due, unknown, counts = list[OutdatedRequest](), list[str](), Counter[str]()
    for outdated in finished:
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


def put_back(context: BoardContext, due: Sequence[OutdatedRequest], *, by: Account, command: str) -> int:
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


def _finished(context: BoardContext, view: MirrorView, head: str) -> Iterator[OutdatedRequest]:
    for blob in view.files(head):
        if blob.oid is None or not is_request_path(blob.path):
            continue
        data = view.blob(blob.oid, max_bytes=context.board.max_request_bytes)
        # A cheap test first: most files are not finished and need no parsing.
        request = parse_request(blob.path, data) if data is not None and b"FINISHED" in data.upper() else None
        if data is not None and isinstance(request, Request) and request.status is Status.FINISHED:
            yield OutdatedRequest(request, File(blob.path, data, blob.oid, head), "")


def _is_of_model(outdated: OutdatedRequest, model: str) -> bool:
    return not model or outdated.request.path.model.casefold() == model.casefold()


def _with_suites(context: BoardContext, finished: list[OutdatedRequest]) -> list[OutdatedRequest]:
    """`finished`, each with the digest of the suite that its result names."""
    wanted = {path for outdated in finished if (path := outdated.request.file.steward.results) is not None}
    if not wanted:
        return finished
    head = context.mirror.fetch(context.results, depth=0)
    with context.mirror.read(context.results) as view:
        # One listing of all files: the lookup of a single file would read the tree of all organisations each time.
        suites = {file.path: _made_with(view, file) for file in view.files(head) if file.path in wanted}
    return [
        replace(outdated, made_with=suites.get(outdated.request.file.steward.results or "", ""))
        for outdated in finished
    ]


def _made_with(view: MirrorView, file: GitFile) -> str:
    data = view.blob(file.oid, max_bytes=MAX_BYTES) if file.oid is not None else None
    return (suite_digest(data) or "") if data is not None else ""


def _edit(context: BoardContext, outdated: OutdatedRequest) -> FieldEdit | None:
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
