"""Merging a pull request that was checked, and only what was checked; undoing it where something else went in.

The Hub takes no expected commit with a merge. So the head, the files that it is merged upon and its mergeability are
read again right before; and right after, what the merge commit changed is compared with what was checked, blob by blob.
If it is anything else, every file is put back, by way of the ledger, and the thread is told.

Race closed: a push between the last look and the merge. It is seen in the merge commit, and taken back.
Race closed: dead, or an error, between the merge and the look at its commit. The report still says what was checked;
the next sync finds a merged pull request whose report does not say so, and goes on from here.
Race closed: two processes merge one pull request. One merge happens, both look at the same commit and say the same.
Race accepted: somebody changes a file again between a wrong merge and its undoing. That file is theirs, and left alone.
Race accepted: a maintainer merges by hand, and at the same moment something is pushed. People may merge what they like;
requests in it are judged after the fact, as every direct push is.
Accepted: a link to another repo is no file for the Hub's API. It is told about, and people have to remove it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog

from bot.changes.rename_sources import commit_and_parent
from bot.core.context import BoardContext, request_key, thread_key
from bot.core.mirrors.git_trees import GitDifference
from bot.core.pull_records import KIND, End, PullRequestMemo, PullRequestRecord, forget, recall, remember
from bot.intake.deliveries import REQUESTS
from bot.ledger.edits import RestoreFile
from bot.pulls import rename_pulls
from bot.pulls.pull_texts import pull_alarm
from bot.pulls.report import tell_end, tell_refused
from bot.request_files.file_edits import digest_of
from hub.comments import is_by
from hub.errors import BadRequest, BadToken, Busy, Conflict, Denied, Garbled, NotMergeable, TooLarge
from hub.records import Repo, Thread
from leaderboard.changes import REGULAR
from leaderboard.requests import is_request_path
from redis_state.board.entry import Origin
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

MAX_DIFF = 8 * 1024 * 1024
"""Bytes of a pull request with its diff; one that is larger is no submission."""
_MAX_OLD = 10 * 1024 * 1024

MERGED = point("pull request merged, what went in not looked at")
STAGED_BACK = point("a wrong merge is being undone, nobody told")

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")


@dataclass(frozen=True)
class MergeResult:
    """What became of it: `how`, the commit that went in, and what the Hub said where it refused."""

    how: End | Literal["held", "moved", "refused"]
    commit: str = ""
    why: str = ""


def merge_checked(
    context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord, *, by: str = ""
) -> MergeResult:
    """Merge pull request `thread` as `record`, its report, says that it was checked; `by` approved that, if anybody.

    "moved": it is not as it was checked any more, and nothing was done.
    """
    head = record.situation.head
    memo = recall(context, repo, thread.num) or PullRequestMemo(head=head)
    if not _stands(context, repo, thread, record):
        remember(context, repo, thread.num, memo.model_copy(update={"stale": True}))
        return MergeResult("moved")
    remember(context, repo, thread.num, memo.model_copy(update={"merging": head, "by": by}))
    try:
        after = context.effects.merge(repo, thread.num, head=head, wake=thread_key(repo, thread.num))
    except NotMergeable as error:
        log.info("not merged", pull=thread.num, why=str(error))
        remember(context, repo, thread.num, memo.model_copy(update={"stale": True}))
        return MergeResult("moved")
    except (BadToken, Busy):
        raise
    except (Denied, BadRequest, Conflict) as error:
        tell_refused(context, repo, context.hub.thread(repo, thread.num), record, str(error))
        return MergeResult("refused", why=str(error))
    if after is None:
        return MergeResult("held")
    pass_by(MERGED)
    return settle_merged(context, repo, after, record)


def _stands(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord) -> bool:
    """Whether what would be merged is merged upon what was looked at."""
    if record.rename is not None:
        return rename_pulls.stands(context, repo, thread, record.rename)
    before = {file.path: file.before for file in record.files if file.before is not None}
    there = context.hub.paths_info(context.requests, list(before)) if before else {}
    return all(path in there and there[path].oid == oid for path, oid in before.items())


def settle_merged(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord) -> MergeResult:
    """Look at what went in with the merged pull request `thread`, see to it, and say so in the report."""
    commit = thread.merge_commit
    if commit is None:
        raise Garbled(f"Pull request #{thread.num} is merged, and the Hub does not say as which commit.")
    context.heads.doubt(repo.id, commit)
    memo = recall(context, repo, thread.num)
    by = memo.by if memo is not None else ""
    how: End = "merged"
    is_ours = record.result == "passed" and _is_ours(context, thread, memo, record)
    if not (is_exact := _verify_and_follow_up(context, repo, thread, record, commit, is_ours=is_ours)) and is_ours:
        how = "taken-back"
        log.error("merged what was not checked", pull=thread.num, commit=commit, checked=record.situation.head)
        _take_back(context, repo, thread, record, commit)
    elif not (is_ours and is_exact):
        how = "by-hand"
    context.mark(REQUESTS, SyncPriority.PERSON)
    tell_end(context, repo, thread, record, how, commit, by=by)
    forget(context, repo, thread.num)
    return MergeResult(how, commit)


def _verify_and_follow_up(
    context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord, commit: str, *, is_ours: bool
) -> bool:
    """Whether `commit` is what was checked; if so, what follows from it is done.

    A rename that somebody merged by hand has consequences too, where it is what was checked.
    """
    if record.rename is not None:
        merged = rename_pulls.is_exact(context, repo, record.rename, commit)
        if merged is not None:
            rename_pulls.follow_up_merge(context, repo, record.rename, merged, commit)
        rename_pulls.call_linked(context, repo, thread.num)
        return merged is not None
    if not is_ours or not _is_exact(context, record, commit):
        return False
    _take_up(context, thread, record, commit)
    return True


def _take_up(context: BoardContext, thread: Thread, record: PullRequestRecord, commit: str) -> None:
    """Have the requests looked at, in the name of whoever brought them: our own commit would not call for it."""
    origin = Origin(author=thread.author_name, pull=thread.num, commit=commit)
    context.index.put_origins((file.path, origin) for file in record.files)
    context.mark_all((request_key(file.path) for file in record.files), SyncPriority.PERSON)


def _is_ours(context: BoardContext, thread: Thread, memo: PullRequestMemo | None, record: PullRequestRecord) -> bool:
    """Whether it was us who merged it: as the Hub has it, else as we remember it."""
    if thread.merged_by is not None:
        return is_by(context.me(), *thread.merged_by)
    return memo is not None and memo.merging == record.situation.head


def _is_exact(context: BoardContext, record: PullRequestRecord, commit: str) -> bool:
    """Whether `commit` made of the planned files what was planned, and nothing of any other."""
    planned = {file.path: file.oid for file in record.files}
    try:
        changes = context.hub.changes(context.requests, f"{commit}^", commit, max_bytes=MAX_DIFF)
    except TooLarge:
        return False
    for change in changes:
        is_planned = change.path in planned and change.kind in ("added", "changed")
        if not is_planned or change.mode not in ("", REGULAR):
            return False
    there = context.hub.paths_info(context.requests, list(planned), commit)
    return all(path in there and there[path].oid == oid for path, oid in planned.items())


def _take_back(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord, commit: str) -> None:
    """Have every file that `commit` touched put back, and tell the thread."""
    edits = (
        _undoing(context, thread, commit)
        if repo == context.requests
        else _undoing_by_calls(context, repo, thread, commit)
    )
    context.effects.stage(repo, *edits)
    pass_by(STAGED_BACK)
    text = pull_alarm(
        head=record.situation.head,
        commit=commit,
        commit_url=f"{context.address(repo)}/commit/{commit}",
        count=len(edits),
    )
    marker = context.marker(f"{KIND}-alarm", f"{thread.num} {commit}")
    wake = thread_key(repo, thread.num)
    context.effects.comment(repo, thread.num, text, marker, wake=wake, seen=thread)


def _undoing(context: BoardContext, thread: Thread, commit: str) -> list[RestoreFile]:
    with commit_and_parent(context, context.requests, commit) as (view, parent):
        return [_undo(context, view, thread, commit, parent, one) for one in view.differences(parent, commit)]


def _undoing_by_calls(context: BoardContext, repo: Repo, thread: Thread, commit: str) -> list[RestoreFile]:
    """The same in a repo of which there is no mirror: a few calls, and one for each file that was there before."""
    _, before = context.hub.commits(repo, commit, limit=2)
    paths = context.hub.changed_paths(repo, before.oid, commit)
    was = context.hub.paths_info(repo, paths, before.oid)
    now = context.hub.paths_info(repo, paths, commit)
    edits: list[RestoreFile] = []
    for path in paths:
        data = context.hub.read_file(repo, path, before.oid, max_bytes=_MAX_OLD).data if path in was else None
        edits.append(_restoring(thread, commit, path, data, now[path].oid if path in now else None))
    return edits


def _undo(
    context: BoardContext, view: MirrorView, thread: Thread, commit: str, parent: str, one: GitDifference
) -> RestoreFile:
    data = None
    if one.was is not None:
        data = view.blob(one.was, max_bytes=_MAX_OLD)
        if data is None or _POINTER.match(data):  # large: the Hub has the contents
            data = context.hub.read_file(context.requests, one.path, parent, max_bytes=_MAX_OLD).data
    return _restoring(thread, commit, one.path, data, _id_in_api(view, one.now))


def _restoring(thread: Thread, commit: str, path: str, data: bytes | None, left: str | None) -> RestoreFile:
    return RestoreFile(
        id=f"take back {commit[:16]} {digest_of(path)}",
        path=path,
        line=f"Take back what pull request {thread.num} brought unchecked",
        subject=path,
        data=data,
        left=left,
        wake=(request_key(path),) if is_request_path(path) else (),
    )


def _id_in_api(view: MirrorView, oid: str | None) -> str | None:
    """The id under which the Hub's API shows a blob: that of the contents where LFS keeps them."""
    data = view.blob(oid, max_bytes=1_000) if oid is not None else None
    found = _POINTER.match(data) if data is not None else None
    return found[1].decode() if found is not None else oid
