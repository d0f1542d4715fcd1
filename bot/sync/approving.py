"""A person approves a pull request, at one commit: that commit is merged, or they are told why not."""

from __future__ import annotations

from typing import assert_never

from bot.desk import Desk, thread_key
from bot.sync.merging import Merging, merge_checked
from bot.sync.pull_record import find_report, situation
from bot.texts.pull import approval_answer
from bot.texts.render import Safe
from hub.errors import ThreadNotFound
from hub.records import Repo, Thread
from wire.dirty import Priority

SHORTEST = 7
"""Characters of a commit's id that name it, as on the Hub's pages."""


def approve(desk: Desk, repo: Repo, number: int, sha: str, by: str) -> Safe:
    """Merge pull request `number` of `repo` at the commit `sha`, in the name of `by`; what to tell them.

    Whether they may is the caller's business. Nothing is merged but what a report of ours says passed, at that very
    commit. Raises HubError.
    """
    try:
        thread = desk.hub.thread(repo, number)
    except ThreadNotFound:
        return approval_answer("missing", number=str(number))
    said, head = sha.strip().lower(), thread.head_commit or ""
    words = {"number": str(number), "sha": said, "head": head}
    if not thread.is_pull_request or repo != desk.requests:
        return approval_answer("discussion", **words)
    if thread.status in ("merged", "closed"):
        return approval_answer("over", **words, why=thread.status)
    if len(said) < SHORTEST or not head.startswith(said):
        return approval_answer("moved", **words)
    return _approve(desk, thread, by, words)


def _approve(desk: Desk, thread: Thread, by: str, words: dict[str, str]) -> Safe:
    _, record = find_report(desk, thread)
    if record is None or record.checking or record.situation.head != thread.head_commit:
        desk.mark(thread_key(desk.requests, thread.num), Priority.PERSON)
        return approval_answer("unchecked", **words)
    if thread.status == "draft":
        return approval_answer("draft", **words)
    if record.result != "passed" or situation(desk, thread).conflict:
        return approval_answer("not-passed", **words)
    return _answer(merge_checked(desk, thread, record, by=by), words)


def _answer(done: Merging, words: dict[str, str]) -> Safe:
    match done.how:
        case "merged" | "taken-back" | "held" | "refused":
            return approval_answer(done.how, **words, commit=done.commit, why=done.why)
        case "moved":
            return approval_answer("unchecked", **words)
        case "by-hand":
            return approval_answer("over", **words, why="merged")
    assert_never(done.how)
