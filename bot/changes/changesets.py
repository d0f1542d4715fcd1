"""Changesets: changes of several repos that belong together. Each repo gets one commit; all commits land, or all are
reverted.

A part is planned from the present files and approved by the digest of its plan. Its commit has as parent the commit
that the plan is based on, and carries the digest in its message. So the history shows which parts landed and which were
reverted, also after a crash or after Redis is lost.

    a part has landed             skip it
    its plan differs now          do not commit it, and revert the parts before it
    the Hub refuses the commit    revert the parts before it
    main moved                    plan the part again; a different plan counts as above

Race closed: the process dies between two parts, or in the middle of a revert. The next process finds in both
histories the parts that landed, and comes to the same end.
Race accepted: a person changes a file between a part's commit and its revert. The revert leaves that file alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

import structlog

from bot.core.commit_origins import is_ours
from bot.core.context import BoardContext
from bot.intake.deliveries import REQUESTS
from hub.budget import HOUR
from hub.errors import BadRequest, Denied, RateLimited, StaleParent, TooLarge
from hub.records import Change, DeleteFile, LogEntry, Repo, WriteFile
from leaderboard.effects import Effect
from leaderboard.reasons import Problem, Reason, table
from leaderboard.renames import FilePlan
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority
from redis_state.shadowed_writes import ShadowedWrite

log = structlog.get_logger()

MAX_COMMIT_TRIES = 5
MAX_HISTORY_COMMITS = 5_000
"""Commits of a history that are searched for a part."""
HUB_CLOCK_PRECISION = timedelta(seconds=2)
"""The Hub gives the time of a commit in whole seconds."""
MAX_FILE = 10 * 1024 * 1024

LANDED = point("a part of several landed, the next one did not")
UNDONE = point("a part was taken back, the one before it was not")

REASONS = table(
    (
        Reason("changed", "Files in {repo} changed after I made the plan.", "Write the command again."),
        Reason("refused", "The Hub did not let me write to {repo}: {why}", "A maintainer has to fix that first."),
        Reason("busy", "{repo} changes faster than I can commit to it.", "Write the command again later."),
    )
)


@dataclass(frozen=True)
class ChangesetPart:
    """The planned changes of files in `repo`, based on `commit`."""

    repo: Repo
    commit: str
    files: tuple[FilePlan, ...]

    @property
    def digest(self) -> str:
        """The digest of this plan; any other byte in it gives another digest."""
        files = sorted((file.path, file.place, _sha(file.was), _sha(file.data)) for file in self.files)
        return hashlib.sha256(json.dumps([self.repo.id, files]).encode()).hexdigest()[:32]

    @property
    def changes(self) -> list[Change]:
        """The file operations of the commit."""
        deletions: list[Change] = [DeleteFile(file.path) for file in self.files if file.moves]
        return [*deletions, *(WriteFile(file.place, file.data) for file in self.files)]


Planner = Callable[[Repo], ChangesetPart | Problem]


@dataclass(frozen=True)
class ApprovedPart:
    """A part that a maintainer approved by its digest; `cause` distinguishes two approvals of the same plan.

    Its commits are not older than `proposed`, by the Hub's clock.
    """

    repo: Repo
    digest: str
    cause: str
    proposed: datetime


@dataclass(frozen=True)
class ChangesetResult:
    """The result of a changeset: `commits` by repo where it is done, `why` it is not where it is undone.

    `held`: edits are off or in shadow on this board.
    """

    state: Literal["done", "undone", "held"]
    why: Problem | None = None
    commits: tuple[tuple[Repo, str], ...] = ()


def carry_out(
    context: BoardContext, title: str, parts: Sequence[ApprovedPart], plan: Planner, *, wake: str
) -> ChangesetResult:
    """Commit all of `parts` in order, or none. A repeated call continues where the last one stopped. Raises HubError
    where a retry can help.

    If edits are held back, the dirty key `wake` is marked when the board allows them.
    """
    if not _is_allowed(context, title, parts, wake):
        return ChangesetResult("held")
    commits: list[tuple[Repo, str]] = []
    for part in parts:
        commit = landed_commit(context, title, part) or _commit_part(context, title, part, plan)
        if isinstance(commit, Problem):
            log.warning("taken back", title=title, repo=part.repo.id, why=commit.message)
            revert(context, title, parts)
            return ChangesetResult("undone", commit)
        commits.append((part.repo, commit))
        _mark_requests(context, part.repo, commit)
        pass_by(LANDED)
    return ChangesetResult("done", commits=tuple(commits))


def _is_allowed(context: BoardContext, title: str, parts: Sequence[ApprovedPart], wake: str) -> bool:
    name = _sha(json.dumps([title, [(part.cause, part.digest) for part in parts]]).encode())[:24]
    repos = ", ".join(part.repo.id for part in parts)
    return context.effects.allows(
        ShadowedWrite(id=f"change {name}", effect=Effect.EDIT, repo=repos[:200], does=title[:400]), wake=wake
    )


def landed_commit(context: BoardContext, title: str, part: ApprovedPart) -> str | None:
    """The commit of `part`; None where it has not landed, or was reverted.

    It reads the history of the newest commit, since a cached history of the branch may lack that commit: one call, and
    one for each hundred commits since the proposal. Only the dates of the bot's commits count, since a person can give
    a commit any date.
    """
    me = context.me()
    for entry in islice(context.hub.history(part.repo, context.hub.head(part.repo)), MAX_HISTORY_COMMITS):
        if not is_ours(me, entry):
            continue
        if entry.date is not None and entry.date < part.proposed - HUB_CLOCK_PRECISION:
            return None
        if _is_commit_of(entry, _revert_title(title), _revert_trailer(part)):
            return None
        if _is_commit_of(entry, title, _part_trailer(part)):
            return entry.oid
    return None


def _is_commit_of(entry: LogEntry, title: str, trailer: str) -> bool:
    """Whether a commit of the bot has this title and trailer. The trailer alone proves nothing: a merge commit quotes
    text of other people."""
    return entry.title.strip() == title[:200].strip() and trailer in entry.message.splitlines()


def _part_trailer(part: ApprovedPart) -> str:
    return f"Steward-Part: {part.cause} {part.digest}"


def _revert_trailer(part: ApprovedPart) -> str:
    return f"Steward-Undo: {part.cause} {part.digest}"


def _revert_title(title: str) -> str:
    return f"Take back: {title}"[:200]


def _commit_part(context: BoardContext, title: str, part: ApprovedPart, plan: Planner) -> str | Problem:
    for _ in range(MAX_COMMIT_TRIES):
        planned = plan(part.repo)
        if isinstance(planned, Problem):
            return planned
        if planned.digest != part.digest:
            return REASONS["changed"].problem(repo=part.repo.id)
        try:
            return _commit(context, part.repo, planned.changes, title, _part_trailer(part), planned.commit)
        except StaleParent:
            continue
        except (Denied, BadRequest, TooLarge) as error:
            return REASONS["refused"].problem(repo=part.repo.id, why=str(error))
    return REASONS["busy"].problem(repo=part.repo.id)


def _commit(
    context: BoardContext,
    repo: Repo,
    changes: Sequence[Change],
    title: str,
    trailer: str,
    parent: str,
    *,
    waits: bool = True,
) -> str:
    """Make one commit, counted in the repo's budget. Raises RateLimited where the budget is used up and `waits`."""
    if not context.ledger.budget.spend(repo) and waits:
        seconds = (context.ledger.budget.next_check(repo) or context.now() + HOUR) - context.now()
        message = f"The budget of commits to {repo.id} is used up for now."
        raise RateLimited(message, seconds=max(1.0, seconds), what="commits", status=None)
    return context.hub.commit(repo, changes, title[:200], trailer, parent=parent).oid


