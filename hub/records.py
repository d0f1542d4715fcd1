"""What travels between the Hub and the rest of the house. Every field is as the Hub said it: strangers' words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hub.errors import BadRequest

RepoKind = Literal["model", "dataset", "space"]
ThreadKind = Literal["discussion", "pull_request"]
ThreadStatus = Literal["draft", "open", "closed", "merged"]

_REPO_ID = re.compile(r"[A-Za-z0-9_.-]{1,96}(/[A-Za-z0-9_.-]{1,96})?")


@dataclass(frozen=True, order=True)
class Repo:
    """One repo on the Hub. An id that cannot be one raises BadRequest, so that no stranger's text shapes an address."""

    kind: RepoKind
    id: str

    def __post_init__(self) -> None:
        parts = self.id.split("/")
        strange = any(
            part.startswith((".", "-")) or part.endswith((".", "-", ".git")) or ".." in part or "--" in part
            for part in parts
        )
        if strange or not _REPO_ID.fullmatch(self.id):
            raise BadRequest(f"{self.id[:120]!r} is not the name of a repo on the Hub; one reads owner/name.")

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
    """Who a token belongs to. `id` is what identifies; a name can change hands."""

    id: str
    name: str


@dataclass(frozen=True)
class File:
    """A file's content. `oid`: git blob id, sha256 where LFS keeps it. `commit`: the revision it was read at."""

    path: str
    data: bytes
    oid: str
    commit: str


@dataclass(frozen=True)
class FileEntry:
    """A file in a listing. `oid` as in `File`; `size` in bytes."""

    path: str
    oid: str
    size: int


@dataclass(frozen=True)
class ModelRepoFile:
    """One file of a model repo; `size` in bytes, None where the Hub does not know it; `sha256` where LFS keeps it."""

    name: str
    size: int | None
    sha256: str | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What the Hub says of a model at one revision. `parameters`: in its safetensors files, as the Hub counted them."""

    id: str
    sha: str
    private: bool
    gated: bool
    disabled: bool
    license: str | None
    tags: tuple[str, ...]
    pipeline_tag: str | None
    parameters: int | None
    parameters_by_dtype: Mapping[str, int]
    files: tuple[ModelRepoFile, ...]
    config: Mapping[str, Any]
    card: Mapping[str, Any]
    card_size: int | None
    created_at: datetime | None
    last_modified: datetime | None
    likes: int
    downloads: int


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
    """One comment of a thread; the first is the opening post. `text` is empty where it is hidden."""

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

    `conflicting_files` is empty where there is none; the Hub may know that there are some but not which: then it holds
    one "*". `target` (`refs/heads/main`), `head_commit`, `merge_commit` and `merged_by` are for pull requests.
    `merged_by`: id (None where the Hub leaves it out) and name of whoever merged it; None where the Hub does not say.
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


@dataclass(frozen=True)
class ThreadSummary:
    """A line in the list of threads. `comments` counts the opening post too, as the Hub does."""

    num: int
    title: str
    status: ThreadStatus
    is_pull_request: bool
    author_id: str | None
    author_name: str
    created_at: datetime
    comments: int


@dataclass(frozen=True)
class WriteFile:
    """Write `data` to `path`."""

    path: str
    data: bytes


@dataclass(frozen=True)
class DeleteFile:
    """Remove the file at `path`."""

    path: str


Change = WriteFile | DeleteFile


@dataclass(frozen=True)
class CreatedCommit:
    """A commit that landed. `pull_number` where it opened a pull request."""

    oid: str
    url: str
    pull_number: int | None = None


@dataclass(frozen=True, order=True)
class WatchedItem:
    """What a webhook watches: one repo, or everything of a user or organisation."""

    type: Literal["dataset", "model", "space", "user", "org"]
    name: str


@dataclass(frozen=True)
class Webhook:
    """A webhook of our account. `disabled` says why: None, "disabled", or the Hub's "suspended-after-failure"."""

    id: str
    url: str | None
    watched: frozenset[WatchedItem]
    domains: frozenset[str]
    disabled: str | None = field(default=None)


@dataclass(frozen=True)
class RateLimit:
    """What the Hub says is left of a quota: `remaining` of `quota` calls until `resets_in` seconds from that answer."""

    resource: str
    remaining: int
    resets_in: float
    quota: int | None
    at: float | None = None
    """When that answer came, by `time.monotonic`; None where nobody noted it."""
