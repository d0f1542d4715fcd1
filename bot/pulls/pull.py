"""The sync of a pull request: check it at its head, report in one comment, merge where the board allows it.

    the head differs from that of the report              say that the report is void, check and report again
    the pull request or the board changed otherwise       check and report again: a draft opens, a conflict ends
    its author or a maintainer wrote after a bad report   check again: the model may be fixed
    it passed, and the board says `pull_requests: merge`  merge it (`bot.pulls.merging`)
    it is merged                                          verify the merge commit and report the outcome

Anything else costs one call and writes nothing. Titles, descriptions and comments are untrusted and give no permission.

Race closed: a push during the check. The sync reads the thread again before it reports, and checks again where the head
moved; the report names the commit that it is about.
Race closed: the pull request is closed or deleted during the check. The sync reports nothing.
Race accepted: the pull request is closed or deleted between that last read and the comment.
"""

from __future__ import annotations

import structlog

from bot.changes.rename_sources import HeadMoved
from bot.core import people
from bot.core.context import BoardContext, thread_key
from bot.core.pull_records import (
    PullRequestMemo,
    PullRequestRecord,
    find_report,
    forget,
    recall,
    remember,
    situation,
)
from bot.core.waiting_threads import note
from bot.pulls.checks import PullRequestCheck, check
from bot.pulls.merging import MAX_DIFF, merge_checked, settle_merged
from bot.pulls.rename_pulls import RenameCheck, check_rename, mark_linked
from bot.pulls.report import record_of, report_checked, report_void
from hub.comments import is_by
from hub.diffs import changes_in
from hub.errors import Denied, ThreadNotFound, TooLarge
from hub.records import Repo, Thread
from leaderboard.changes import FileChange
from leaderboard.effects import Effect, EffectMode
from leaderboard.rename_claims import read_claim
from leaderboard.renames import Kind
from leaderboard.triage import Topic
from leaderboard.waiting_items import PULL
from redis_state.crashpoints import pass_by, point

log = structlog.get_logger()

RETRY_SECONDS = 1.0
"""Delay until the next sync, where the pull request changed during this one."""
CORRECTABLE = ("problems", "mixed")
AUTHORS = (*CORRECTABLE, "nothing")
"""Results after which the next step is the author's."""

REPORTED = point("pull request reported on, not remembered")


def sync_pull(context: BoardContext, repo: Repo, seen: Thread) -> tuple[int, float | None]:
    """Check, report on, merge or verify the pull request `seen`, as it was just read, where that is due. Return the
    number of posted comments, and the time of the next sync if one is due without a delivery."""
    me = context.me()
    if is_by(me, seen.author_id, seen.author_name) or context.effects.is_left_alone(repo, seen.num):
        return 0, None
    try:
        return _bring_in_step(context, repo, seen)
    except ThreadNotFound:
        forget(context, repo, seen.num)
    except Denied as error:
        log.warning("report not allowed", pull=seen.num, error=str(error))
        state = situation(context, seen)
        remember(context, repo, seen.num, PullRequestMemo(head=state.head, held=state, denied=True))
    return 0, None


def _bring_in_step(context: BoardContext, repo: Repo, seen: Thread) -> tuple[int, float | None]:
    _, record = find_report(context, seen)
    if seen.status in ("merged", "closed"):
        if seen.status == "merged" and record is not None and record.end is None:
            settle_merged(context, repo, seen, record)
        forget(context, repo, seen.num)
        return 0, None
    if _is_current(context, repo, seen, record):
        _note_waiting(context, repo, seen, record)
        return 0, _merge_if_allowed(context, repo, seen, record)
    reported_head = "" if record is None else record.situation.head
    has_moved = reported_head not in ("", seen.head_commit)
    if record is not None and record.result == "passed" and has_moved and not record.checking:
        report_void(context, repo, seen, record)
    return _check(context, repo, seen.num, reported_head)


def _is_current(context: BoardContext, repo: Repo, seen: Thread, record: PullRequestRecord | None) -> bool:
    """Whether there is nothing to check: the report, or the memo of a report that was not posted, is about this
    state."""
    state, memo = situation(context, seen), recall(context, repo, seen.num)
    if record is None:
        if memo is None or memo.held != state:
            return False
        if memo.denied or memo.silent:
            return True
        if context.effects.mode(Effect.COMMENT) is EffectMode.ON:
            return False
        context.effects.hold_back(thread_key(repo, seen.num))
        return True
    if record.checking or record.situation != state:
        return False
    if memo is None:
        remember(
            context, repo, seen.num, PullRequestMemo(head=state.head, heard=_count_relevant_comments(context, seen))
        )
        return True
    if memo.stale:
        return False
    return record.result not in CORRECTABLE or _count_relevant_comments(context, seen) <= memo.heard


