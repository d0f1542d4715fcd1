"""What the last sync of each request saw: the queue in memory, and what was said about it.

All of it can be read from the Hub again. It is kept so that a turn, a position or an unchanged comment costs no call.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wire.jobs import EvaluationJob
from wire.keys import Keys
from wire.redis import Fields, Redis, text

EntryState = Literal["new", "waiting", "queued", "running", "settled", "foreign"]


class Entry(BaseModel):
    """One request, as its last sync saw it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    state: EntryState = "new"
    model: str = ""
    sha: str | None = Field(default=None, description="commit at which it was accepted")
    number: int = Field(default=1, description="of the current attempt, from 1")
    attempt: str | None = None
    submitter: str = ""
    submitted: float = 0.0
    job: EvaluationJob | None = Field(
        default=None, description="the message for the worker, ready since it was accepted"
    )
    file_oid: str = Field(default="", description="blob id of the file that was judged")
    queued: float = Field(default=0.0, description="when the bot put it into RQ")
    thread: int | None = None
    comment: str | None = Field(default=None, description="id of the status comment")
    said: str = Field(default="", description="digest of what the status comment says")
    shown: int = Field(default=0, description="quarters of the progress that the status comment shows")


class Origin(BaseModel):
    """Who brought a request file, and how: only what the Hub itself reports."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    author: str = Field(default="", description="name of whoever made the commit or the pull request")
    front_end: bool = Field(default=False, description="whether that is a form of the board, which submits for others")
    pull: int | None = None

    def submitter(self, sender: str | None) -> str:
        """Whose submission it is: a form's file names its signed-in user; nobody else is believed about another."""
        return sender if self.front_end and sender else self.author


class Index:
    """The requests of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def get(self, path: str) -> Entry:
        """The entry at `path`; a new one where there is none."""
        raw = self._redis.hget(self._keys.requests, path)
        return (_entry(raw) if raw is not None else None) or Entry(path=path)

    def put(self, entry: Entry) -> None:
        """Remember `entry`."""
        self._redis.hset(self._keys.requests, entry.path, entry.model_dump_json(exclude_defaults=True))

    def drop(self, path: str) -> None:
        """The file at `path` is gone."""
        self._redis.hdel(self._keys.requests, path)
        self._redis.hdel(self._keys.origins, path)

    def all(self) -> list[Entry]:
        """Every entry, in one round trip."""
        entries = (_entry(raw) for raw in self._redis.hvals(self._keys.requests))
        return [entry for entry in entries if entry is not None]

    def origin(self, path: str) -> Origin:
        """Who brought the file at `path`; nobody in particular where that is not known any more."""
        raw = self._redis.hget(self._keys.origins, path)
        return Origin.model_validate_json(raw) if raw is not None else Origin()

    def put_origins(self, origins: Iterable[tuple[str, Origin]]) -> None:
        """Remember who brought the files at these paths."""
        mapping: Fields = {path: origin.model_dump_json(exclude_defaults=True) for path, origin in origins}
        if mapping:
            self._redis.hset(self._keys.origins, mapping=mapping)

    def head(self, repo: str) -> str | None:
        """The last commit of `repo` whose changes were marked dirty."""
        raw = self._redis.get(self._keys.head(repo))
        return None if raw is None else text(raw)

    def put_head(self, repo: str, commit: str) -> None:
        """Remember that everything up to `commit` of `repo` was marked dirty."""
        self._redis.set(self._keys.head(repo), commit)


def _entry(raw: bytes | str) -> Entry | None:
    try:
        return Entry.model_validate_json(raw)
    except ValidationError:
        return None  # written by another version: the next sync writes it anew
