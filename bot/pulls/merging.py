"""Merge a checked pull request, verify the merge commit, and revert a merge that differs from the checked changes.

The Hub's merge takes no expected commit. So the bot reads head, base files and mergeability again right before the
merge, and right after it compares the changes of the merge commit with the checked files, blob by blob. If they differ,
the ledger restores each file, and a comment says so.

Race closed: a push between the last read and the merge. The merge commit shows it, and the bot reverts it.
Race closed: the process dies, or a call fails, between merge and verification. The report still lists the checked
changes; the next sync finds a merged pull request whose report does not say that it is merged, and verifies it.
Race closed: two processes merge one pull request. The Hub merges once; both verify the same commit and report the same.
Race accepted: a person changes a file between a wrong merge and its revert. The revert leaves that file alone.
Race accepted: a maintainer merges by hand while a person pushes. A maintainer may merge anything; the requests in it go
through admission afterwards, as those of a direct push do.
Accepted: a submodule is no file for the Hub's API. The comment mentions it, and people have to remove it.
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
from bot.pulls.report import report_end, report_refused
from bot.request_files.file_edits import digest_of
from hub.comments import is_by
from hub.errors import BadRequest, Busy, Conflict, Denied, Garbled, NotMergeable, TooLarge
from hub.records import Repo, Thread
from leaderboard.changes import REGULAR
from leaderboard.request_paths import is_request_path
from redis_state.board.entry import Origin
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

MAX_DIFF = 8 * 1024 * 1024
"""Bytes of a pull request with its diff; a submission is never larger."""
_MAX_OLD_FILE = 10 * 1024 * 1024

MERGED = point("pull request merged, merge commit not verified")
STAGED_BACK = point("a wrong merge is being reverted, not reported")

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")


@dataclass(frozen=True)
class MergeResult:
    """The outcome of a merge, its commit, and the Hub's message where the Hub refused.

    "moved": the pull request or its base changed after the check; nothing was merged. "held": merges or edits are off
    or in shadow on this board.
    """

    outcome: End | Literal["held", "moved", "refused"]
    commit: str = ""
    why: str = ""


def merge_checked(
    context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord, *, by: str = ""
) -> MergeResult:
    """Merge the pull request `thread` if its head and its base are still those in `record`, the record of its report.

    `by` is the approver; "" where the board merges without approval.
    """
    head = record.situation.head
    memo = recall(context, repo, thread.num) or PullRequestMemo(head=head)
    if not _is_base_unchanged(context, repo, thread, record):
        remember(context, repo, thread.num, memo.model_copy(update={"stale": True}))
        return MergeResult("moved")
    remember(context, repo, thread.num, memo.model_copy(update={"merging": head, "by": by}))
    try:
        after = context.effects.merge(repo, thread.num, head=head, wake=thread_key(repo, thread.num))
    except NotMergeable as error:
        log.info("not merged", pull=thread.num, why=str(error))
        remember(context, repo, thread.num, memo.model_copy(update={"stale": True}))
        return MergeResult("moved")
    except Busy:
        raise
    except (Denied, BadRequest, Conflict) as error:
        report_refused(context, repo, context.hub.thread(repo, thread.num), record, str(error))
        return MergeResult("refused", why=str(error))
    if after is None:
        return MergeResult("held")
    pass_by(MERGED)
    return settle_merged(context, repo, after, record)


def _is_base_unchanged(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord) -> bool:
    """Whether the files on main that the pull request changes are still those of the check."""
    if record.rename is not None:
        return rename_pulls.still_holds(context, repo, thread, record.rename)
    before = {file.path: file.before for file in record.files if file.before is not None}
    present = context.hub.paths_info(context.requests, list(before)) if before else {}
    return all(path in present and present[path].oid == oid for path, oid in before.items())


def settle_merged(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord) -> MergeResult:
    """Verify the commit of the merged pull request `thread`, follow it up or revert it, and report the outcome."""
    commit = thread.merge_commit
    if commit is None:
        raise Garbled(f"Pull request #{thread.num} is merged, and the Hub does not say as which commit.")
    context.heads.doubt(repo.id, commit)
    memo = recall(context, repo, thread.num)
    by = memo.by if memo is not None else ""
    outcome: End = "merged"
    is_ours = record.result == "passed" and _is_ours(context, thread, memo, record)
    is_exact = _verify_and_follow_up(context, repo, thread, record, commit, is_ours=is_ours)
    if is_ours and not is_exact:
        outcome = "taken-back"
        log.error("merge differs from the check", pull=thread.num, commit=commit, checked=record.situation.head)
        _revert(context, repo, thread, record, commit)
    elif not is_ours:
        outcome = "by-hand"
    context.mark(REQUESTS, SyncPriority.PERSON)
    report_end(context, repo, thread, record, outcome, commit, by=by)
    forget(context, repo, thread.num)
    return MergeResult(outcome, commit)


def _verify_and_follow_up(
    context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord, commit: str, *, is_ours: bool
) -> bool:
    """Return whether `commit` has exactly the checked changes; if so, follow it up.

    A rename that a maintainer merged by hand is followed up too, if it has exactly the checked changes.
    """
    if record.rename is not None:
        merged = rename_pulls.is_exact(context, repo, record.rename, commit)
        if merged is not None:
            rename_pulls.follow_up_merge(context, repo, record.rename, merged, commit)
        rename_pulls.mark_linked(context, repo, thread.num)
        return merged is not None
    if not is_ours or not _is_exact(context, record, commit):
        return False
    _mark_submitted(context, thread, record, commit)
    return True


def _mark_submitted(context: BoardContext, thread: Thread, record: PullRequestRecord, commit: str) -> None:
    """Note the author of the pull request as the submitter and mark the requests, since deliveries of the bot's own
    commits mark nothing."""
    origin = Origin(author=thread.author_name, author_id=thread.author_id or "", pull=thread.num, commit=commit)
    paths = [file.path for file in record.files if is_request_path(file.path)]
    context.index.put_origins((path, origin) for path in paths)
    context.mark_all(map(request_key, paths), SyncPriority.PERSON)


def _is_ours(context: BoardContext, thread: Thread, memo: PullRequestMemo | None, record: PullRequestRecord) -> bool:
    """Whether the bot merged the pull request: by the Hub's answer, else by the memo in Redis."""
    if thread.merged_by is not None:
        return is_by(context.me(), *thread.merged_by)
    return memo is not None and memo.merging == record.situation.head


