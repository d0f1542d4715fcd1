"""Checks a pull request to the requests repo: it may contain submissions, and nothing else.

A submission is a new request file, or an ended request that is submitted again at a new commit. This module checks only
what a pull request can get wrong; admission checks the request itself (whether the model exists, and so on).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from leaderboard.changes import REGULAR, FileChange
from leaderboard.jsontext import JsonObject, is_same
from leaderboard.reasons import Problem, Reason, table
from leaderboard.request_paths import RequestPath, is_request_path, parse_path
from leaderboard.requests import MAX_DEPTH, Request, Status, parse_request
from leaderboard.steward_facts import OURS
from leaderboard.times import read_time, write_time

MAX_FILES = 10
"""Requests in one pull request; the check of each takes a dozen calls to the Hub."""
MAX_SECONDS_BEFORE, MAX_SECONDS_AHEAD = 7 * 86_400.0, 86_400.0
"""How far a submission's time may be before the opening of the pull request, and after the present. This allows for
wrong time zones, but not for wrong years."""

SUBMITTED_FIELDS = frozenset(
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
        "predictions",
    }
)
"""The fields that a submission sets, in any version of the leaderboard's forms. Other programs set the other fields."""
NOTHING_RUNS: dict[str, tuple[Any, ...]] = {"job_id": (None, -1), "job_start_time": (None,)}
"""The values of the board's fields that a submission may contain: they mean that no evaluation runs."""
SETTLED = (Status.FINISHED, Status.FAILED, Status.CANCELLED)

_MODES = {"100755": "is an executable file", "120000": "is a symbolic link", "160000": "is a link to another repo"}


REASONS = table(
    (
        Reason("misplaced", "This is not the path of a request file.", "Move it to {place}."),
        Reason(
            "misnamed",
            "This is not the path of a request file.",
            "Move it to {{org}}/{{model}}_eval_request_False_{{precision}}_{{weight type}}.json.",
        ),
        Reason(
            "too-deep",
            "Its JSON is nested deeper than any request needs.",
            "Compare it with a request file that was accepted.",
        ),
        Reason(
            "too-large",
            "The file is larger than {most} bytes.",
            "A request is a few lines of JSON: remove everything that is not part of it.",
        ),
        Reason(
            "stored-as-large-file",
            "The file is stored as a large file (LFS), but a request is a plain file.",
            "Commit it as a plain file, without LFS.",
        ),
        Reason(
            "before-unreadable",
            "The file that it replaces cannot be read as a request.",
            "Ask a maintainer to check it.",
        ),
        Reason(
            "status-not-pending",
            "Its status is '{status}', but a submission starts as PENDING.",
            'Write "status": "PENDING".',
        ),
        Reason(
            "not-settled",
            "This request {where}, with the status '{status}', so it cannot be submitted again.",
            "Wait until it has ended, or ask here for it to be cancelled.",
        ),
        Reason(
            "same-commit",
            "The model {ended} at this very commit, {sha}.",
            "Submit it again once the model has a newer commit. If the failure was our fault, ask here for a relaunch.",
        ),
        Reason(
            "not-asked-anew",
            "Neither its revision nor its submitted_time changes, so it looks the same as the last submission.",
            "Set submitted_time to the present time, and revision to the commit that you want evaluated.",
        ),
        Reason(
            "field-of-the-board",
            "Only the leaderboard itself may set the field '{name}'.",
            "Remove the field, or leave it unchanged.",
        ),
        Reason(
            "field-of-others",
            "A submission cannot change the field '{name}'.",
            "Restore its earlier value.",
        ),
        Reason(
            "time-made-up",
            "Its submitted_time, '{said}', is {why}.",
            "Write the time in UTC, as in {now}, or remove the field.",
        ),
    )
)


@dataclass(frozen=True)
class OtherFile:
    """A changed file that is no submission; `does` describes the change, to follow the file's name."""

    path: str
    does: str


@dataclass(frozen=True)
class SortedChanges:
    """The files of a pull request: possible submissions, and others."""

    files: tuple[FileChange, ...]
    others: tuple[OtherFile, ...]


@dataclass(frozen=True)
class SubmittedFile:
    """A checked file: its `request` if it is readable, and the request `before` the change if there was one."""

    request: Request | None
    problems: tuple[Problem, ...]
    before: Request | None = None


def sort_changes(changes: Iterable[FileChange]) -> SortedChanges:
    """Separate possible submissions from other changes."""
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
    """Describe a change that no submission makes; None if it may be a submission."""
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
    # A new JSON file may be a request under a wrong name; its contents decide.
    is_json = change.kind == "added" and change.path.endswith(".json")
    return None if is_json else f"is {'new' if change.kind == 'added' else 'changed'}, but is no request"


