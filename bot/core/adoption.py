"""The files that a board had before Steward, by the record of adoption on the Hub; cached in Redis.

The record names the commit at which the board was adopted. The files of that commit are listed once, one call for each
thousand, and their blob ids stored; after Redis was lost, the same commit gives the same list.

Race closed: the bot dies while it lists files. They are gathered under another key, which replaces the old one in the
transaction that stores the commit.
Race closed: a thread or a request is synced after Redis was lost and before the requests repo. The first sync that
needs the record reads it.
Race closed: a record appears while the board is running. Requests that the index shows as active are marked, and their
syncs leave old files alone.
Race closed: the Hub answers once that there is no record. The bot believes it only if git has none either.
Accepted: an account that may write to the requests repo may write a record; it could write requests just as well.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from bot.core.committed_files import CommittedFiles
from bot.ledger.edits import blob_id
from hub.client import Hub
from hub.errors import RevisionNotFound
from hub.records import File, FileEntry, Repo
from leaderboard.adoption import FORMER_RECORD, MAX_RECORD, RECORD, AdoptionRecord, BadRecord, is_old, parse_record
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

TITLE = "Adopt the board"
"""Title of the commit that adds the record."""
_CHUNK = 1_000
_UNFINISHED_SECONDS = 3_600
"""Time until an unfinished listing expires."""


class RecordLost(Exception):
    """The commit of adoption is no longer in the repo; the message says what to do."""


class Adoption:
    """The record of one board's adoption."""

    def __init__(self, hub: Hub, redis: Redis, keys: Keys, requests: Repo, files: CommittedFiles) -> None:
        self._hub = hub
        self._files = files
        self._redis = redis
        self._keys = keys
        self._requests = requests

    def record(self) -> AdoptionRecord | None:
        """The record as it was last read; None if the board was not adopted, or the record was not read yet."""
        raw = self._redis.hget(self._keys.adoption, "record")
        return parse_record(raw if isinstance(raw, bytes) else raw.encode()) if raw is not None else None

    def is_read(self, oid: str | None) -> bool:
        """Whether the record with the git blob id `oid` (None: no record) is the one that was read."""
        known = self._redis.hget(self._keys.adoption, "oid")
        return known is not None and text(known) == (oid or "")

    def ensure(self) -> None:
        """Read the record if Redis does not have it: without it, no file would count as old. Raises as `read`.

        No call if it was read before, or found to be missing.
        """
        if self._redis.hget(self._keys.adoption, "oid") is None:
            self.read()

    def read(self) -> AdoptionRecord | None:
        """Read the record from the Hub, and list the old files.

        The caller must not have the mirror of the requests repo open. Raises BadRecord, RecordLost and as `find`.
        """
        return self._learn(self.find())

    def read_with(self, view: MirrorView, commit: str) -> AdoptionRecord | None:
        """`read` at `commit`, for a caller that has the mirror of the requests repo open and sees `commit` in it."""
        return self._learn(find_record(lambda path: self._files.read_with(view, path, commit, max_bytes=MAX_RECORD)))

    def find(self) -> File | None:
        """The file of the record at the head of main; None if git has none. Raises as `CommittedFiles.read`.

        Three calls; up to eight more if the Hub has no such file.
        """
        head = self._hub.head(self._requests)
        return find_record(lambda path: self._files.read(path, head, max_bytes=MAX_RECORD))

    def _learn(self, file: File | None) -> AdoptionRecord | None:
        if file is None:
            self.forget()
            return None
        record = parse_record(file.data, self._keys.board)
        if self._redis.hget(self._keys.adoption, "commit") != (record.commit(self._requests.id) or "").encode():
            self._list(record)
        fields: Fields = {"oid": git_id(file.oid, len(file.data)), "record": file.data}
        self._redis.hset(self._keys.adoption, mapping=fields)
        log.info("adopted", at=record.at, by=record.by.name, files=self.count())
        return record

    def forget(self) -> None:
        """Store that there is no record."""
        if self.record() is not None:
            log.warning("the record of adoption was removed: no file counts as old any more")
        with self._redis.pipeline() as pipe:
            pipe.delete(self._keys.adoption, self._keys.adopted_files)
            pipe.hset(self._keys.adoption, "oid", "")
            pipe.execute()

    def count(self) -> int:
        """The number of request files at the commit of adoption."""
        return int(self._redis.hlen(self._keys.adopted_files))

    def blobs(self, paths: Sequence[str]) -> list[str | None]:
        """The blob ids that the files at `paths` had at the commit of adoption. One round trip."""
        values = self._redis.hmget(self._keys.adopted_files, list(paths)) if paths else []
        return [bytes(raw).hex() if isinstance(raw, bytes) else None for raw in values]

    def is_old(self, file: File, request: Request | None) -> bool:
        """Whether a request file, as it was just read, is from before adoption, so that the bot leaves it alone."""
        return is_old(self.blobs([file.path])[0], git_id(file.oid, len(file.data)), request)

    def is_old_entry(self, entry: FileEntry) -> bool:
        """Whether a request file that is too large to read is from before adoption."""
        return is_old(self.blobs([entry.path])[0], git_id(entry.oid, entry.size), None)

    def _list(self, record: AdoptionRecord) -> None:
        commit = record.commit(self._requests.id)
        if commit is None:
            raise BadRecord(f"{RECORD} does not name a commit of {self._requests.id}, the repo that it is in.")
        gathered = f"{self._keys.adopted_files}:{secrets.token_hex(8)}"
        ours = (entry for entry in self._hub.each_file(self._requests, commit) if is_request_path(entry.path))
        try:
            while chunk := list(islice(ours, _CHUNK)):
                mapping: Fields = {entry.path: bytes.fromhex(git_id(entry.oid, entry.size)) for entry in chunk}
                with self._redis.pipeline() as pipe:
                    pipe.hset(gathered, mapping=mapping)
                    pipe.expire(gathered, _UNFINISHED_SECONDS)
                    pipe.execute()
        except RevisionNotFound as error:
            raise RecordLost(
                f"The board was adopted at {commit[:8]} of {self._requests.id}, which is no longer in its history, so "
                "the old files are unknown. Run `steward adopt --again` to treat all present files as old."
            ) from error
        with self._redis.pipeline() as pipe:
            pipe.delete(self._keys.adopted_files)
            if self._redis.exists(gathered):
                pipe.rename(gathered, self._keys.adopted_files)
                pipe.persist(self._keys.adopted_files)
            pipe.hset(self._keys.adoption, "commit", commit)
            pipe.execute()


def find_record(read: Callable[[str], File | None]) -> File | None:
    """The file of the record, also at the path of earlier versions; None if there is none.

    `read` reads a path, always at the same commit, so that a move of the record between two reads cannot hide it.
    """
    return read(RECORD) or read(FORMER_RECORD)


def git_id(oid: str, size: int) -> str:
    """The git blob id of a file with the id `oid` on the Hub, which is a sha256 if LFS stores the content."""
    if len(oid) == hashlib.sha1(usedforsecurity=False).digest_size * 2:
        return oid
    return blob_id(f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode())