def _count_relevant_comments(context: BoardContext, seen: Thread) -> int:
    """The number of comments by people whose comment causes another check: the author and maintainers."""
    author, maintainers = (seen.author_id, seen.author_name), people.maintainers(context)
    return sum(
        (comment.author_id, comment.author_name) == author or comment.author_id in maintainers
        for comment in seen.comments
        if not comment.hidden
    )


def _check(context: BoardContext, repo: Repo, number: int, reported_head: str) -> tuple[int, float | None]:
    """Check pull request `number` and report; `reported_head` is the head of an earlier report, or ""."""
    seen, changes = _read(context, repo, number)
    if changes == [] and seen.status == "draft":
        return 0, None  # its author has only just opened it
    try:
        checked = _check_changes(context, repo, seen, changes)
    except HeadMoved:
        log.info("moved while it was checked", pull=number, status=seen.status)
        return 0, context.now() + RETRY_SECONDS
    fresh = context.hub.thread(repo, number)
    state = situation(context, fresh)
    if fresh.status in ("merged", "closed") or state != situation(context, seen):
        log.info("moved while it was checked", pull=number, status=fresh.status)
        return 0, context.now() + RETRY_SECONDS
    if checked is None:
        _note_waiting(context, repo, fresh, None)
        remember(context, repo, number, PullRequestMemo(head=state.head, held=state, silent=True))
        return 0, None
    void = reported_head if reported_head != state.head else ""
    written = report_checked(context, repo, fresh, checked, state, void=void)
    pass_by(REPORTED)
    record = record_of(checked, state)
    log.info("pull request", repo=repo.id, pull=number, head=state.head, result=record.result, report=written)
    _note_waiting(context, repo, fresh, record)
    held = state if written == "held" else None
    remember(
        context,
        repo,
        number,
        PullRequestMemo(head=state.head, heard=_count_relevant_comments(context, fresh), held=held),
    )
    if record.rename is not None:
        mark_linked(context, repo, number)
    if written == "held":
        _note_held_merge(context, repo, number, record)
        return 0, None
    return int(written == "posted"), _merge_if_allowed(context, repo, fresh, record)


def _note_waiting(context: BoardContext, repo: Repo, seen: Thread, record: PullRequestRecord | None) -> None:
    """Put an open pull request on the maintainers' list while the next step is theirs: not its author's, who has to
    correct it, and not the bot's, which merges it."""
    topic = Topic.RENAME if record is not None and record.rename is not None else PULL
    waits = record is None or record.refused or record.result not in AUTHORS
    if record is not None and (record.situation.conflict or (record.situation.merges_itself and _is_mergeable(record))):
        waits = False
    sha = record.situation.head if record is not None and record.result == "passed" and not record.checking else ""
    note(context, repo, seen, topic if waits and seen.status == "open" else None, part="pull", sha=sha)


def _read(context: BoardContext, repo: Repo, number: int) -> tuple[Thread, list[FileChange] | None]:
    """The pull request and its changes; None instead of the changes where the diff is too large."""
    try:
        seen, diff = context.hub.pull(repo, number, max_bytes=MAX_DIFF)
    except TooLarge:
        return context.hub.thread(repo, number), None
    return seen, changes_in(diff)


def _check_changes(
    context: BoardContext, repo: Repo, seen: Thread, changes: list[FileChange] | None
) -> PullRequestCheck | RenameCheck | None:
    """Check the pull request as a rename or as a submission; None where it is neither, so that no report is due."""
    kind: Kind = "requests" if repo == context.requests else "results"
    if (claim := read_claim(kind, seen.title, changes or [])) is not None:
        return check_rename(context, repo, seen, changes, claim)
    if repo != context.requests:
        return None
    return PullRequestCheck("too-large") if changes is None else check(context, seen, changes)


def _merge_if_allowed(
    context: BoardContext, repo: Repo, seen: Thread, record: PullRequestRecord | None
) -> float | None:
    """Merge a pull request that passed, where the board merges without approval. Return the time of the next sync."""
    if record is None or not _is_mergeable(record):
        return None
    if not record.situation.merges_itself:
        _note_held_merge(context, repo, seen.num, record)
        return None
    merge = merge_checked(context, repo, seen, record)
    return context.now() + RETRY_SECONDS if merge.outcome == "moved" else None


def _is_mergeable(record: PullRequestRecord) -> bool:
    """Whether the pull request passed and can be merged without approval, which a rename cannot."""
    state = record.situation
    passed = record.result == "passed" and not record.refused and record.rename is None
    return passed and not state.draft and not state.conflict


def _note_held_merge(context: BoardContext, repo: Repo, number: int, record: PullRequestRecord) -> None:
    """Where the board merges without approval but merges are off or in shadow, record the merge that the bot would
    make, so that a sync is due when merges are on."""
    if context.board.pull_requests == "merge" and _is_mergeable(record):
        context.effects.may_merge(repo, number, head=record.situation.head)
