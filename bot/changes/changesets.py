"""Changes to several repos that belong together: each is one commit, all of them land, or none of them stays.

A part is planned from the files as they are, and approved by the digest of that plan. It lands as one commit on the
very commit that it was planned upon, and carries the digest in its message: so what landed, and what was taken back
again, is seen in the history, by whoever goes on after a crash, and after Redis was lost.

    a part landed already         it is passed over
    its plan is another now       nothing of it is done, and the parts before it are taken back
    the Hub does not let us       the same
    main moved                    it is planned anew; another plan is another part, see above

Race closed: death between two parts, or in the middle of taking them back. Whoever goes on sees in both histories what
was done, and comes to the same end.
Race accepted: somebody changes a file between a part's landing and its undoing. That file is theirs, and left alone.
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
from bot.core.context import BoardContext, request_key
from hub.budget import HOUR
from hub.errors import BadRequest, BadToken, Denied, RateLimited, StaleParent, TooLarge
from hub.records import Change, DeleteFile, LogEntry, Repo, WriteFile
from leaderboard.effects import Effect
from leaderboard.reasons import Problem, Reason, table
from leaderboard.renames import FilePlan
from leaderboard.requests import is_request_path
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority
from redis_state.shadowed_writes import ShadowedWrite

log = structlog.get_logger()

TRIES = 5
LOOK_BACK = 5_000
"""Commits among which a part is looked for, at most."""
PRECISION = timedelta(seconds=2)
"""The Hub tells whole seconds of a commit."""
MAX_FILE = 10 * 1024 * 1024

LANDED = point("a part of several landed, the next one did not")
UNDONE = point("a part was taken back, the one before it was not")

REASONS = table(
    (
        Reason("changed", "Files in {repo} changed since that was planned.", "Ask for it again."),
        Reason("refused", "The Hub did not let me write to {repo}: {why}", "A maintainer has to see to it."),
        Reason("busy", "{repo} changes faster than I can commit to it.", "Ask for it again in a while."),
    )
)


@dataclass(frozen=True)
class ChangesetPart:
    """What is to become of files in `repo`, planned from `commit`."""

    repo: Repo
    commit: str
    files: tuple[FilePlan, ...]

    @property
    def digest(self) -> str:
        """Names this very plan, byte for byte."""
        told = sorted((one.path, one.place, _sha(one.was), _sha(one.data)) for one in self.files)
        return hashlib.sha256(json.dumps([self.repo.id, told]).encode()).hexdigest()[:32]

    @property
    def changes(self) -> list[Change]:
        """What to commit."""
        gone: list[Change] = [DeleteFile(one.path) for one in self.files if one.moves]
        return [*gone, *(WriteFile(one.place, one.data) for one in self.files)]


Planner = Callable[[Repo], ChangesetPart | Problem]


@dataclass(frozen=True)
class ApprovedPart:
    """A part by its digest, as it was approved; `cause` tells two approvals of the same thing apart.

    Nothing of it was done before `proposed`, by the Hub's clock.
    """

    repo: Repo
    digest: str
    cause: str
    proposed: datetime


@dataclass(frozen=True)
class ChangesetResult:
    """What came of it; `why` it was not done; `commits` by repo, where it was."""

    how: Literal["done", "undone", "held"]
    why: Problem | None = None
    commits: tuple[tuple[Repo, str], ...] = ()


def carry_out(context: BoardContext, title: str, parts: Sequence[ApprovedPart], plan: Planner) -> ChangesetResult:
    """Do all of `parts`, in order, or none. Called again it goes on where it was. Raises HubError where it may be
    tried again."""
    if not _is_allowed(context, title, parts):
        return ChangesetResult("held")
    commits: list[tuple[Repo, str]] = []
    for part in parts:
        found = landed_commit(context, title, part) or _land(context, title, part, plan)
        if isinstance(found, Problem):
            log.warning("taken back", title=title, repo=part.repo.id, why=found.message)
            take_back(context, title, parts)
            return ChangesetResult("undone", found)
        commits.append((part.repo, found))
        _look_at(context, part.repo, found)
        pass_by(LANDED)
    return ChangesetResult("done", commits=tuple(commits))


def _is_allowed(context: BoardContext, title: str, parts: Sequence[ApprovedPart]) -> bool:
    name = _sha(json.dumps([title, [(part.cause, part.digest) for part in parts]]).encode())[:24]
    repos = ", ".join(part.repo.id for part in parts)
    return context.effects.allows(
        ShadowedWrite(id=f"change {name}", effect=Effect.EDIT, repo=repos[:200], does=title[:400])
    )


def landed_commit(context: BoardContext, title: str, part: ApprovedPart) -> str | None:
    """The commit as which `part` is in; None where it is not, or was taken back.

    A call for each hundred commits since it was proposed. Only ours are in the order of their times: anybody with a git
    can date a commit as they like.
    """
    me = context.me()
    for entry in islice(context.hub.history(part.repo), LOOK_BACK):
        if not is_ours(me, entry):
            continue
        if entry.date is not None and entry.date < part.proposed - PRECISION:
            return None
        if _is_commit_of(entry, _undoing(title), _undo_trailer(part)):
            return None
        if _is_commit_of(entry, title, _change_trailer(part)):
            return entry.oid
    return None


def _is_commit_of(entry: LogEntry, title: str, trailer: str) -> bool:
    """Whether a commit of ours is that one. The title has to be ours too: a merge quotes strangers further down."""
    return entry.title.strip() == title[:200].strip() and trailer in entry.message.splitlines()


def _change_trailer(part: ApprovedPart) -> str:
    return f"Steward-Part: {part.cause} {part.digest}"


def _undo_trailer(part: ApprovedPart) -> str:
    return f"Steward-Undo: {part.cause} {part.digest}"


def _undoing(title: str) -> str:
    return f"Take back: {title}"[:200]


def _land(context: BoardContext, title: str, part: ApprovedPart, plan: Planner) -> str | Problem:
    for _ in range(TRIES):
        found = plan(part.repo)
        if isinstance(found, Problem):
            return found
        if found.digest != part.digest:
            return REASONS["changed"].problem(repo=part.repo.id)
        try:
            return _commit(context, part.repo, found.changes, title, _change_trailer(part), found.commit)
        except StaleParent:
            continue
        except BadToken:
            raise
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
    """One commit within the budget of the repo. Raises RateLimited where that is used up and this one `waits`."""
    if not context.ledgers.spend(repo) and waits:
        seconds = (context.ledgers.next_commit(repo) or context.now() + HOUR) - context.now()
        words = f"We committed to {repo.id} as often as we may for now."
        raise RateLimited(words, seconds=max(1.0, seconds), what="commits", status=None)
    return context.hub.commit(repo, changes, title[:200], trailer, parent=parent).oid


def take_back(context: BoardContext, title: str, parts: Sequence[ApprovedPart]) -> int:
    """Put back what of `parts` is in, the last one first; files that somebody changed since are left alone. How many
    parts were put back."""
    count = 0
    for part in reversed(parts):
        commit = landed_commit(context, title, part)
        if commit is not None:
            _put_back(context, title, part, commit)
            count += 1
        pass_by(UNDONE)
    return count


def _put_back(context: BoardContext, title: str, part: ApprovedPart, commit: str) -> None:
    for _ in range(TRIES):
        head = context.hub.head(part.repo)
        changes = _reverse(context, part.repo, commit, head)
        if not changes:
            return
        try:
            # Half a change is worse than a commit over our own budget, which leaves room below the Hub's.
            _commit(context, part.repo, changes, _undoing(title), _undo_trailer(part), head, waits=False)
        except StaleParent:
            continue
        _look_at(context, part.repo, commit)
        return
    raise StaleParent(f"{part.repo.id} changes faster than a commit of ours can be taken back.")


def _reverse(context: BoardContext, repo: Repo, commit: str, head: str) -> list[Change]:
    """What undoes `commit` at `head`, but for files that changed since. A few calls, and one a file to read."""
    _, before = context.hub.commits(repo, commit, limit=2)
    paths = context.hub.changed_paths(repo, before.oid, commit)
    was, made, now = (_oids(context, repo, paths, at) for at in (before.oid, commit, head))
    changes: list[Change] = []
    for path in paths:
        if now[path] != made[path] or now[path] == was[path]:
            continue
        if was[path] is None:
            changes.append(DeleteFile(path))
        else:
            changes.append(WriteFile(path, context.hub.read_file(repo, path, before.oid, max_bytes=MAX_FILE).data))
    return changes


def _oids(context: BoardContext, repo: Repo, paths: Sequence[str], revision: str) -> dict[str, str | None]:
    there = context.hub.paths_info(repo, paths, revision)
    return {path: there[path].oid if path in there else None for path in paths}


def _look_at(context: BoardContext, repo: Repo, commit: str) -> None:
    """Our own commits call nobody: have the requests looked at that `commit` changed."""
    if repo == context.requests:
        context.heads.doubt(repo.id, commit)
        paths = context.hub.changed_paths(repo, f"{commit}^", commit)
        context.mark_all((request_key(path) for path in paths if is_request_path(path)), SyncPriority.PERSON)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
