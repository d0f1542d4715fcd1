"""The ledger: one batched, compare-and-swap writer of files per shared repo.

Syncs stage edits (`edits.py`) durably in an `EditStore`; `Ledger.write` puts as many as are ready into one commit whose
parent is the commit that it read, and drops an edit only once it has seen it in the repo. The store decides how often
the ledger may commit, and reports the ends of edits.

One pass: read the files → apply → commit → read again → drop the edits that landed. A crash or an error in between
leaves the edits staged; the next pass reads first and finds out which of them landed.

Races closed:
  - another commit lands between read and commit the commit has the read commit as parent, or does not land; the edits
                                                 are applied again, field by field, to the new files
  - an error although the commit landed          the next read sees it: landed, no second commit
  - death between landing and dropping           the same read sees it
  - two writers after a lapsed lease             one commit lands, the other writer's read finds it
  - an edit is replaced while its predecessor is being committed: the store drops only the version that was written
Races accepted:
  - a person undoes an edit between its landing and the second read: it counts as not landed and is applied once more
    if its guard holds, else it is void; either way the sync that staged it reads the file and decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bot.ledger.edits import (
    MAX_EDITED,
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
from hub.errors import BadRequest, EntryNotFound, HubError, RateLimited, StaleParent, TooLarge
from hub.records import CreatedCommit, FileEntry, Repo
from hub.writes import Writes

End = Literal["landed", "void"]

BATCH_EDITS, BATCH_BYTES = 250, 16 * 1024 * 1024
_TRIES = 8

APPLIED, LANDED, SEEN = (
    "files looked at, nothing committed",
    "commit landed, edits not dropped",
    "some edits of a commit dropped, others not",
)
"""The points between the effects of a pass, as `passing` is told them."""


@dataclass(frozen=True)
class StagedEdit:
    """An edit as it is staged. `version` names this very content of it."""

    edit: AnyEdit
    version: str


class EditStore(Protocol):
    """Where edits are staged."""

    def held(self, repo: Repo) -> Iterator[StagedEdit]:
        """The edits staged for `repo`, in the order in which they came."""

    def ended(self, ids: Sequence[str]) -> Mapping[str, End | Literal["staged"]]:
        """What became of these edits, of those that are known still."""

    def end(self, repo: Repo, held: StagedEdit, how: End) -> None:
        """Drop this version of an edit and tell who waits for it, both or neither."""

    def refuse(self, repo: Repo, held: StagedEdit, error: HubError) -> None:
        """Drop an edit that the Hub will never accept, visibly, so that no sync stages it again by itself."""

    def next_commit(self, repo: Repo) -> float | None:
        """When the budget allows a commit; None where it does now."""

    def spend(self, repo: Repo) -> bool:
        """Count a commit that is about to be made; False where the budget does not allow it any more."""

    def known(self, repo: Repo) -> str:
        """What to give to `saw` as `after`."""

    def saw(self, repo: Repo, commit: str, *, after: str) -> None:
        """`commit` is in the repo, and newer than `after`: the commit known before the read, or its own parent."""

    def pause(self, repo: Repo, seconds: float) -> None:
        """The Hub wants no commits in this repo for so long."""


class Ledger:
    """Writes staged edits. It calls `passing` with each point that it passes, where tests end the process."""

    def __init__(self, hub: Writes, store: EditStore, passing: Callable[[str], None] = lambda _: None) -> None:
        self._hub = hub
        self._store = store
        self._passing = passing

    def write(self, repo: Repo) -> float | None:
        """Write the staged edits of `repo` in at most one commit; return when to continue (Unix time), if known.

        Edits that wait for others stay; the store marks the ledger of `repo` when those have ended.
        """
        if (when := self._store.next_commit(repo)) is not None:
            return when
        batch, more = self._batch(repo)
        done = self._write(repo, batch) if batch else True
        return (self._store.next_commit(repo) or 0.0) if more or not done else None

    def _batch(self, repo: Repo) -> tuple[list[StagedEdit], bool]:
        """The edits for the next commit, and whether more are ready than one commit should hold."""
        batch: list[StagedEdit] = []
        blocked: set[str] = set()  # paths of which an earlier edit has to wait
        size = 0
        for held in self._store.held(repo):
            edit = held.edit
            ready = self._ready(held)
            if ready == "void":
                self._store.end(repo, held, "void")
            elif ready == "wait" or edit.path in blocked:
                blocked.add(edit.path)
            elif len(batch) == BATCH_EDITS or (batch and size + _size(edit) > BATCH_BYTES):
                return batch, True
            else:
                batch.append(held)
                size += _size(edit)
        return batch, False

    def _ready(self, held: StagedEdit) -> Literal["go", "wait", "void"]:
        """Whether all edits before `held` have landed. An id that is no longer stored landed long ago."""
        if not held.edit.after:
            return "go"
        ends = set(self._store.ended(held.edit.after).values())
        return "void" if "void" in ends else "wait" if "staged" in ends else "go"

    def _write(self, repo: Repo, batch: list[StagedEdit]) -> bool:
        """Write `batch`, or as much of it as the Hub takes at once; whether all of it ended."""
        view, spent, tries, whole = _as_staged(batch), False, 0, True
        while batch:
            view = view or self._look(repo, batch)
            made = plan([held.edit for held in batch], view.files)
            batch = self._settle(repo, batch, made)
            if not made.changes:
                return whole
            if not spent and not self._store.spend(repo):
                return False
            spent = True
            self._passing(APPLIED)
            try:
                commit = self._commit(repo, made, view)
            except StaleParent:
                view, tries = None, tries + 1
                if tries == _TRIES:
                    raise
            except (BadRequest, TooLarge) as error:
                batch, whole = self._smaller(repo, batch, error), whole and len(batch) == 1
            else:
                self._passing(LANDED)
                self._store.saw(repo, commit.oid, after=view.commit)
                return self._confirm(repo, batch, made, commit) and whole
        return whole

    def _settle(self, repo: Repo, batch: list[StagedEdit], made: EditPlan) -> list[StagedEdit]:
        """End the edits that need no commit; return the rest."""
        for held in _of(batch, made.landed):
            self._store.end(repo, held, "landed")
        for held in _of(batch, made.void):
            self._store.end(repo, held, "void")
        return _of(batch, made.written)

    def _commit(self, repo: Repo, made: EditPlan, view: _FilesAtCommit) -> CreatedCommit:
        regular = {path for path, present in view.files.items() if present is not None and not present.large}
        title, description = message(made.written)
        try:
            return self._hub.commit(repo, made.changes, title, description, parent=view.commit, regular=regular)
        except RateLimited as error:
            self._store.pause(repo, error.seconds)
            raise

    def _smaller(self, repo: Repo, batch: list[StagedEdit], error: HubError) -> list[StagedEdit]:
        """The next batch after the Hub refused `batch` permanently: half of it, or nothing for a single edit."""
        if len(batch) > 1:
            return batch[: len(batch) // 2]
        self._store.refuse(repo, batch[0], error)
        return []

    def _confirm(self, repo: Repo, batch: list[StagedEdit], made: EditPlan, commit: CreatedCommit) -> bool:
        """Drop the edits that are in the repo at `commit`; return whether these are all of `batch`."""
        there = self._hub.paths_info(repo, list(made.contents), commit.oid)
        seen = [held for held in batch if _is_there(held.edit.path, there.get(held.edit.path), made)]
        for held in seen:
            self._store.end(repo, held, "landed")
            self._passing(SEEN)
        return len(seen) == len(batch)

    def _look(self, repo: Repo, batch: Sequence[StagedEdit]) -> _FilesAtCommit:
        """The files of `batch` at the branch's head: two calls, and one for each that changed since it was read."""
        known = self._store.known(repo)
        head = self._hub.head(repo)
        self._store.saw(repo, head, after=known)
        paths = list(dict.fromkeys(held.edit.path for held in batch))
        entries = self._hub.paths_info(repo, paths, head)
        needed = {held.edit.path: _base(held) for held in batch if isinstance(held.edit, FieldEdit)}
        files = {path: self._present(repo, head, entries.get(path), needed, path) for path in paths}
        return _FilesAtCommit(head, files)

    def _present(
        self, repo: Repo, head: str, entry: FileEntry | None, needed: Mapping[str, EditBase | None], path: str
    ) -> PresentFile | None:
        if entry is None:
            return None
        if path not in needed or entry.size > MAX_EDITED:
            return PresentFile(entry.oid)
        base = needed[path]
        if base is not None and is_content(entry.oid, base.data):
            return PresentFile(entry.oid, base.data)
        try:
            return PresentFile(entry.oid, self._hub.read_file(repo, path, head, max_bytes=MAX_EDITED).data)
        except EntryNotFound:
            return None