def revert(context: BoardContext, title: str, parts: Sequence[ApprovedPart]) -> int:
    """Revert the landed ones of `parts`, the last first, except files that changed since. Return their number."""
    count = 0
    for part in reversed(parts):
        commit = landed_commit(context, title, part)
        if commit is not None:
            _revert_part(context, title, part, commit)
            count += 1
        pass_by(UNDONE)
    return count


def _revert_part(context: BoardContext, title: str, part: ApprovedPart, commit: str) -> None:
    for _ in range(MAX_COMMIT_TRIES):
        head = context.hub.head(part.repo)
        changes = _reverse(context, part.repo, commit, head)
        if not changes:
            return
        try:
            # Half a change is worse than a commit over the bot's budget, which is below the Hub's limit.
            _commit(context, part.repo, changes, _revert_title(title), _revert_trailer(part), head, waits=False)
        except StaleParent:
            continue
        _mark_requests(context, part.repo, commit)
        return
    raise StaleParent(f"{part.repo.id} changes faster than the bot can revert its commit.")


def _reverse(context: BoardContext, repo: Repo, commit: str, head: str) -> list[Change]:
    """The changes that undo `commit` at `head`, without files that changed since. A few calls, and one for each file
    to restore."""
    parent = context.hub.parent(repo, commit)
    paths = context.hub.changed_paths(repo, parent, commit)
    before, after, present = (_oids(context, repo, paths, revision) for revision in (parent, commit, head))
    changes: list[Change] = []
    for path in paths:
        if present[path] != after[path] or present[path] == before[path]:
            continue
        if before[path] is None:
            changes.append(DeleteFile(path))
        else:
            changes.append(WriteFile(path, context.hub.read_file(repo, path, parent, max_bytes=MAX_FILE).data))
    return changes


def _oids(context: BoardContext, repo: Repo, paths: Sequence[str], revision: str) -> dict[str, str | None]:
    files = context.hub.paths_info(repo, paths, revision)
    return {path: files[path].oid if path in files else None for path in paths}


def _mark_requests(context: BoardContext, repo: Repo, commit: str) -> None:
    """If `commit` is in the requests repo, record it, and mark that repo for a sync without waiting for a delivery."""
    if repo == context.requests:
        context.heads.doubt(repo.id, commit)
        context.mark(REQUESTS, SyncPriority.PERSON)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
