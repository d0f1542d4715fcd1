"""Moves Steward's own files from paths that front ends take for requests or results to paths that they do not read.

Earlier versions named these files `*.json`. Front ends read all `*.json` of a repo, also in dot folders, and fail on
the first file that is no request, or show a removed model again.

    requests    `.steward/queue.json` -> `.steward/pauses`, `.steward/adopted.json` -> `.steward/adoption`: one commit
    results     `.steward/archive/{path}` -> `.steward/removed/{path}.removed`: one commit for each BATCH_BYTES

The parent of each commit is the commit at which its files were read, so it moves the present files or does not land. A
sync that dies before or after a commit leaves nothing half done.

A file at its former path beside one at the present path was written after the move: by a process of an earlier version,
by hand, or by an edit that was staged before. The members of such a file of pauses replace those of the present one; a
record or a removed file at the present path stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from bot.core.context import BoardContext
from hub.errors import EntryNotFound, StaleParent
from hub.records import Change, DeleteFile, FileEntry, Repo, WriteFile
from leaderboard.adoption import FORMER_RECORD, RECORD
from leaderboard.effects import Effect
from leaderboard.holds import FORMER_PAUSES, PAUSES, merge_pauses
from leaderboard.removals import FORMER_ARCHIVE, archived, original_path
from redis_state.board.pauses import PAUSED
from redis_state.dirty import SyncPriority
from redis_state.shadowed_writes import ShadowedWrite

log = structlog.get_logger()

FORMER = "former-paths"
"""Dirty key: files of Steward may be at former paths."""
TITLE = "Move Steward's own files to where no front end reads them"
WAIT = 900.0
"""Seconds from a start to the move. Processes of an earlier version that still run until then read only the former
paths: without the record at its former path, they would treat an adopted board as one that was never adopted."""
BATCH_BYTES, BATCH_FILES = 16 * 1024 * 1024, 250
_MAX_TRIES = 5


def mark_former_paths(context: BoardContext, *, wait: float = WAIT) -> None:
    """Mark the move of files at former paths, due in `wait` seconds."""
    context.dirty.mark(FORMER, due=context.now() + wait, priority=SyncPriority.BACKGROUND)


def sync_former_paths(context: BoardContext) -> float | None:
    """Move all files at former paths, if edits are on; return when to continue, if the budget of commits is used up.

    Two calls if there are none.
    """
    waits = [_sync(context, repo) for repo in (context.requests, context.results)]
    return min((when for when in waits if when is not None), default=None)


def _sync(context: BoardContext, repo: Repo) -> float | None:
    while entries := at_former_paths(context, repo):
        if not _is_allowed(context, repo, [entry.path for entry in entries]):
            return None
        if (when := context.ledger.budget.next_check(repo)) is not None:
            return when
        move(context, repo)
    return None


def at_former_paths(context: BoardContext, repo: Repo, revision: str = "main") -> list[FileEntry]:
    """The files of the requests or the results repo that are at former paths. One call."""
    if repo == context.requests:
        return list(context.hub.paths_info(repo, [FORMER_PAUSES, FORMER_RECORD], revision).values())
    try:
        return context.hub.list_files(repo, revision, folder=FORMER_ARCHIVE.rstrip("/"))
    except EntryNotFound:
        return []


def move(context: BoardContext, repo: Repo) -> bool:
    """Move as many files from former paths as one commit holds; return whether there were any.

    The caller checks that edits are on.
    """
    return context.hub.retries.until(lambda: _move(context, repo), on=(StaleParent,), attempts=_MAX_TRIES)


def _is_allowed(context: BoardContext, repo: Repo, paths: Sequence[str]) -> bool:
    does = f"Move {', '.join(paths)}"
    shadowed = ShadowedWrite(
        id=f"former paths {repo.id}", effect=Effect.EDIT, repo=f"{repo.kind}/{repo.id}", does=does[:400]
    )
    return context.effects.allows(shadowed, wake=FORMER)


def _move(context: BoardContext, repo: Repo) -> bool:
    head = context.hub.head(repo)
    entries = _batch(at_former_paths(context, repo, head))
    if not entries:
        return False
    paths = [entry.path for entry in entries]
    files = _moved_requests(context, paths, head) if repo == context.requests else _moved_results(context, paths, head)
    changes: list[Change] = [*map(DeleteFile, paths), *files]
    # The answer does not matter: one commit above the bot's budget is still below the Hub's limit.
    context.ledger.budget.spend(repo)
    commit = context.hub.commit(repo, changes, TITLE, parent=head, regular=(PAUSES, RECORD))
    context.heads.saw(repo.id, commit.oid, after=head)
    log.info("moved from former paths", repo=repo.id, paths=paths, commit=commit.oid)
    if FORMER_PAUSES in paths:
        context.mark(PAUSED, SyncPriority.PERSON)
    return True


def _batch(entries: Sequence[FileEntry]) -> list[FileEntry]:
    batch, size = list[FileEntry](), 0
    for entry in entries[:BATCH_FILES]:
        size += entry.size
        if batch and size > BATCH_BYTES:
            break
        batch.append(entry)
    return batch


def _moved_requests(context: BoardContext, paths: Sequence[str], head: str) -> Iterator[WriteFile]:
    """The files to write at the present paths of the requests repo."""
    if FORMER_PAUSES in paths:
        former, present = (
            context.hub.read_file(context.requests, FORMER_PAUSES, head),
            context.hub.find_file(context.requests, PAUSES, head),
        )
        yield WriteFile(PAUSES, former.data if present is None else merge_pauses(present.data, former.data))
    if FORMER_RECORD in paths and context.hub.find_file(context.requests, RECORD, head) is None:
        yield WriteFile(RECORD, context.hub.read_file(context.requests, FORMER_RECORD, head).data)


def _moved_results(context: BoardContext, paths: Sequence[str], head: str) -> Iterator[WriteFile]:
    """The files to write at the present paths of the results repo. A call for each file."""
    present_paths = {path: archived(original_path(path) or path) for path in paths}
    entries = context.hub.paths_info(context.results, list(present_paths.values()), head)
    for path, present_path in present_paths.items():
        if present_path not in entries:
            yield WriteFile(present_path, context.hub.read_file(context.results, path, head).data)