def look_at_new(path: str, data: bytes, *, opened: float, now: float) -> SubmittedFile | OtherFile:
    """Check a file that a pull request adds; OtherFile if it is no request. Times in seconds since the epoch."""
    if not is_request_path(path):
        return _misplaced(path, data)
    request = _read(path, data)
    if isinstance(request, list):
        return SubmittedFile(None, tuple(request))
    fields = request.fields
    bookkeeping = [_not_yours(name) for name, allowed in NOTHING_RUNS.items() if not _among(fields.get(name), allowed)]
    if OURS in fields:
        bookkeeping.append(_not_yours(OURS))
    return SubmittedFile(request, (*_status(request), *bookkeeping, *_time(request, opened, now)))


def look_at_changed(path: str, before: bytes, after: bytes, *, opened: float, now: float) -> SubmittedFile:
    """Check a request file that a pull request changes from `before` on the board to `after`."""
    current, request = _read(path, before), _read(path, after)
    if isinstance(request, list):
        return SubmittedFile(None, tuple(request))
    if isinstance(current, list):
        return SubmittedFile(None, (REASONS["before-unreadable"].problem(),))
    problems = [*_settled(current), *_status(request), *_fields(current, request), *_time(request, opened, now)]
    if all(getattr(request.file, name) == getattr(current.file, name) for name in ("revision", "submitted_time")):
        problems.append(REASONS["not-asked-anew"].problem())
    return SubmittedFile(request, tuple(problems), current)


def same_commit(before: Request, sha: str | None) -> Problem | None:
    """Return the problem with submitting the commit `sha` if the request `before` evaluated it; else None."""
    evaluated = before.file.steward.revision or before.file.revision
    if sha is None or sha != evaluated or before.status is Status.CANCELLED:
        return None
    ended = "was evaluated" if before.status is Status.FINISHED else "failed"
    return REASONS["same-commit"].problem(ended=ended, sha=sha[:8])


def _read(path: str, data: bytes) -> Request | list[Problem]:
    request = parse_request(path, data)
    if isinstance(request, list) or not _is_deep(request.fields):
        return request
    return [REASONS["too-deep"].problem()]


def _is_deep(fields: Any) -> bool:
    level = [fields]
    for _ in range(MAX_DEPTH):
        inner = (
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        )
        level = [value for values in inner for value in values]
    return bool(level)


def _misplaced(path: str, data: bytes) -> SubmittedFile | OtherFile:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        fields = None
    model = fields.get("model") if isinstance(fields, dict) else None
    if not isinstance(model, str) or not isinstance(fields, dict):
        return OtherFile(path, "is new, but is no request")
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    org, _, name = model.rpartition("/")
    private, precision = fields.get("private") is True, texts.get("precision", "")
    place = str(RequestPath(org, name, private, precision, texts.get("weight_type", "Original")))
    known = not isinstance(parse_path(place), Problem)
    return SubmittedFile(None, (REASONS["misplaced" if known else "misnamed"].problem(place=place),))


def _status(request: Request) -> list[Problem]:
    status = request.file.status
    return [] if status == Status.PENDING.value else [REASONS["status-not-pending"].problem(status=status)]


def _settled(request: Request) -> list[Problem]:
    if request.status in SETTLED:
        return []
    state = "is being evaluated" if request.status is Status.RUNNING else "is waiting in the queue already"
    return [REASONS["not-settled"].problem(where=state, status=request.file.status)]


def _fields(before: Request, after: Request) -> list[Problem]:
    """Check that fields of other programs are unchanged; the board's own fields may be missing, as in a new file."""
    was, now = before.fields, after.fields
    changed = [name for name in {**was, **now} if name not in SUBMITTED_FIELDS and not _same(was, now, name)]
    return [_not_yours(name) for name in changed if not _is_dropped(name, now)]


def _is_dropped(name: str, now: JsonObject) -> bool:
    return name not in now if name == OURS else _among(now.get(name), NOTHING_RUNS.get(name, ()))


def _not_yours(name: str) -> Problem:
    ours = name in (OURS, *NOTHING_RUNS)
    return REASONS["field-of-the-board" if ours else "field-of-others"].problem(name=name)


def _time(request: Request, opened: float, now: float) -> list[Problem]:
    submitted = request.file.submitted_time
    seconds = read_time(submitted)
    if submitted is None or (seconds is not None and opened - MAX_SECONDS_BEFORE <= seconds <= now + MAX_SECONDS_AHEAD):
        return []
    day = write_time(opened).partition("T")[0]
    why = "no readable time" if seconds is None else f"not the time of this submission, which was on {day}"
    return [REASONS["time-made-up"].problem(said=submitted, why=why, now=write_time(now))]


def _among(value: Any, allowed: Iterable[Any]) -> bool:
    return any(is_same(value, candidate) for candidate in allowed)


def _same(was: JsonObject, now: JsonObject, name: str) -> bool:
    """Whether a field is the same in both; a null field differs from a missing one."""
    return (name in was) == (name in now) and is_same(was.get(name), now.get(name))
