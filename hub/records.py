"""The records that the Hub client returns. All texts in them are untrusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from hub.errors import BadRequest

RepoKind = Literal["model", "dataset", "space"]
ThreadKind = Literal["discussion", "pull_request"]
ThreadStatus = Literal["draft", "open", "closed", "merged"]

_REPO_ID = re.compile(r"[A-Za-z0-9_.-]{1,96}(/[A-Za-z0-9_.-]{1,96})?")


@dataclass(frozen=True, order=True)
class Repo:
    """One repo on the Hub. An invalid id raises BadRequest, so that untrusted text cannot change a URL."""

    kind: RepoKind
    id: str

    def __post_init__(self) -> None:
        parts = self.id.split("/")
        is_invalid = any(
            part.startswith((".", "-")) or part.endswith((".", "-", ".git")) or ".." in part or "--" in part
            for part in parts
        )
        if is_invalid or not _REPO_ID.fullmatch(self.id):
            raise BadRequest(f"{self.id[:120]!r} is no name of a repo on the Hub, which has the form owner/name.")

    @property
    def api(self) -> str:
        """`/api/datasets/owner/name`"""
        return f"/api/{self.kind}s/{self.id}"

    @property
    def web(self) -> str:
        """`/datasets/owner/name`; models have no prefix."""
        return f"/{self.id}" if self.kind == "model" else f"/{self.kind}s/{self.id}"


@dataclass(frozen=True)
class Account:
    """An account on the Hub; `id` identifies it, its name can change. `created` in seconds since the epoch, or 0."""

    id: str
    name: str
    created: float = 0.0


@dataclass(frozen=True)
class File:
    """A file's content. `oid`: git blob id, or sha256 of an LFS file. `commit`: the commit at which it was read."""

    path: str
    data: bytes
    oid: str
    commit: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file in a listing. `oid` as in `File`; `size` in bytes."""

    path: str
    oid: str
    size: int


@dataclass(frozen=True)
class ModelRepoFile:
    """One file of a model repo; `size` in bytes, None if unknown; `sha256` of an LFS file."""

    name: str
    size: int | None
    sha256: str | None = None


@dataclass(frozen=True)
class ModelInfo:
    """The Hub's facts about a model at one revision. `parameters`: the Hub's count in its safetensors files."""

    id: str
    sha: str
    private: bool
    gated: bool
    disabled: bool
    license: str | None
    tags: tuple[str, ...]
    parameters: int | None
    parameters_by_dtype: Mapping[str, int]
    files: tuple[ModelRepoFile, ...]
    config: Mapping[str, Any]
    card: Mapping[str, Any]
    created_at: datetime | None
    likes: int


@dataclass(frozen=True)
class PublishedScore:
    """A score in a model's repo: the benchmark's dataset and task, the file, and the open pull request that brings it
    (None: it is on main)."""

    dataset: str
    task_id: str
    path: str
    pull: int | None


@dataclass(frozen=True)
class LogEntry:
    """One commit of a repo's history. `title` is the first line, `message` the rest."""

    oid: str
    title: str
    message: str
    authors: tuple[str, ...]
    date: datetime | None


@dataclass(frozen=True)
class Comment:
    """One comment of a thread; the first is the opening post. `text` is empty if it is hidden."""

    id: str
    author_id: str | None
    author_name: str
    created_at: datetime
    text: str
    hidden: bool
    edited: bool


@dataclass(frozen=True)
class Thread:
    """A discussion or pull request.

    `conflicting_files` holds one "*" if the Hub reports conflicts without naming the files. `target`
    (`refs/heads/main`), `head_commit`, `merge_commit` and `merged_by` are for pull requests. `merged_by`: id (None if
    the Hub omits it) and name of the account that merged it; None if the Hub does not report it. `closed_by`: the same
    for the account that closed the thread last.
    """

    num: int
    title: str
    status: ThreadStatus
    is_pull_request: bool
    author_id: str | None
    author_name: str
    created_at: datetime
    locked: bool
    comments: tuple[Comment, ...]
    target: str | None
    head_commit: str | None
    merge_commit: str | None
    conflicting_files: tuple[str, ...]
    merged_by: tuple[str | None, str] | None = None
    closed_by: tuple[str | None, str] | None = None


@dataclass(frozen=True)
class ThreadSummary:
    """An entry in the list of threads. `comments` includes the opening post, as on the Hub."""

    num: int
    title: str
    status: ThreadStatus
    author_id: str | None
    author_name: str
    created_at: datetime
    comments: int


@dataclass(frozen=True)
class WriteFile:
    """Write `data` to `path`."""

    path: str
    data: bytes

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)


@dataclass(frozen=True)
class WriteLocalFile:
    """Write the content of the local file `source` to `path`. `data` reads it at each access."""

    path: str
    source: Path

    @property
    def data(self) -> bytes:
        """The content, read from the disk."""
        return self.source.read_bytes()

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.source.stat().st_size


@dataclass(frozen=True)
class DeleteFile:
    """Remove the file at `path`."""

    path: str


Put = WriteFile | WriteLocalFile
Change = Put | DeleteFile


@dataclass(frozen=True)
class CreatedCommit:
    """A commit that was created. `pull_number` is set if it opened a pull request."""

    oid: str
    url: str
    pull_number: int | None = None


@dataclass(frozen=True, order=True)
class WatchedItem:
    """One watched item of a webhook: a repo, or everything of a user or organisation.

    Two items are equal if their names differ in case alone: the Hub takes any case, and lists its own.
    """

    type: Literal["dataset", "model", "space", "user", "org"]
    name: str = field(compare=False)
    _lower_name: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep the name in lower case for comparisons."""
        object.__setattr__(self, "_lower_name", self.name.lower())


@dataclass(frozen=True)
class Webhook:
    """A webhook of the account. `disabled` is None, "disabled", or the Hub's "suspended-after-failure"."""

    id: str
    url: str | None
    watched: frozenset[WatchedItem]
    domains: frozenset[str]
    disabled: str | None = field(default=None)


@dataclass(frozen=True)
class RateLimit:
    """The state of a quota: `remaining` of `quota` calls until `resets_in` seconds after the response."""

    resource: str
    remaining: int
    resets_in: float
    quota: int | None
    at: float | None = None
    """The time of the response, by `time.monotonic`; None if unknown."""


@dataclass(frozen=True)
class HubJob:
    """A Job: its stage as the Hub names it, and times in seconds since the epoch, 0 while unknown."""

    id: str
    stage: str
    labels: Mapping[str, str]
    created: float
    started: float
    ended: float