def _is_exact(context: BoardContext, record: PullRequestRecord, commit: str) -> bool:
    """Whether `commit` changed the planned files as planned, and no other file."""
    planned = {file.path: file.oid for file in record.files}
    try:
        changes = context.hub.changes(context.requests, f"{commit}^", commit, max_bytes=MAX_DIFF)
    except TooLarge:
        return False
    for change in changes:
        is_planned = change.path in planned and change.kind in ("added", "changed")
        if not is_planned or change.mode not in ("", REGULAR):
            return False
    merged = context.hub.paths_info(context.requests, list(planned), commit)
    return all(path in merged and merged[path].oid == oid for path, oid in planned.items())


def _revert(context: BoardContext, repo: Repo, thread: Thread, record: PullRequestRecord, commit: str) -> None:
    """Stage the restoration of each file that `commit` changed, and post the alarm in the thread."""
    edits = (
        _restorations_from_mirror(context, thread, commit)
        if repo == context.requests
        else _restorations_from_hub(context, repo, thread, commit)
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


def _restorations_from_mirror(context: BoardContext, thread: Thread, commit: str) -> list[RestoreFile]:
    with commit_and_parent(context, context.requests, commit) as (view, parent):
        return [
            _restoration_of(context, view, thread, commit, parent, difference)
            for difference in view.differences(parent, commit)
        ]


def _restorations_from_hub(context: BoardContext, repo: Repo, thread: Thread, commit: str) -> list[RestoreFile]:
    """The restorations in a repo without a mirror: a few calls, and one for each file that existed before."""
    parent = context.hub.parent(repo, commit)
    paths = context.hub.changed_paths(repo, parent, commit)
    before = context.hub.paths_info(repo, paths, parent)
    after = context.hub.paths_info(repo, paths, commit)
    edits: list[RestoreFile] = []
    for path in paths:
        data = context.hub.read_file(repo, path, parent, max_bytes=_MAX_OLD_FILE).data if path in before else None
        edits.append(_restoration(thread, commit, path, data, after[path].oid if path in after else None))
    return edits


def _restoration_of(
    context: BoardContext, view: MirrorView, thread: Thread, commit: str, parent: str, difference: GitDifference
) -> RestoreFile:
    data = None
    if difference.was is not None:
        data = view.blob(difference.was, max_bytes=_MAX_OLD_FILE)
        if data is None or _POINTER.match(data):  # a large file: only the Hub has its contents
            data = context.hub.read_file(context.requests, difference.path, parent, max_bytes=_MAX_OLD_FILE).data
    return _restoration(thread, commit, difference.path, data, _id_in_api(view, difference.now))


def _restoration(thread: Thread, commit: str, path: str, data: bytes | None, left: str | None) -> RestoreFile:
    return RestoreFile(
        id=f"take back {commit[:16]} {digest_of(path)}",
        path=path,
        line=f"Revert the unchecked changes of pull request {thread.num}",
        subject=path,
        data=data,
        left=left,
        wake=(request_key(path),) if is_request_path(path) else (),
    )


def _id_in_api(view: MirrorView, oid: str | None) -> str | None:
    """The id of a blob in the Hub's API: for a file in LFS, the digest of its contents."""
    data = view.blob(oid, max_bytes=1_000) if oid is not None else None
    pointer = _POINTER.match(data) if data is not None else None
    return pointer[1].decode() if pointer is not None else oid
