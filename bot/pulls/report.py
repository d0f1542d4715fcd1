"""The report on a pull request: one comment, written once, edited where what it says changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from bot.core import comment_quota
from bot.core.context import BoardContext, thread_key
from bot.core.pull_records import CheckedRename, End, PullRequestRecord, PullRequestState, find_report, marker
from bot.pulls.checks import PullRequestCheck
from bot.pulls.pull_texts import FileView, PullView, pull_report
from bot.pulls.rename_pulls import RenameCheck
from bot.pulls.rename_texts import RenameView, rename_report
from hub.records import Repo, Thread
from leaderboard.requests import RequestPath, parse_path
from leaderboard.submissions import MAX_FILES

Told = Literal["posted", "edited", "same", "held"]


def tell_checked(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    checked: PullRequestCheck | RenameCheck,
    now: PullRequestState,
    *,
    void: str = "",
) -> Told:
    """Say what came of checking `thread` as it is `now`; `void` is the head of an earlier report."""
    record = record_of(checked, now)
    if isinstance(checked, RenameCheck):
        lines = checked.judged.lines
        told = _renaming(
            record, checked.rename, now.head, lines=lines, passed=checked.passed, draft=now.draft, void=void
        )
        return _write_report(context, repo, thread, rename_report(told))
    view = PullView(
        result=checked.result,
        head=now.head,
        record=record.line(),
        files=checked.files,
        others=checked.others,
        most=MAX_FILES,
        count=checked.count,
        void=void,
        draft=now.draft,
        conflicts=thread.conflicting_files,
        merges_itself=now.merges_itself,
    )
    return _write_report(context, repo, thread, _text(context, view))


def record_of(checked: PullRequestCheck | RenameCheck, now: PullRequestState) -> PullRequestRecord:
    """What the report on `checked` says, for the bot."""
    if isinstance(checked, RenameCheck):
        return PullRequestRecord(
            situation=now, result="passed" if checked.passed else "problems", rename=checked.rename
        )
    return PullRequestRecord(situation=now, result=checked.result, files=checked.plan)


def tell_void(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord) -> Told:
    """Say that the report which `record` belongs to is about what is not there any more."""
    void = record.model_copy(update={"checking": True})
    head, was = thread.head_commit or "", record.situation.head
    if record.rename is not None:
        return _write_report(
            context, repo, thread, rename_report(_renaming(void, record.rename, head, checking=True, void=was))
        )
    view = PullView(result=record.result, head=head, record=void.line(), checking=True, void=was)
    return _write_report(context, repo, thread, _text(context, view))


def tell_refused(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord, why: str) -> Told:
    """Say that the Hub did not let us merge it."""
    refused, head = record.model_copy(update={"refused": True}), record.situation.head
    if record.rename is not None:
        view = _renaming(refused, record.rename, head, passed=True, refused=why)
        return _write_report(context, repo, thread, rename_report(view))
    told = PullView(result=record.result, head=head, record=refused.line(), files=_files(context, record), refused=why)
    return _write_report(context, repo, thread, _text(context, told))


def tell_end(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    record: PullRequestRecord,
    how: End,
    commit: str,
    *,
    by: str = "",
) -> Told:
    """Say what became of it."""
    ended = record.model_copy(update={"end": how, "files": (), "checking": False})
    head, url = record.situation.head, f"{context.address(repo)}/commit/{commit}"
    if record.rename is not None:
        passed = record.result == "passed"
        view = _renaming(ended, record.rename, head, passed=passed, end=how, commit=commit, commit_url=url, by=by)
        return _write_report(context, repo, thread, rename_report(view))
    told = PullView(
        result=record.result,
        head=head,
        record=ended.line(),
        end=how,
        files=_files(context, record),
        commit=commit,
        commit_url=url,
        by=by,
    )
    return _write_report(context, repo, thread, _text(context, told))


def _renaming(record: PullRequestRecord, rename: CheckedRename, head: str, **more: Any) -> RenameView:
    return RenameView(old=rename.old, new=rename.new, head=head, record=record.line(), partial=rename.partial, **more)


def _files(context: BoardContext, record: PullRequestRecord) -> tuple[FileView, ...]:
    """The files of a report that everything passed, as its record has them."""
    found: list[FileView] = []
    for file in record.files:
        place = parse_path(file.path)
        if isinstance(place, RequestPath):
            url = context.address(Repo("model", place.model))
            found.append(FileView(file.path, model=place.model, model_url=url, sha=file.sha))
    return tuple(found)


def _text(context: BoardContext, view: PullView) -> str:
    return pull_report(replace(view, followed=context.board.threads != "never"))


def _write_report(context: BoardContext, repo: Repo, thread: Thread, text: str) -> Told:
    """Write the report into `thread`, as it was just read, or make the one that is there say `text`."""
    comment_quota.check(context, repo, "the pull request")
    mark, wake = marker(context, thread.num), thread_key(repo, thread.num)
    report, _ = find_report(context, thread)
    if report is None:
        made = context.effects.comment(repo, thread.num, text, mark, wake=wake, seen=thread)
        told: Told = "held" if made is None else "posted"
    else:
        done = context.effects.edit_comment(repo, thread.num, report.id, text, mark, seen=report.text, wake=wake)
        told = "edited" if done == "done" else done
    return told