@dataclass(frozen=True)
class _FilesAtCommit:
    """Files as they are at `commit`."""

    commit: str
    files: Files


def _as_staged(batch: Sequence[StagedEdit]) -> _FilesAtCommit | None:
    """The view that all of `batch` was staged upon, if that is one commit. If it is an old one, ours will not land."""
    bases = [_base(held) for held in batch]
    if len({base.commit if base else "" for base in bases}) != 1 or bases[0] is None or not bases[0].commit:
        return None
    known = {held.edit.path: base for held, base in zip(batch, bases, strict=True) if base is not None}
    files = {path: PresentFile(base.oid or blob_id(base.data), base.data) for path, base in known.items()}
    return _FilesAtCommit(bases[0].commit, files)


def _is_there(path: str, entry: FileEntry | None, made: EditPlan) -> bool:
    wanted = made.contents[path]
    return entry is None if wanted is None else entry is not None and is_content(entry.oid, wanted)


def _base(held: StagedEdit) -> EditBase | None:
    return held.edit.base if isinstance(held.edit, FieldEdit) else None


def _of(batch: Sequence[StagedEdit], edits: Iterable[AnyEdit]) -> list[StagedEdit]:
    ids = {edit.id for edit in edits}
    return [held for held in batch if held.edit.id in ids]


def _size(edit: AnyEdit) -> int:
    return 1_000 if isinstance(edit, FieldEdit) else len(edit.data or b"")
