"""What an outsider's pull request may do to the requests of a board: bring submissions, and nothing else.

A submission is a new request file, or a request that came to its end and is asked for again at a new commit. Everything
that follows from the request itself (does the model exist, is its architecture known, …) is admission's business; here
is what only a pull request can get wrong. Facts in, words out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from leaderboard.changes import REGULAR, FileChange
from leaderboard.jsontext import is_same
from leaderboard.reasons import Problem, Reason, table
from leaderboard.requests import (
    MAX_DEPTH,
    OURS,
    Request,
    RequestPath,
    Status,
    is_request_path,
    parse_path,
    parse_request,
)
from leaderboard.times import read_time, write_time

MOST_FILES = 10
"""Requests that one pull request may bring: each costs a dozen calls to check."""
EARLIER, LATER = 7 * 86_400.0, 86_400.0
"""Seconds before the pull request was opened, and ahead of now, at which a submission may say that it was made. Time
zones are forgotten now and then; years are not."""

BROUGHT = frozenset(
    {
        "model",
        "base_model",
        "revision",
        "precision",
        "weight_type",
        "private",
        "status",
        "submitted_time",
        "model_type",
        "params",
        "architectures",
        "likes",
        "license",
        "use_chat_template",
        "sender",
    }
)
"""The fields that a submission brings, in any of the leaderboard's generations. The others belong to whoever wrote
them."""
NOTHING_RUNS: dict[str, tuple[Any, ...]] = {"job_id": (None, -1), "job_start_time": (None,)}
"""What a field of the board's may say in a submission: that no evaluation runs yet."""
SETTLED = (Status.FINISHED, Status.FAILED, Status.CANCELLED)

_MODES = {"100755": "is an executable file", "120000": "is a symbolic link", "160000": "is a link to another repo"}


REASONS = table(
    (
        Reason("misplaced", "This is not where a request lies, nor how it is named.", "Put it at {place} instead."),
        Reason(
            "misnamed",
            "This is not where a request lies, nor how it is named.",
            "One lies at {{org}}/{{model}}_eval_request_False_{{precision}}_{{weight type}}.json.",
        ),
        Reason(
            "too-deep",
            "Its JSON is nested deeper than any request needs.",
            "Compare it with a request file that was accepted.",
        ),
        Reason(
            "too-large",
            "The file has more than {most} bytes.",
            "Leave out what is no field of a request: a few lines do.",
        ),
        Reason(
            "stored-as-large-file",
            "The file is stored as a large file (LFS), and a request is a plain one.",
            "Commit it as a plain file.",
        ),
        Reason(
            "before-unreadable",
            "The file that it replaces cannot be read as a request.",
            "A maintainer has to look at it.",
        ),
        Reason(
            "status-not-pending",
            "Its status is '{status}', but what is submitted waits for its turn first.",
            'Write "status": "PENDING".',
        ),
        Reason(
            "not-settled",
            "This request {where}, with the status '{status}', so it cannot be submitted again.",
            "Wait for its end, or ask here for it to be cancelled.",
        ),
        Reason(
            "same-commit",
            "The model {ended} at this very commit, {sha}.",
            "Submit it again once the model has a newer one. If it failed by our fault, ask here for another try.",
        ),
        Reason(
            "not-asked-anew",
            "Neither its revision nor its submitted_time changes, so it cannot be told from the last submission.",
            "Write when you submit it, and best the commit that is to be evaluated too.",
        ),
        Reason(
            "field-of-the-board",
            "The field '{name}' is the leaderboard's own: it keeps account of evaluations there.",
            "Leave it out, or as it was.",
        ),
        Reason(
            "field-of-others",
            "The field '{name}' is none that a submission may change.",
            "Put back what was there.",
        ),
        Reason(
            "time-made-up",
            "Its submitted_time, '{said}', is {why}.",
            "Write the time in UTC, as in {now}, or leave the field out.",
        ),
    )
)


@dataclass(frozen=True)
class OtherFile:
    """A file whose change is none that a submission makes: `does` in words that follow its name."""

    path: str
    does: str


@dataclass(frozen=True)
class SortedChanges:
    """The files of a pull request: those to be looked at as submissions, and the others."""

    files: tuple[FileChange, ...]
    others: tuple[OtherFile, ...]


@dataclass(frozen=True)
class SubmittedFile:
    """One file as it was looked at. `request` where it can be read; `before` where there was one already."""

    request: Request | None
    problems: tuple[Problem, ...]
    before: Request | None = None


def sort_changes(changes: Iterable[FileChange]) -> SortedChanges:
    """Which of `changes` may be submissions, and what the others do."""
    files: list[FileChange] = []
    others: list[OtherFile] = []
    for change in changes:
        does = _does(change)
        if does is None:
            files.append(change)
        else:
            others.append(OtherFile(change.path, does))
    return SortedChanges(tuple(files), tuple(others))


def _does(change: FileChange) -> str | None:
    """What `change` does that no submission does; None where it may be one."""
    if change.kind == "removed":
        return "is removed"
    if change.kind in ("renamed", "copied"):
        return f"is {change.kind} from {change.old_path}"
    if change.mode not in ("", REGULAR):
        return _MODES.get(change.mode, "is not a plain file")
    if not change.is_text:
        return "does not hold text"
    if is_request_path(change.path):
        return None
    # A new file of JSON may be a request under a wrong name, of which its contents tell.
    is_json = change.kind == "added" and change.path.endswith(".json")
    return None if is_json else f"is {'new' if change.kind == 'added' else 'changed'}, and no request"


