"""Check the files of a pull request at its head, by the rules of submissions and of admission.

The diff gives the list of files; their contents are read at the commit that the report is about, so a push meanwhile
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.context import BoardContext
from bot.core.pull_records import MAIN, PlannedFile, Result
from bot.ledger.edits import is_content
from bot.model_facts.checking import gather_submission, verdict_in_public
from bot.predictions.checking import check_submission, is_predictions, takes_predictions
from bot.pulls.pull_texts import FileView
from hub.errors import TooLarge
from hub.records import File, Repo, Thread
from leaderboard.admission.rules import Verdict
from leaderboard.changes import REGULAR, FileChange
from leaderboard.predictions import is_predictions_path
from leaderboard.reasons import Problem
from leaderboard.requests import Request
from leaderboard.submissions import (
    MAX_FILES,
    REASONS,
    OtherFile,
    SubmittedFile,
    look_at_changed,
    look_at_new,
    same_commit,
    sort_changes,
)


@dataclass(frozen=True)
class PullRequestCheck:
    """The result of a check. `plan` is what can be merged, where everything passed; `count` the number of requests."""

    result: Result
    files: tuple[FileView, ...] = ()
    others: tuple[OtherFile, ...] = ()
    plan: tuple[PlannedFile, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class _CheckedFile:
    """A checked file: its section of the report, and its part of the plan if it passed.

    `beside` is the plan of the file of predictions that a request names.
    """

    view: FileView
    plan: PlannedFile | None
    beside: PlannedFile | None = None


def check(context: BoardContext, thread: Thread, changes: Sequence[FileChange]) -> PullRequestCheck:
    """Check `changes`, the diff of the pull request `thread`: one call for each new file, two for each changed one, and
    the calls of admission."""
    if not changes:
        return PullRequestCheck("nothing")
    predictions = {change.path: change for change in changes if _is_predictions_file(context, change)}
    touched = sort_changes(change for change in changes if change.path not in predictions)
    others = list(touched.others)
    if thread.target not in (MAIN, None):
        others.insert(0, OtherFile(thread.target or "", "is the target branch, but requests lie on main"))
    if len(touched.files) > MAX_FILES:
        return PullRequestCheck("too-many", others=tuple(others), count=len(touched.files))
    checked_files: list[_CheckedFile] = []
    for change in touched.files:
        checked = _check_file(context, thread, change)
        if isinstance(checked, OtherFile):
            others.append(checked)
        else:
            checked_files.append(checked)
    files = tuple(file.view for file in checked_files)
    named = {file.beside.path for file in checked_files if file.beside is not None}
    others += [OtherFile(path, "has no request beside it that names it") for path in predictions if path not in named]
    plan = tuple(plan for file in checked_files for plan in (file.plan, file.beside) if plan is not None)
    result = _result(thread, files, others)
    return PullRequestCheck(result, files, tuple(others), plan if result == "passed" else (), len(files))


def _is_predictions_file(context: BoardContext, change: FileChange) -> bool:
    """Whether the change adds or replaces a plain file of predictions, on a board that takes them."""
    is_plain = change.kind in ("added", "changed") and change.mode in ("", REGULAR)
    return is_plain and takes_predictions(context) and is_predictions_path(change.path)


def _result(thread: Thread, files: Sequence[FileView], others: Sequence[OtherFile]) -> Result:
    if not files:
        return "other"
    if others:
        return "mixed"
    return "problems" if thread.conflicting_files or any(file.problems for file in files) else "passed"


def _check_file(context: BoardContext, thread: Thread, change: FileChange) -> _CheckedFile | OtherFile:
    path, limit = change.path, context.board.max_request_bytes
    try:
        after = context.hub.read_file(context.requests, path, thread.head_commit or "", max_bytes=limit)
    except TooLarge:
        return _CheckedFile(FileView(path, (REASONS["too-large"].problem(most=f"{limit:,}"),)), None)
    try:
        before = context.hub.find_file(context.requests, path, max_bytes=limit) if change.kind == "changed" else None
    except TooLarge:
        return OtherFile(path, f"replaces a file of more than {limit:,} bytes, which is not read")
    opened, now = thread.created_at.timestamp(), context.now()
    if before is None:
        submitted = look_at_new(path, after.data, opened=opened, now=now)
    else:
        submitted = look_at_changed(path, before.data, after.data, opened=opened, now=now)
    if isinstance(submitted, OtherFile):
        return submitted
    return _check_submission(context, thread, after, before, submitted)


def _check_submission(
    context: BoardContext, thread: Thread, after: File, before: File | None, submitted: SubmittedFile
) -> _CheckedFile:
    problems = list(submitted.problems)
    if not is_content(after.oid, after.data) or len(after.oid) != 40:
        problems.append(REASONS["stored-as-large-file"].problem())
    if submitted.request is None:
        return _CheckedFile(FileView(after.path, tuple(problems)), None)
    if is_predictions(submitted.request):
        return _check_predictions(context, thread, after, before, submitted.request, problems)
    # The author of the pull request is the submitter; a `sender` in the file counts for nothing.
    verdict = verdict_on(context, submitted.request, submitter=thread.author_name)
    problems += verdict.reasons
    if submitted.before is not None and (repeated := same_commit(submitted.before, verdict.sha)) is not None:
        problems.append(repeated)
    model = submitted.request.path.model
    view = FileView(
        after.path,
        tuple(dict.fromkeys(problems)),
        model=model,
        model_url=context.address(Repo("model", model)),
        sha=verdict.sha or "",
        sender=_other_sender(submitted.request, thread),
    )
    before_oid = before.oid if before is not None else None
    return _CheckedFile(view, PlannedFile(path=after.path, oid=after.oid, before=before_oid, sha=verdict.sha or ""))


def _check_predictions(
    context: BoardContext,
    thread: Thread,
    after: File,
    before: File | None,
    request: Request,
    problems: Sequence[Problem],
) -> _CheckedFile:
    """Check a request for predictions together with its file, both at the head of the pull request."""
    head = thread.head_commit or ""
    checked = check_submission(context, request, thread.author_name, head)
    view = FileView(
        after.path,
        tuple(dict.fromkeys((*problems, *checked.problems))),
        model=request.path.model,
        model_url=context.address(context.requests, checked.read.path, revision=head),
        sha=head,
        sender=_other_sender(request, thread),
    )
    plan = PlannedFile(path=after.path, oid=after.oid, before=before.oid if before is not None else None, sha=head)
    if (file := checked.read.file) is None:
        return _CheckedFile(view, plan)
    present = context.hub.paths_info(context.requests, [file.path]).get(file.path)
    beside = PlannedFile(path=file.path, oid=file.oid, before=present.oid if present is not None else None)
    return _CheckedFile(view, plan, beside)


def _other_sender(request: Request, thread: Thread) -> str:
    """The `sender` in a file of the pull request `thread`, if it is not its author."""
    sender = request.file.sender or ""
    return sender if sender.casefold() != thread.author_name.casefold() else ""


def verdict_on(context: BoardContext, request: Request, *, submitter: str) -> Verdict:
    """The verdict of admission on `request`, as a new submission of `submitter` without the facts of earlier
    attempts."""
    new_request = request.as_new(request.file.submitted_time)
    return verdict_in_public(context, gather_submission(context, new_request, submitter))
