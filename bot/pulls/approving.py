"""Approval of a pull request at one commit: merge that commit, or answer why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from bot.core.commands.model import Answer
from bot.core.context import BoardContext, thread_key
from bot.core.pull_records import PullRequestRecord, find_report, situation
from bot.core.render import Safe
from bot.pulls.merging import MergeResult, merge_checked, settle_merged
from bot.pulls.pull_texts import Approval, approval_answer
from hub.errors import ThreadNotFound
from hub.records import Repo, Thread
from redis_state.board.decisions import DecisionOutcome
from redis_state.dirty import SyncPriority

_OUTCOMES: Mapping[Approval, DecisionOutcome] = {
    "merged": "done",
    "over": "unchanged",
    "refused": "failed",
    "taken-back": "failed",
}
"""Answer → its outcome in the record of decisions; all other answers are refusals."""
MIN_SHA_LENGTH = 7
"""Characters of a commit's id that an approval needs at least, as many as the Hub's pages show."""


@dataclass(frozen=True)
class ApprovalResult:
    """Whether the pull request is merged, and the answer to the person who approved it."""

    merged: bool
    text: Safe
    outcome: DecisionOutcome = "refused"


def approve(context: BoardContext, repo: Repo, number: int, sha: str, by: str) -> Answer:
    """The result of `decide` as the answer to a command."""
    result = decide(context, repo, number, sha, by)
    return Answer(result.text, outcome=result.outcome)


def decide(context: BoardContext, repo: Repo, number: int, sha: str, by: str) -> ApprovalResult:
    """Merge pull request `number` of `repo` at the commit `sha`, in the name of `by`, if it passed the checks there.

    The caller checks the permission of `by`. Only a pull request whose report says that it passed at this commit is
    merged. A repeated call after the merge gives the same answer. Raises HubError.
    """
    try:
        thread = context.hub.thread(repo, number)
    except ThreadNotFound:
        return _result("missing", number=str(number))
    approved_sha, head = sha.strip().lower(), thread.head_commit or ""
    variables = {"number": str(number), "sha": approved_sha, "head": head}
    if not thread.is_pull_request or repo not in (context.requests, context.results):
        return _result("discussion", **variables)
    _, record = find_report(context, thread)
    is_head = len(approved_sha) >= MIN_SHA_LENGTH and head.startswith(approved_sha)
    if thread.status == "merged" and is_head and record is not None and record.situation.head == head:
        return _answer(_merged(context, repo, thread, record), variables)
    if thread.status in ("merged", "closed"):
        return _result("over", **variables, why=thread.status)
    return _approve(context, repo, thread, record, by, variables) if is_head else _result("moved", **variables)


def _merged(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord) -> MergeResult:
    """The result of a merge that has happened; the checks after the merge run now where they have not."""
    if record.end is None:
        return settle_merged(context, repo, thread, record)
    return MergeResult(record.end, thread.merge_commit or "")


def _approve(
    context: BoardContext,
    repo: Repo,
    thread: Thread,
    record: PullRequestRecord | None,
    by: str,
    variables: dict[str, str],
) -> ApprovalResult:
    if record is None or record.checking or record.situation.head != thread.head_commit:
        context.mark(thread_key(repo, thread.num), SyncPriority.PERSON)
        return _result("unchecked", **variables)
    if thread.status == "draft":
        return _result("draft", **variables)
    if record.result != "passed" or situation(context, thread).conflict:
        return _result("not-passed", **variables)
    merge = merge_checked(context, repo, thread, record, by=by)
    if merge.outcome == "moved":
        context.mark(thread_key(repo, thread.num), SyncPriority.PERSON)
    return _answer(merge, variables)


def _result(answer: Approval, **variables: str) -> ApprovalResult:
    text = approval_answer(answer, **variables)
    return ApprovalResult(answer == "merged", text, _OUTCOMES.get(answer, "refused"))


def _answer(merge: MergeResult, variables: dict[str, str]) -> ApprovalResult:
    match merge.outcome:
        case "merged" | "taken-back" | "held" | "refused":
            return _result(merge.outcome, **variables, commit=merge.commit, why=merge.why)
        case "moved":
            return _result("unchecked", **variables)
        case "by-hand":
            return _result("over", **variables, why="merged")
    assert_never(merge.outcome)
