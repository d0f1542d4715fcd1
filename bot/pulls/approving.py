"""A person approves a pull request, at one commit: that commit is merged, or they are told why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from bot.core.context import BoardContext, thread_key
from bot.core.pull_records import PullRequestRecord, find_report, situation
from bot.core.render import Safe
from bot.pulls.merging import MergeResult, merge_checked, settle_merged
from bot.pulls.pull_texts import Approval, approval_answer
from hub.errors import ThreadNotFound
from hub.records import Repo, Thread
from redis_state.dirty import SyncPriority

SHORTEST = 7
"""Characters of a commit's id that name it, as on the Hub's pages."""


@dataclass(frozen=True)
class ApprovalResult:
    """What came of it: whether it was merged, and what to tell whoever approved it."""

    merged: bool
    text: Safe


def approve(context: BoardContext, repo: Repo, number: int, sha: str, by: str) -> Safe:
    """`decide`, for whoever only wants to be told."""
    return decide(context, repo, number, sha, by).text


def decide(context: BoardContext, repo: Repo, number: int, sha: str, by: str) -> ApprovalResult:
    """Merge pull request `number` of `repo` at the commit `sha`, in the name of `by`, if it passed as it is there.

    Whether they may is the caller's business. Nothing is merged but what a report of ours says passed, at that very
    commit. Asked again after it was merged so, it says so again. Raises HubError.
    """
    try:
        thread = context.hub.thread(repo, number)
    except ThreadNotFound:
        return _result("missing", number=str(number))
    said, head = sha.strip().lower(), thread.head_commit or ""
    words = {"number": str(number), "sha": said, "head": head}
    if not thread.is_pull_request or repo not in (context.requests, context.results):
        return _result("discussion", **words)
    _, record = find_report(context, thread)
    is_meant = len(said) >= SHORTEST and head.startswith(said)
    if thread.status == "merged" and is_meant and record is not None and record.situation.head == head:
        return _answer(_merged(context, repo, thread, record), words)
    if thread.status in ("merged", "closed"):
        return _result("over", **words, why=thread.status)
    return _approve(context, repo, thread, record, by, words) if is_meant else _result("moved", **words)


def _merged(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord) -> MergeResult:
    """What became of it when it was merged; seen to now, where nobody did."""
    if record.end is None:
        return settle_merged(context, repo, thread, record)
    return MergeResult(record.end, thread.merge_commit or "")


def _approve(
    context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord | None, by: str, words: dict[str, str]
) -> ApprovalResult:
    if record is None or record.checking or record.situation.head != thread.head_commit:
        context.mark(thread_key(repo, thread.num), SyncPriority.PERSON)
        return _result("unchecked", **words)
    if thread.status == "draft":
        return _result("draft", **words)
    if record.result != "passed" or situation(context, thread).conflict:
        return _result("not-passed", **words)
    done = merge_checked(context, repo, thread, record, by=by)
    if done.how == "moved":
        context.mark(thread_key(repo, thread.num), SyncPriority.PERSON)
    return _answer(done, words)


def _result(answer: Approval, **words: str) -> ApprovalResult:
    return ApprovalResult(answer == "merged", approval_answer(answer, **words))


def _answer(done: MergeResult, words: dict[str, str]) -> ApprovalResult:
    match done.how:
        case "merged" | "taken-back" | "held" | "refused":
            return _result(done.how, **words, commit=done.commit, why=done.why)
        case "moved":
            return _result("unchecked", **words)
        case "by-hand":
            return _result("over", **words, why="merged")
    assert_never(done.how)
