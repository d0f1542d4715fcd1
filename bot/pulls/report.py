"""Write the report on a pull request: one comment, posted once and edited when its text changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from bot.core import comment_quota
from bot.core.context import BoardContext, thread_key
from bot.core.pull_records import CheckedRename, End, PullRequestRecord, PullRequestState, find_report, marker
from bot.pulls.checks import PullRequestCheck
from bot.pulls.pull_texts import FileView, PullView, pull_report
from bot.pulls.rename_pulls import RenameCheck
from bot.pulls.rename_texts import RenameView, rename_report
from hub.records import Repo, Thread
from leaderboard.predictions import PREDICTIONS
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.submissions import MAX_FILES

ReportWrite = Literal["posted", "edited", "same", "held"]


def report_checked(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    checked: PullRequestCheck | RenameCheck,
    state: PullRequestState,
    *,
    void: str = "",
) -> ReportWrite:
    """Report the result of checking `thread` in the situation `state`; `void` is the head of an earlier report."""
    record = record_of(checked, state)
    if isinstance(checked, RenameCheck):
        rename_view = replace(
            _rename_view(record, checked.rename, state.head),
            lines=checked.verdict.lines,
            passed=checked.passed,
            draft=state.draft,
            void=void,
        )
        return _write_report(context, repo, thread, rename_report(rename_view))
    view = PullView(
        result=checked.result,
        head=state.head,
        record=record.line(),
        files=checked.files,
        others=checked.others,
        most=MAX_FILES,
        count=checked.count,
        void=void,
        draft=state.draft,
        conflicts=thread.conflicting_files,
        merges_itself=state.merges_itself,
        author=thread.author_name,
    )
    return _write_report(context, repo, thread, _text(context, view))


def record_of(checked: PullRequestCheck | RenameCheck, state: PullRequestState) -> PullRequestRecord:
    """The facts in the hidden line of the report on `checked`."""
    if isinstance(checked, RenameCheck):
        return PullRequestRecord(
            situation=state, result="passed" if checked.passed else "problems", rename=checked.rename
        )
    return PullRequestRecord(situation=state, result=checked.result, files=checked.plan)


def report_void(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord) -> ReportWrite:
    """Say in the report that it is void, since the head moved, and that a new check runs."""
    void = record.model_copy(update={"checking": True})
    head, void_head = thread.head_commit or "", record.situation.head
    if record.rename is not None:
        rename_view = replace(_rename_view(void, record.rename, head), checking=True, void=void_head)
        return _write_report(context, repo, thread, rename_report(rename_view))
    view = PullView(result=record.result, head=head, record=void.line(), checking=True, void=void_head)
    return _write_report(context, repo, thread, _text(context, view))


def report_refused(
    context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord, why: str
) -> ReportWrite:
    """Say in the report that the Hub refused the merge."""
    refused, head = record.model_copy(update={"refused": True}), record.situation.head
    if record.rename is not None:
        rename_view = replace(_rename_view(refused, record.rename, head), passed=True, refused=why)
        return _write_report(context, repo, thread, rename_report(rename_view))
    view = PullView(result=record.result, head=head, record=refused.line(), files=_files(context, record), refused=why)
    return _write_report(context, repo, thread, _text(context, view))


def report_end(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    record: PullRequestRecord,
    end: End,
    commit: str,
    *,
    by: str = "",
) -> ReportWrite:
    """Report the outcome of the merge."""
    ended = record.model_copy(update={"end": end, "files": (), "checking": False})
    head, url = record.situation.head, f"{context.address(repo)}/commit/{commit}"
    if record.rename is not None:
        rename_view = replace(
            _rename_view(ended, record.rename, head),
            passed=record.result == "passed",
            end=end,
            commit=commit,
            commit_url=url,
            by=by,
        )
        return _write_report(context, repo, thread, rename_report(rename_view))
    view = PullView(
        result=record.result,
        head=head,
        record=ended.line(),
        end=end,
        files=_files(context, record),
        commit=commit,
        commit_url=url,
        by=by,
    )
    return _write_report(context, repo, thread, _text(context, view))


def _rename_view(record: PullRequestRecord, rename: CheckedRename, head: str) -> RenameView:
    return RenameView(old=rename.old, new=rename.new, head=head, record=record.line(), partial=rename.partial)


def _files(context: BoardContext, record: PullRequestRecord) -> tuple[FileView, ...]:
    """The files of a report in which everything passed, from its record."""
    files: list[FileView] = []
    for file in record.files:
        path = parse_path(file.path)
        if isinstance(path, RequestPath):
            url = context.address(Repo("model", path.model))
            if path.precision == PREDICTIONS:
                url = context.address(context.requests, file.path)
            files.append(FileView(file.path, model=path.model, model_url=url, sha=file.sha))
    return tuple(files)


def _text(context: BoardContext, view: PullView) -> str:
    return pull_report(replace(view, followed=context.board.threads != "never"))


def _write_report(context: BoardContext, repo: Repo, thread: Thread, text: str) -> ReportWrite:
    """Post the report in `thread`, as it was just read, or edit the present report."""
    comment_quota.check(context, repo, "the pull request")
    mark, wake = marker(context, thread.num), thread_key(repo, thread.num)
    report, _ = find_report(context, thread)
    if report is None:
        comment = context.effects.comment(repo, thread.num, text, mark, wake=wake, seen=thread)
        return "held" if comment is None else "posted"
    edit = context.effects.edit_comment(repo, thread.num, report.id, text, mark, seen=report.text, wake=wake)
    return "edited" if edit == "done" else edit