def look_at_new(path: str, data: bytes, *, opened: float, now: float) -> SubmittedFile | OtherFile:
    """A file that a pull request adds; Other where it is no request at all. Times in seconds since the epoch."""
    if not is_request_path(path):
        return _misplaced(path, data)
    found = _read(path, data)
    if isinstance(found, list):
        return SubmittedFile(None, tuple(found))
    fields = found.fields
    bookkeeping = [_not_yours(name) for name, allowed in NOTHING_RUNS.items() if not _among(fields.get(name), allowed)]
    if OURS in fields:
        bookkeeping.append(_not_yours(OURS))
    return SubmittedFile(found, (*_status(found), *bookkeeping, *_time(found, opened, now)))


def look_at_changed(path: str, before: bytes, after: bytes, *, opened: float, now: float) -> SubmittedFile:
    """A request file that a pull request, `opened` then, changes from `before`, as the board has it, to `after`."""
    known, found = _read(path, before), _read(path, after)
    if isinstance(found, list):
        return SubmittedFile(None, tuple(found))
    if isinstance(known, list):
        return SubmittedFile(None, (REASONS["before-unreadable"].problem(),))
    problems = [*_settled(known), *_status(found), *_fields(known, found), *_time(found, opened, now)]
    if all(getattr(found.file, name) == getattr(known.file, name) for name in ("revision", "submitted_time")):
        problems.append(REASONS["not-asked-anew"].problem())
    return SubmittedFile(found, tuple(problems), known)


def same_commit(before: Request, sha: str | None) -> Problem | None:
    """What is wrong with asking for `sha`, if that is what was evaluated `before`."""
    evaluated = before.file.steward.revision or before.file.revision
    if sha is None or sha != evaluated or before.status is Status.CANCELLED:
        return None
    ended = "was evaluated" if before.status is Status.FINISHED else "failed"
    return REASONS["same-commit"].problem(ended=ended, sha=sha[:8])


def _read(path: str, data: bytes) -> Request | list[Problem]:
    found = parse_request(path, data)
    if isinstance(found, list) or not _is_deep(found.fields):
        return found
    return [REASONS["too-deep"].problem()]


def _is_deep(fields: Any) -> bool:
    level = [fields]
    for _ in range(MAX_DEPTH):
        inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [value for values in inner for value in values]
    return bool(level)


def _misplaced(path: str, data: bytes) -> SubmittedFile | OtherFile:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        fields = None
    model = fields.get("model") if isinstance(fields, dict) else None
    if not isinstance(model, str) or not isinstance(fields, dict):
        return OtherFile(path, "is new, and no request")
    said = {name: value for name, value in fields.items() if isinstance(value, str)}
    org, _, name = model.rpartition("/")
    private, precision = fields.get("private") is True, said.get("precision", "")
    place = str(RequestPath(org, name, private, precision, said.get("weight_type", "Original")))
    known = not isinstance(parse_path(place), Problem)
    return SubmittedFile(None, (REASONS["misplaced" if known else "misnamed"].problem(place=place),))


def _status(found: Request) -> list[Problem]:
    status = found.file.status
    return [] if status == Status.PENDING.value else [REASONS["status-not-pending"].problem(status=status)]


def _settled(known: Request) -> list[Problem]:
    if known.status in SETTLED:
        return []
    where = "is being evaluated" if known.status is Status.RUNNING else "waits for its turn already"
    return [REASONS["not-settled"].problem(where=where, status=known.file.status)]


def _fields(known: Request, found: Request) -> list[Problem]:
    """Fields that are not the submitter's stay as they are; the board's own may also be left out, as in a new file."""
    was, now = known.fields, found.fields
    changed = [name for name in {**was, **now} if name not in BROUGHT and not _same(was, now, name)]
    return [_not_yours(name) for name in changed if not _is_dropped(name, now)]


def _is_dropped(name: str, now: dict[str, Any]) -> bool:
    return name not in now if name == OURS else _among(now.get(name), NOTHING_RUNS.get(name, ()))


def _not_yours(name: str) -> Problem:
    ours = name in (OURS, *NOTHING_RUNS)
    return REASONS["field-of-the-board" if ours else "field-of-others"].problem(name=name)


def _time(found: Request, opened: float, now: float) -> list[Problem]:
    said = found.file.submitted_time
    at = read_time(said)
    if said is None or (at is not None and opened - EARLIER <= at <= now + LATER):
        return []
    day = write_time(opened).partition("T")[0]
    why = "no time that can be read" if at is None else f"not when this was submitted: that was on {day}"
    return [REASONS["time-made-up"].problem(said=said, why=why, now=write_time(now))]


def _among(value: Any, allowed: Iterable[Any]) -> bool:
    return any(is_same(value, one) for one in allowed)


def _same(was: dict[str, Any], now: dict[str, Any], name: str) -> bool:
    """Whether a field says the same in both; one that says null is not one that is missing."""
    return (name in was) == (name in now) and is_same(was.get(name), now.get(name))
