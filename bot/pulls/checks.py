"""Looking at what a pull request would bring: each file at its head, by the rules of submissions and of admission.

Only the diff says which files there are, and only the files themselves say what is in them: they are read by the commit
that the report is about, whatever is pushed meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.context import BoardContext
from bot.core.pull_records import MAIN, PlannedFile, Result
from bot.ledger.edits import is_content
from bot.model_facts import gather_submission
from bot.model_facts.checking import verdict_in_public
from bot.pulls.pull_texts import FileView
from hub.errors import TooLarge
from hub.records import File, Repo, Thread
from leaderboard.admission import Verdict
from leaderboard.changes import FileChange
from leaderboard.requests import Request, StewardFacts
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
    """What came of it. `plan` is what may be merged, where everything passed; `count` how many requests it brings."""

    result: Result
    files: tuple[FileView, ...] = ()
    others: tuple[OtherFile, ...] = ()
    plan: tuple[PlannedFile, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class _CheckedFile:
    """One file that was looked at: what is said of it, and what would be merged."""

    view: FileView
    plan: PlannedFile | None


def check(context: BoardContext, thread: Thread, changes: Sequence[FileChange]) -> PullRequestCheck:
    """Look at `changes`, those of the pull request `thread`: a call for each new file, two for each changed one, and
    whatever admission needs."""
    if not changes:
        return PullRequestCheck("nothing")
    touched = sort_changes(changes)
    others = list(touched.others)
    if thread.target not in (MAIN, None):
        others.insert(0, OtherFile(thread.target or "", "is the branch that it is for, and requests lie on main"))
    if len(touched.files) > MAX_FILES:
        return PullRequestCheck("too-many", others=tuple(others), count=len(touched.files))
    seen: list[_CheckedFile] = []
    for change in touched.files:
        found = _check_file(context, thread, change)
        if isinstance(found, OtherFile):
            others.append(found)
        else:
            seen.append(found)
    files = tuple(one.view for one in seen)
    plan = tuple(one.plan for one in seen if one.plan is not None)
    result = _result(thread, files, others)
    return PullRequestCheck(result, files, tuple(others), plan if result == "passed" else (), len(files))


def _result(thread: Thread, files: Sequence[FileView], others: Sequence[OtherFile]) -> Result:
    if not files:
        return "other"
    if others:
        return "mixed"
    return "problems" if thread.conflicting_files or any(file.problems for file in files) else "passed"


def _check_file(context: BoardContext, thread: Thread, change: FileChange) -> _CheckedFile | OtherFile:
    path, most = change.path, context.board.max_request_bytes
    try:
        after = context.hub.read_file(context.requests, path, thread.head_commit or "", max_bytes=most)
    except TooLarge:
        return _CheckedFile(FileView(path, (REASONS["too-large"].problem(most=f"{most:,}"),)), None)
    before = context.hub.find_file(context.requests, path, max_bytes=most) if change.kind == "changed" else None
    opened, now = thread.created_at.timestamp(), context.now()
    if before is None:
        looked = look_at_new(path, after.data, opened=opened, now=now)
    else:
        looked = look_at_changed(path, before.data, after.data, opened=opened, now=now)
    if isinstance(looked, OtherFile):
        return looked
    return _check_submission(context, thread, after, before, looked)


def _check_submission(
    context: BoardContext, thread: Thread, after: File, before: File | None, looked: SubmittedFile
) -> _CheckedFile:
    problems = list(looked.problems)
    if not is_content(after.oid, after.data) or len(after.oid) != 40:
        problems.append(REASONS["stored-as-large-file"].problem())
    if looked.request is None:
        return _CheckedFile(FileView(after.path, tuple(problems)), None)
    # Whoever opened the pull request submits it, whatever its files say.
    verdict = verdict_on(context, looked.request, submitter=thread.author_name)
    problems += verdict.reasons
    if looked.before is not None and (again := same_commit(looked.before, verdict.sha)) is not None:
        problems.append(again)
    model = looked.request.path.model
    view = FileView(
        after.path,
        tuple(dict.fromkeys(problems)),
        model=model,
        model_url=context.address(Repo("model", model)),
        sha=verdict.sha or "",
    )
    was = before.oid if before is not None else None
    return _CheckedFile(view, PlannedFile(path=after.path, oid=after.oid, before=was, sha=verdict.sha or ""))


def verdict_on(context: BoardContext, request: Request, *, submitter: str) -> Verdict:
    """What admission says of `request`, were `submitter` to submit it now, whatever became of it before."""
    anew = replace(request, file=request.file.model_copy(update={"steward": StewardFacts()}))
    return verdict_in_public(context, gather_submission(context, anew, submitter))
