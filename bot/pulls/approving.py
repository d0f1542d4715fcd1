"""A person approves a pull request, at one commit: that commit is merged, or they are told why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from bot.core.context import Desk, thread_key
from bot.core.pull_records import Record, find_report, situation
from bot.core.render import Safe
from bot.pulls.merging import Merging, merge_checked, settle_merged
from bot.pulls.pull_texts import Approval, approval_answer
from hub.errors import ThreadNotFound
from hub.records import Repo, Thread
from redis_state.dirty import Priority

SHORTEST = 7
"""Characters of a commit's id that name it, as on the Hub's pages."""


@dataclass(frozen=True)
class Approved:
    """What came of it: whether it was merged, and what to tell whoever approved it."""

    merged: bool
    text: Safe


def approve(desk: Desk, repo: Repo, number: int, sha: str, by: str) -> Safe:
    """`decide`, for whoever only wants to be told."""
    return decide(desk, repo, number, sha, by).text


def decide(desk: Desk, repo: Repo, number: int, sha: str, by: str) -> Approved:
    """Merge pull request `number` of `repo` at the commit `sha`, in the name of `by`, if it passed as it is there.

    Whether they may is the caller's business. Nothing is merged but what a report of ours says passed, at that very
    commit. Asked again after it was merged so, it says so again. Raises HubError.
    """
    try:
        thread = desk.hub.thread(repo, number)
    except ThreadNotFound:
        return _told("missing", number=str(number))
    said, head = sha.strip().lower(), thread.head_commit or ""
    words = {"number": str(number), "sha": said, "head": head}
    if not thread.is_pull_request or repo not in (desk.requests, desk.results):
        return _told("discussion", **words)
    _, record = find_report(desk, thread)
    is_meant = len(said) >= SHORTEST and head.startswith(said)
    if thread.status == "merged" and is_meant and record is not None and record.situation.head == head:
        return _answer(_merged(desk, repo, thread, record), words)
    if thread.status in ("merged", "closed"):
        return _told("over", **words, why=thread.status)
    return _approve(desk, repo, thread, record, by, words) if is_meant else _told("moved", **words)


def _merged(desk: Desk, repo: Repo, thread: Thread, record: Record) -> Merging:
    """What became of it when it was merged; seen to now, where nobody did."""
    if record.end is None:
        return settle_merged(desk, repo, thread, record)
    return Merging(record.end, thread.merge_commit or "")


def _approve(desk: Desk, repo: Repo, thread: Thread, record: Record | None, by: str, words: dict[str, str]) -> Approved:
    if record is None or record.checking or record.situation.head != thread.head_commit:
        desk.mark(thread_key(repo, thread.num), Priority.PERSON)
        return _told("unchecked", **words)
    if thread.status == "draft":
        return _told("draft", **words)
    if record.result != "passed" or situation(desk, thread).conflict:
        return _told("not-passed", **words)
    done = merge_checked(desk, repo, thread, record, by=by)
    if done.how == "moved":
        desk.mark(thread_key(repo, thread.num), Priority.PERSON)
    return _answer(done, words)


def _told(answer: Approval, **words: str) -> Approved:
    return Approved(answer == "merged", approval_answer(answer, **words))


def _answer(done: Merging, words: dict[str, str]) -> Approved:
    match done.how:
        case "merged" | "taken-back" | "held" | "refused":
            return _told(done.how, **words, commit=done.commit, why=done.why)
        case "moved":
            return _told("unchecked", **words)
        case "by-hand":
            return _told("over", **words, why="merged")
    assert_never(done.how)
