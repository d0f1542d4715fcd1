"""A pull request in the requests repo: checked as it is at its head, reported on once, merged where the board lets us.

    its head is not the one that the report is about     the report is void: said so, checked anew, said anew
    it, or the board, changed otherwise                  the same: a draft was opened, a conflict came up or went
    its author or a maintainer wrote after a bad report  checked anew: perhaps the model was mended
    it passed, and the board says `pull_requests: merge` merged (`bot.pulls.merging`)
    it was merged                                        what went in is looked at, and the report says so

Whatever is none of this costs one call and writes nothing. Titles, descriptions and comments are strangers' words, and
read for nothing.

Race closed: a push while it is being checked. The thread is read again before anything is said, and a head that moved
means checking anew; what is said names the commit that it is about.
Race closed: closed or deleted while it is being checked: nothing is said any more.
Race accepted: the same in the instant between that look and the comment.
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
from bot.pulls.checks import PullRequestCheck, check
from bot.pulls.merging import MAX_DIFF, merge_checked, settle_merged
from bot.pulls.rename_pulls import RenameCheck, call_linked, check_rename
from bot.pulls.report import record_of, tell_checked, tell_void
from hub.comments import is_by
from hub.diffs import changes_in
from hub.errors import BadToken, Denied, ThreadNotFound, TooLarge
from hub.records import Repo, Thread
from leaderboard.changes import FileChange
from leaderboard.effects import Effect, EffectMode
from leaderboard.rename_claims import read_claim
from leaderboard.renames import Kind
from redis_state.crashpoints import pass_by, point

log = structlog.get_logger()

AGAIN = 1.0
"""Seconds until another look, where the pull request moved on under our eyes."""
CORRECTABLE = ("problems", "mixed")

REPORTED = point("pull request reported on, not remembered")


def sync_pull(context: BoardContext, repo: Repo, seen: Thread) -> tuple[int, float | None]:
    """Bring the pull request `seen`, as it was just read, in step: how many comments were posted, and when to look
    again by itself, if ever."""
    me = context.me()
    if is_by(me, seen.author_id, seen.author_name) or context.effects.is_left_alone(repo, seen.num):
        return 0, None
    try:
        return _bring_in_step(context, repo, seen)
    except ThreadNotFound:
        forget(context, repo, seen.num)
    except BadToken:
        raise
    except Denied as error:
        log.warning("report not allowed", pull=seen.num, error=str(error))
        now = situation(context, seen)
        remember(context, repo, seen.num, PullRequestMemo(head=now.head, held=now, denied=True))
    return 0, None


def _bring_in_step(context: BoardContext, repo: Repo, seen: Thread) -> tuple[int, float | None]:
    _, record = find_report(context, seen)
    if seen.status in ("merged", "closed"):
        if seen.status == "merged" and record is not None and record.end is None:
            settle_merged(context, repo, seen, record)
        forget(context, repo, seen.num)
        return 0, None
    if _is_current(context, repo, seen, record):
        return 0, _go_on(context, repo, seen, record)
    reported = "" if record is None else record.situation.head
    has_moved = reported not in ("", seen.head_commit)
    if record is not None and record.result == "passed" and has_moved and not record.checking:
        tell_void(context, repo, seen, record)
    return _check(context, repo, seen.num, reported)


def _is_current(context: BoardContext, repo: Repo, seen: Thread, record: PullRequestRecord | None) -> bool:
    """Whether there is nothing to check: the report, or what is remembered of one that was held back, is about this."""
    now, memo = situation(context, seen), recall(context, repo, seen.num)
    if record is None:
        if memo is None or memo.held != now:
            return False
        if memo.denied or memo.silent:
            return True
        if context.effects.mode(Effect.COMMENT) is EffectMode.ON:
            return False
        context.effects.held_still(thread_key(repo, seen.num))
        return True
    if record.checking or record.situation != now:
        return False
    if memo is None:
        remember(context, repo, seen.num, PullRequestMemo(head=now.head, heard=_count_relevant_comments(context, seen)))
        return True
    if memo.stale:
        return False
    return record.result not in CORRECTABLE or _count_relevant_comments(context, seen) <= memo.heard


def _count_relevant_comments(context: BoardContext, seen: Thread) -> int:
    """How many comments there are of those at whose word it is checked again."""
    author, maintainers = (seen.author_id, seen.author_name), people.maintainers(context)
    return sum(
        (comment.author_id, comment.author_name) == author or comment.author_id in maintainers
        for comment in seen.comments
        if not comment.hidden
    )


def _check(context: BoardContext, repo: Repo, number: int, reported: str) -> tuple[int, float | None]:
    """Check pull request `number` and report; `reported` is the head of an earlier report."""
    seen, changes = _read(context, repo, number)
    if changes == [] and seen.status == "draft":
        return 0, None  # it has only just been opened
    try:
        checked = _look_at(context, repo, seen, changes)
    except HeadMoved:
        log.info("moved while it was checked", pull=number, status=seen.status)
        return 0, context.now() + AGAIN
    fresh = context.hub.thread(repo, number)
    now = situation(context, fresh)
    if fresh.status in ("merged", "closed") or now != situation(context, seen):
        log.info("moved while it was checked", pull=number, status=fresh.status)
        return 0, context.now() + AGAIN
    if checked is None:
        remember(context, repo, number, PullRequestMemo(head=now.head, held=now, silent=True))
        return 0, None
    void = reported if reported != now.head else ""
    told = tell_checked(context, repo, fresh, checked, now, void=void)
    pass_by(REPORTED)
    record = record_of(checked, now)
    log.info("pull request", repo=repo.id, pull=number, head=now.head, result=record.result, told=told)
    held = now if told == "held" else None
    remember(
        context, repo, number, PullRequestMemo(head=now.head, heard=_count_relevant_comments(context, fresh), held=held)
    )
    if record.rename is not None:
        call_linked(context, repo, number)
    if told == "held":
        _list_merge(context, repo, number, record)
        return 0, None
    return int(told == "posted"), _go_on(context, repo, fresh, record)


def _read(context: BoardContext, repo: Repo, number: int) -> tuple[Thread, list[FileChange] | None]:
    """The pull request, and what it changes; None where that is too much to be read."""
    try:
        seen, diff = context.hub.pull(repo, number, max_bytes=MAX_DIFF)
    except TooLarge:
        return context.hub.thread(repo, number), None
    return seen, changes_in(diff)


def _look_at(
    context: BoardContext, repo: Repo, seen: Thread, changes: list[FileChange] | None
) -> PullRequestCheck | RenameCheck | None:
    """What there is to say of it; None: nothing, for it is none of ours."""
    kind: Kind = "requests" if repo == context.requests else "results"
    if (claim := read_claim(kind, seen.title, changes or [])) is not None:
        return check_rename(context, repo, seen, changes, claim)
    if repo != context.requests:
        return None
    return PullRequestCheck("too-large") if changes is None else check(context, seen, changes)


def _go_on(context: BoardContext, repo: Repo, seen: Thread, record: PullRequestRecord | None) -> float | None:
    """Merge what passed, where the board lets us; when to look again."""
    if record is None or not _is_ripe(record):
        return None
    if not record.situation.merges_itself:
        _list_merge(context, repo, seen.num, record)
        return None
    done = merge_checked(context, repo, seen, record)
    return context.now() + AGAIN if done.how == "moved" else None


def _is_ripe(record: PullRequestRecord) -> bool:
    """Whether it passed and can be merged; a rename is merged once a maintainer has approved it."""
    now = record.situation
    passed = record.result == "passed" and not record.refused and record.rename is None
    return passed and not now.draft and not now.conflict


def _list_merge(context: BoardContext, repo: Repo, number: int, record: PullRequestRecord) -> None:
    """Where the board merges by itself and that is held back: say so, and look again when it is not any more."""
    if context.board.pull_requests == "merge" and _is_ripe(record):
        context.effects.may_merge(repo, number, head=record.situation.head)
