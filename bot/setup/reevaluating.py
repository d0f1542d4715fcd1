"""Evaluate anew what was evaluated with another version of the board's suite, because an operator asked for it.

    survey   which finished requests have results of another suite: read in clones of two repos, no call for each
    put_back those wait again, by as few commits as the ledger makes of them

Their results stay, and stay shown, until there are newer ones; where the newer evaluation fails, they are put back
(`bot.request_files.earlier_results`). The suite is asked of the results on the Hub, where Redis may have been lost.

Race closed: dying in the middle, or asking twice. What was put back is not finished any more, what is about to be is
passed over, and one result is put back for one suite once, also where the newer evaluation failed.
Race closed: somebody relaunches or resubmits one meanwhile. An edit rests on the status that was read.
Race accepted: a request that was attempted more often than file and index know. Its admission finds that out, and it
is evaluated at the commit that its file asks for.
"""

from __future__ import annotations

import hashlib
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

AT_ONCE = 250
"""Edits that are staged, and paths that are recorded, at a time: as many as the ledger brings into one commit."""


@dataclass(frozen=True)
class OutdatedRequest:
    """A finished request, and the digest of the suite that its result is of; "" where nobody knows."""

    request: Request
    file: File
    made_with: str

    @property
    def path(self) -> str:
        """Of its file."""
        return str(self.request.path)


@dataclass(frozen=True)
class ReevaluationSurvey:
    """How the finished requests of a board stand to its suite: those that are `due`, and how many are not, and why.

    `old` have results from before Steward, `unknown` ones that are gone or cannot be read; `tried` failed with this
    suite; `changing` are just about to be something else.
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
    """Look at all finished requests, or those of `model`; `old`: those from before Steward are due too.

    At most `limit` are due, by path. A few calls for each of two clones. Raises HubError and MirrorDamaged.
    """
    head = context.mirror.fetch(context.requests, depth=0)
    with context.mirror.read(context.requests) as view:
        finished = [one for one in _finished(context, view, head) if _is_about(one, model)]
    finished = _with_suites(context, sorted(finished, key=lambda one: one.path))
    found, due, unknown = ReevaluationSurvey(context.suite.digest), list[OutdatedRequest](), list[str]()
    for one in finished:
        kind = reevaluation_status(one.request, one.made_with or None, context.suite.digest)
        from_before = one.request.file.steward.results is None
        if context.ledgers.pending(one.path):
            found = replace(found, changing=found.changing + 1)
        elif kind == "due" or (kind == "unknown" and from_before and old):
            due.append(one)
        elif kind == "unknown" and not from_before:
            unknown.append(one.path)
        else:
            name = "old" if kind == "unknown" else kind
            found = replace(found, **{name: getattr(found, name) + 1})
    return replace(found, due=tuple(due[:limit]), unknown=tuple(unknown))


def put_back(context: BoardContext, due: Sequence[OutdatedRequest], *, by: Account, command: str) -> int:
    """Have all of `due` wait again, and keep who decided so; how many will: none where relaunches are held back.

    No call, but for requests from before Steward, of which it is found out who brought them. Raises HubError.
    """
    edits = [edit for one in due if (edit := _edit(context, one)) is not None]
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
        # Only those that may be finished are parsed.
        request = parse_request(blob.path, data) if data is not None and b"FINISHED" in data.upper() else None
        if data is not None and isinstance(request, Request) and request.status is Status.FINISHED:
            yield OutdatedRequest(request, File(blob.path, data, blob.oid, head), "")


def _is_about(one: OutdatedRequest, model: str) -> bool:
    return not model or one.request.path.model.casefold() == model.casefold()


def _with_suites(context: BoardContext, finished: list[OutdatedRequest]) -> list[OutdatedRequest]:
    """The same, each with the suite that its result says it is of."""
    named = {path for one in finished if (path := one.request.file.steward.results) is not None}
    if not named:
        return finished
    head = context.mirror.fetch(context.results, depth=0)
    with context.mirror.read(context.results) as view:
        # All files are listed once: to find a single one, the tree of all organisations is read.
        made_with = {file.path: _made_with(view, file) for file in view.files(head) if file.path in named}
    return [replace(one, made_with=made_with.get(one.request.file.steward.results or "", "")) for one in finished]


def _made_with(view: MirrorView, file: GitFile) -> str:
    data = view.blob(file.oid, max_bytes=MAX_BYTES) if file.oid is not None else None
    return (suite_digest(data) or "") if data is not None else ""


def _edit(context: BoardContext, one: OutdatedRequest) -> FieldEdit | None:
    request, suite = one.request, context.suite.digest
    cause, used = reevaluation_cause(request, suite), context.index.get(one.path).used or 0
    step = transitions.reevaluate_transition(
        request, cause=cause, keeps_previous=context.board.shows_new_evals, used=used
    )
    if step is None:
        return None
    if request.file.steward.attempt == 0:
        know_origin(context, request)
    # What is not known here any more stays as the file has it.
    known = {name: value for name, value in known_facts(context, request).items() if value is not None}
    name = f"reevaluate {cause} {hashlib.sha256(one.path.encode()).hexdigest()[:12]}"
    line = f"Evaluate {request.path.model} with the new suite"
    return transition_edit(request, one.file, step, name=name, line=line, known=known)


def _record(context: BoardContext, edits: Sequence[FieldEdit], by: Account, command: str) -> None:
    """Keep the decision as those of commands are kept, in as many parts as it takes."""
    at = datetime.fromtimestamp(context.now(), UTC)
    all_of_them = hashlib.sha256("\n".join(edit.id for edit in edits).encode()).hexdigest()[:16]
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
            "answer": f"Put back into the queue: {len(chunk)} finished requests.",
            "thread": None,
            "comment": f"shell-{all_of_them}",
            "number": number,
            "board": context.board.name,
        }
        record_decision(context, fields, at, cause=f"shell-{all_of_them}-{number}", line="Record steward reevaluate")


def _chunks(edits: Sequence[FieldEdit]) -> Iterator[Sequence[FieldEdit]]:
    return (edits[start : start + AT_ONCE] for start in range(0, len(edits), AT_ONCE))
