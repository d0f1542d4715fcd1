"""The branches of a details repo that hold the answers of attempts which are not finished.

    steward-answers-{request}-{evaluation}-{writer}     a branch with a history of its own
        {copy}/{number}.bin                             the next bytes of the journal of one copy of the model

`request` is the first 12 digits of the ids of a request's attempts, `evaluation` a digest of what the answers depend on
besides the machine, `writer` a random name of the machine that uploads. A worker adds to its own branch, reads all
branches of its evaluation, and removes those of its request when it has published results, or when the model cannot be
evaluated. Its machine remembers the branches that it made (`workers.jobs.made_branches`), and removes those that still
exist after a week, in any repo.

A branch is untrusted: its commits must be by the worker's own account, as the Hub reports it, its bytes are limited,
and the child checks its answers (`workers.evaluation.shared_prefix.portable_answers`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hub.client import Hub
from hub.errors import BadRequest, Denied, HubError, NotFound
from hub.records import Change, DeleteFile, FileEntry, LogEntry, Repo, WriteFile
from hub.retries import Retries
from redis_state.clock import now
from workers.common.hub_access import HubAccess
from workers.publication.publish import create_details_repo

PREFIX = "steward-answers-"
MAX_AGE_SECONDS = 7 * 86_400
"""A branch whose last commit is older than this is removed instead of read."""
MAX_BRANCHES, MAX_COMMITS, MAX_FILES = 8, 200, 64
"""Limits of one fetch: branches, commits of each branch, and files that are written."""
MAX_REMOVED = 100
PARTS = 64
"""Uploads to a branch after which the next one replaces all parts by one."""
FETCH_SECONDS = 60.0
"""Seconds after which no further file is read."""
TAIL_BYTES = 64
"""Last uploaded bytes that are remembered, to recognise a journal that the child cut since."""
_PART = re.compile(r"^(\d{1,2})/(\d{5})\.bin$")


@dataclass(frozen=True)
class BranchName:
    """The parts of the name of a branch."""

    request: str
    evaluation: str
    writer: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.request}-{self.evaluation}-{self.writer}"

    def is_of_evaluation(self, branch: str) -> bool:
        """Whether a branch holds answers of this evaluation of this request."""
        return branch.startswith(f"{PREFIX}{self.request}-{self.evaluation}-")

    def is_of_request(self, branch: str) -> bool:
        """Whether a branch holds answers of this request."""
        return branch.startswith(f"{PREFIX}{self.request}-")


@dataclass
class FetchedAnswers:
    """The result of a fetch: files, their bytes, and sentences for the attempt's log about branches that are not used.

    No more than `max_bytes` are read, and none after the `deadline` on the monotonic clock.
    """

    max_bytes: int
    deadline: float
    files: list[Path] = field(default_factory=list)
    size: int = 0
    problems: list[str] = field(default_factory=list)


class AnswerBranches:
    """The branches of one request in `repo`, which an upload creates if there is none.

    `is_private`: whether the model is private. `is_gated`: whether `repo` is for answers to restricted benchmarks.
    """

    def __init__(self, hub: HubAccess, repo: str, name: BranchName, *, is_private: bool, is_gated: bool) -> None:
        self.hub = hub
        self.repo = Repo("dataset", repo)
        self.name = name
        self.is_private = is_private
        self.is_gated = is_gated
        self._head = ""
        self._number = 0
        self._uploaded: list[_Uploaded] = []

    def fetch(self, folder: Path, max_bytes: int) -> FetchedAnswers:
        """Read the branches of this evaluation into files `offered-…` in `folder`. Never raises HubError."""
        fetched = FetchedAnswers(max_bytes, time.monotonic() + FETCH_SECONDS)
        try:
            with self._client() as client:
                branches = self._branches(client, self.name.is_of_evaluation)
                for branch, head in list(branches)[:MAX_BRANCHES]:
                    self._fetch_branch(client, branch, head, folder, fetched)
        except TimeoutError:
            fetched.problems.append("there was no time to read all answers of other machines")
        except NotFound:
            fetched.problems.append("there is no details repo that this worker may read, so no answers to go on with")
        except HubError as error:
            fetched.problems.append(f"answers of other machines cannot be read: {error}")
        return fetched

    def _fetch_branch(self, client: Hub, branch: str, head: str, folder: Path, fetched: FetchedAnswers) -> None:
        """Read one branch at the commit `head`. Raises TimeoutError, HubError, OSError; files that were read stay."""
        history = client.commits(self.repo, head, limit=MAX_COMMITS + 1)
        if history and _is_old(history[0]):
            client.delete_branch(self.repo, branch)
            return
        parts = _parts(client.list_files(self.repo, head))
        if problem := self._problem(
            client, history, sum(part.size for part in parts), fetched.max_bytes - fetched.size
        ):
            fetched.problems.append(f"the answers in {branch} are not used: {problem}")
            return
        for copy in sorted({_copy(part) for part in parts}):
            if len(fetched.files) == MAX_FILES:
                return
            file = folder / f"offered-{len(fetched.files):02d}"
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                fetched.files.append(file)
                for part in (part for part in parts if _copy(part) == copy):
                    if time.monotonic() > fetched.deadline:
                        raise TimeoutError
                    target.write(client.read_file(self.repo, part.path, head, max_bytes=max(1, part.size)).data)
                    fetched.size += part.size

    def _problem(self, client: Hub, history: Sequence[LogEntry], size: int, max_bytes: int) -> str:
        """Why a branch is not used, or ""."""
        if not 0 < len(history) <= MAX_COMMITS:
            return f"it has more than {MAX_COMMITS} commits, or none"
        if size > max_bytes:
            return f"it has {size:,} bytes, and may have {max_bytes:,}"
        me = client.me().name
        *newer, first = history
        others = {author for entry in newer for author in entry.authors or ("an unknown account",) if author != me}
        if first.authors != (me,) and _parts(client.list_files(self.repo, first.oid)):
            others.update(first.authors)
        return f"it was committed by {', '.join(sorted(others))[:200]}, and not by {me}" if others else ""

    def upload(self, journals: Sequence[Path], max_bytes: int) -> int:
        """Add the bytes that each journal has got since the last upload; return their number. Raises HubError."""
        uploads = self._uploaded or [_Uploaded() for _ in journals]
        start_over = (
            not self._head
            or self._number >= PARTS
            or not all(upload.is_beginning_of(file) for upload, file in zip(uploads, journals, strict=True))
        )
        if start_over:
            uploads = [_Uploaded() for _ in journals]
        parts = [_read(file, upload.size, max_bytes) for upload, file in zip(uploads, journals, strict=True)]
        if not any(parts):
            return 0
        self._number = 0 if start_over else self._number
        head, self._head = self._head, ""  # after an error the next upload starts over
        with self._client() as client:
            changes: list[Change] = []
            if not head:
                self._create(client)
                head = client.head(self.repo, str(self.name))
            if start_over:
                changes += [DeleteFile(part.path) for part in _parts(client.list_files(self.repo, head))]
            written = [WriteFile(f"{copy}/{self._number:05d}.bin", part) for copy, part in enumerate(parts) if part]
            replaced = {change.path for change in written}
            changes = [*written, *(change for change in changes if change.path not in replaced)]
            commit = client.commit(
                self.repo, changes, "Add answers of an attempt that is not finished", branch=str(self.name), parent=head
            )
        self._head, self._number = commit.oid, self._number + 1
        self._uploaded = [upload.with_part(part) for upload, part in zip(uploads, parts, strict=True)]
        return sum(map(len, parts))

    def _create(self, client: Hub) -> None:
        create_details_repo(client, self.repo.id, private=self.is_private)
        if self.is_gated:
            client.gate(self.repo)
        client.create_branch(self.repo, str(self.name))

    def remove(self) -> int:
        """Delete the branches of this request; return their number. Raises HubError."""
        with self._client() as client:
            try:
                branches = [branch for branch, _ in self._branches(client, self.name.is_of_request)][:MAX_REMOVED]
            except NotFound:
                return 0  # nothing was uploaded: there is no repo
            for branch in branches:
                client.delete_branch(self.repo, branch)
        return len(branches)

    def remove_abandoned(self, branches: Mapping[str, str]) -> list[str]:
        """Delete these branches (branch → its repo); return those that are gone. Raises HubError."""
        gone = []
        with self._client() as client:
            for branch, repo in branches.items():
                # The repo is gone too, this worker may not write to it any more, or a full disk cut off its note.
                with suppress(NotFound, Denied, BadRequest):
                    client.delete_branch(Repo("dataset", repo), branch)
                gone.append(branch)
        return gone

    def _client(self) -> Hub:
        return Hub(self.hub.endpoint, self.hub.token, timeout=10.0, retries=Retries(attempts=3, timeout=20.0))

    def _branches(self, client: Hub, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        for ref, head in sorted(client.heads(self.repo).items()):
            branch = ref.removeprefix("refs/heads/")
            if branch != ref and is_wanted(branch):
                yield branch, head


@dataclass(frozen=True)
class _Uploaded:
    """The part of one journal that was uploaded: the number of bytes, and the last of them."""

    size: int = 0
    tail: bytes = b""

    def is_beginning_of(self, file: Path) -> bool:
        """Whether the journal still begins with the uploaded bytes: the child may have cut it."""
        start = self.size - len(self.tail)
        return _read(file, start, self.size) == self.tail

    def with_part(self, part: bytes) -> _Uploaded:
        """The uploaded part after one more upload."""
        return _Uploaded(self.size + len(part), (self.tail + part)[-TAIL_BYTES:])


def _read(file: Path, start: int, end: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(max(0, end - start))


def _parts(entries: Sequence[FileEntry]) -> list[FileEntry]:
    """The parts of journals among these files, those of each copy in order."""
    return sorted((entry for entry in entries if _PART.fullmatch(entry.path)), key=lambda entry: entry.path)


def _copy(part: FileEntry) -> str:
    return part.path.partition("/")[0]


def _is_old(entry: LogEntry) -> bool:
    return entry.date is not None and now() - entry.date.timestamp() > MAX_AGE_SECONDS
