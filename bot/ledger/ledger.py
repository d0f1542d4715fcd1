"""The ledger: it stages edits of files in a board's shared repos, and writes them in few commits.

A sync that changes a file stages an edit (`bot.ledger.edits`) and returns. The sync of the dirty key `ledger:{repo}`
puts as many edits as are ready into one commit, whose parent is the commit that it read, and removes an edit only once
it has seen it in the repo. When an edit has landed or is void, the keys that it names are marked dirty, and their syncs
read the file as it is then. An edit that only waits, for the budget or for another edit, needs no action.

Changes that must land as a whole bypass the ledger: renames and removals (`bot.changes.changesets`), and the move of
Steward's own files (`bot.core.former_paths`). They commit by compare-and-swap too, from the same budget.

One pass: read the files → apply → commit → read again → remove the edits that landed. A crash or an error in between
leaves the edits staged; the next pass reads first and finds those that landed.

Races closed:
  - the bot dies after staging                   staging marks the ledger's key in the same script
  - the bot dies after removing an edit          removing marks the waiting keys in the same script
  - edits wait for an edit in another repo       the end of that edit marks their ledger
  - another commit lands between read and commit the commit has the read commit as parent, or does not land; the edits
                                                 are applied again, field by field, to the new files
  - an error although the commit landed          the next read sees it: landed, no second commit
  - death between landing and removing           the same read sees it
  - two writers after a lapsed lease             one commit lands, the other writer's read finds it
  - an edit is replaced during its commit        only the version that was committed is removed
Races accepted:
  - a person undoes an edit between its landing and the second read: it counts as not landed and is applied once more
    if its guard holds, else it is void; either way the sync that staged it reads the file and decides again
  - an edit is void again and again, because a cache shows an old version of the file, so that its sync and its ledger
    would mark each other without end: a void edit marks the waiting keys only VOID_WAIT_SECONDS later
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from bot.ledger.commit_budget import CommitBudget
from bot.ledger.edits import (
    MAX_EDITED_BYTES,
    AnyEdit,
    EditBase,
    EditPlan,
    FieldEdit,
    Files,
    PresentFile,
    blob_id,
    is_content,
    message,
    plan,
)
from bot.ledger.store import EditStore, End, StagedEdit
from hub.client import Hub
from hub.errors import BadRequest, EntryNotFound, HubError, RateLimited, StaleParent, TooLarge
from hub.records import CreatedCommit, FileEntry, Repo
from redis_state.clock import Clock
from redis_state.crashpoints import pass_by, point
from redis_state.heads import Heads
from redis_state.parking import ParkedSync, ParkedSyncs

log = structlog.get_logger()

VOID_WAIT_SECONDS = 1.0
BATCH_EDITS, BATCH_BYTES = 250, 16 * 1024 * 1024
_MAX_TRIES = 8
_FIELD_EDIT_BYTES = 1_000
"""The size at which an edit of fields counts in a batch."""

STAGED = point("edits staged, sync not done")
APPLIED = point("files looked at, nothing committed")
LANDED = point("commit landed, edits not dropped")
SEEN = point("some edits of a commit dropped, others not")


class Ledger:
    """The ledger of the shared repos of one board."""

    def __init__(
        self, hub: Hub, edits: EditStore, budget: CommitBudget, heads: Heads, parking: ParkedSyncs, now: Clock
    ) -> None:
        self.edits = edits
        self.budget = budget
        self._hub = hub
        self._heads = heads
        self._parking = parking
        self._now = now

    def stage(self, repo: Repo, *edits: AnyEdit) -> None:
        """Stage `edits`, to be written in this order when the budget of `repo` allows; staging twice counts once."""
        changed = self.edits.stage(repo, edits, due=self._now())
        log.info("staged", repo=repo.id, edits=[edit.id for edit in edits], changed=changed)
        pass_by(STAGED)

    def write(self, repo: Repo) -> float | None:
        """Write the staged edits of `repo` in at most one commit; return when to continue (Unix time), if known.

        Edits that wait for others stay staged; the end of those marks the ledger of `repo`.
        """
        if (when := self.budget.next_check(repo)) is not None:
            return when
        batch, has_more = self._batch(repo)
        is_done = self._write(repo, batch) if batch else True
        return (self.budget.next_check(repo) or 0.0) if has_more or not is_done else None

    def end(self, repo: Repo, staged: StagedEdit, end: End) -> None:
        """Remove an edit and mark the keys that wait for it."""
        due = self._now() + (VOID_WAIT_SECONDS if end == "void" else 0.0)
        self.edits.end(repo, staged, end, wake=staged.edit.wake, due=due)
        log.info("edit ended", repo=repo.id, edit=staged.edit.id, how=end)

    def _batch(self, repo: Repo) -> tuple[list[StagedEdit], bool]:
        """The edits for the next commit, and whether more are ready than one commit should hold."""
        batch: list[StagedEdit] = []
        blocked: set[str] = set()  # paths of which an earlier edit has to wait
        size = 0
        for staged in self.edits.read(repo):
            edit = staged.edit
            readiness = self._readiness(edit)
            if readiness == "void":
                self.end(repo, staged, "void")
            elif readiness == "wait" or edit.path in blocked:
                blocked.add(edit.path)
            elif len(batch) == BATCH_EDITS or (batch and size + _size(edit) > BATCH_BYTES):
                return batch, True
            else:
                batch.append(staged)
                size += _size(edit)
        return batch, False

    def _readiness(self, edit: AnyEdit) -> Literal["go", "wait", "void"]:
        """Whether all edits that `edit` follows have landed. An id that is no longer stored landed long ago."""
        states = set(self.edits.states(edit.after).values())
        return "void" if "void" in states else "wait" if "staged" in states else "go"

    def _write(self, repo: Repo, batch: list[StagedEdit]) -> bool:
        """Write `batch`, or as much of it as the Hub accepts at once; return whether all of it ended."""
        view, is_spent, tries, is_whole = _view_when_staged(batch), False, 0, True
        while batch:
            view = view or self._read_files(repo, batch)
            planned = plan([staged.edit for staged in batch], view.files)
            batch = self._end_without_commit(repo, batch, planned)
            if not planned.changes:
                return is_whole
            if not is_spent and not self.budget.spend(repo):
                return False
            is_spent = True
            pass_by(APPLIED)
            try:
                commit = self._commit(repo, planned, view)
            except StaleParent:
                view, tries = None, tries + 1
                if tries == _MAX_TRIES:
                    raise
            except (BadRequest, TooLarge) as error:
                is_whole = is_whole and len(batch) == 1
                if len(batch) == 1:
                    self._refuse(repo, batch[0], error)
                batch = batch[: len(batch) // 2]
            else:
                pass_by(LANDED)
                self._heads.saw(repo.id, commit.oid, after=view.commit)
                return self._confirm(repo, batch, planned, commit) and is_whole
        return is_whole

    def _end_without_commit(self, repo: Repo, batch: list[StagedEdit], planned: EditPlan) -> list[StagedEdit]:
        """End the edits that need no commit; return those that need one."""
        for staged in _of(batch, planned.landed):
            self.end(repo, staged, "landed")
        for staged in _of(batch, planned.void):
            self.end(repo, staged, "void")
        return _of(batch, planned.written)

    def _commit(self, repo: Repo, planned: EditPlan, view: _FilesAtCommit) -> CreatedCommit:
        regular = {path for path, present in view.files.items() if present is not None and not present.is_large}
        title, description = message(planned.written)
        try:
            return self._hub.commit(repo, planned.changes, title, description, parent=view.commit, regular=regular)
        except RateLimited as error:
            self.budget.pause(repo, error.seconds)
            raise

    def _refuse(self, repo: Repo, staged: StagedEdit, error: HubError) -> None:
        """Remove an edit that the Hub will never accept, and park the keys that wait for it, with the error."""
        log.error("edit refused", repo=repo.id, edit=staged.edit.id, error=str(error))
        for key in staged.edit.wake:
            self._parking.park(ParkedSync(key=key, error=str(error)[:500], tries=1, since=self._now()))
        self.edits.end(repo, staged, "void", wake=(), due=self._now())

    def _confirm(self, repo: Repo, batch: list[StagedEdit], planned: EditPlan, commit: CreatedCommit) -> bool:
        """Remove the edits that are in the repo at `commit`; return whether these are all of `batch`."""
        entries = self._hub.paths_info(repo, list(planned.contents), commit.oid)
        seen = [staged for staged in batch if _has_content(entries, staged.edit.path, planned)]
        for staged in seen:
            self.end(repo, staged, "landed")
            pass_by(SEEN)
        return len(seen) == len(batch)

    def _read_files(self, repo: Repo, batch: Sequence[StagedEdit]) -> _FilesAtCommit:
        """The files of `batch` at the branch's head: two calls, and one for each that changed since it was read."""
        known = self._heads.known(repo.id)
        head = self._hub.head(repo)
        self._heads.saw(repo.id, head, after=known)
        paths = list(dict.fromkeys(staged.edit.path for staged in batch))
        entries = self._hub.paths_info(repo, paths, head)
        bases = {staged.edit.path: _base(staged) for staged in batch if isinstance(staged.edit, FieldEdit)}
        return _FilesAtCommit(head, {path: self._present(repo, head, entries.get(path), bases, path) for path in paths})

    def _present(
        self, repo: Repo, head: str, entry: FileEntry | None, bases: Mapping[str, EditBase | None], path: str
    ) -> PresentFile | None:
        """The file of `entry`, with its content if its fields are edited: `bases` has its path."""
        if entry is None:
            return None
        if path not in bases or entry.size > MAX_EDITED_BYTES:
            return PresentFile(entry.oid)
        base = bases[path]
        if base is not None and is_content(entry.oid, base.data):
            return PresentFile(entry.oid, base.data)
        try:
            return PresentFile(entry.oid, self._hub.read_file(repo, path, head, max_bytes=MAX_EDITED_BYTES).data)
        except EntryNotFound:
            return None


@dataclass(frozen=True)
class _FilesAtCommit:
    """Files as they are at `commit`."""

    commit: str
    files: Files


def _view_when_staged(batch: Sequence[StagedEdit]) -> _FilesAtCommit | None:
    """The files that `batch` is based on, if all are of one commit. If it is outdated, a commit on it does not land."""
    bases = [_base(staged) for staged in batch]
    if len({base.commit if base else "" for base in bases}) != 1 or bases[0] is None or not bases[0].commit:
        return None
    known = {staged.edit.path: base for staged, base in zip(batch, bases, strict=True) if base is not None}
    files = {path: PresentFile(base.oid or blob_id(base.data), base.data) for path, base in known.items()}
    return _FilesAtCommit(bases[0].commit, files)


def _has_content(entries: Mapping[str, FileEntry], path: str, planned: EditPlan) -> bool:
    entry, content = entries.get(path), planned.contents[path]
    return entry is None if content is None else entry is not None and is_content(entry.oid, content)


def _base(staged: StagedEdit) -> EditBase | None:
    return staged.edit.base if isinstance(staged.edit, FieldEdit) else None


def _of(batch: Sequence[StagedEdit], edits: Iterable[AnyEdit]) -> list[StagedEdit]:
    ids = {edit.id for edit in edits}
    return [staged for staged in batch if staged.edit.id in ids]


def _size(edit: AnyEdit) -> int:
    return _FIELD_EDIT_BYTES if isinstance(edit, FieldEdit) else len(edit.data or b"")
