"""What of a board is from before Steward: found out from the record of adoption on the Hub, and kept in Redis.

The record names the commit at which the board was adopted. The files of that commit are listed once, a call for each
thousand, and their blob ids kept; after Redis was lost they are listed again from the same commit, and come out the
same. Nothing about them is decided twice.

Race closed: dying while the files are listed. They are gathered under another key, which takes the place of the last
one in the same transaction that notes the commit.
Race closed: a thread, or a request, is looked at after Redis was lost and before the requests repo. Whoever is first
reads the record.
Race closed: a record that appears while the board is running. What the index had taken for work is marked, and left in
peace by its sync.
Accepted: whoever may write to the requests repo may write a record; they may as well write the requests.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import structlog

from bot.ledger.edits import blob_id
from hub.client import Hub
from hub.errors import RevisionNotFound
from hub.records import File, FileEntry, Repo
from leaderboard.adoption import FORMER_RECORD, MAX_RECORD, RECORD, AdoptionRecord, BadRecord, is_old, parse_record
from leaderboard.requests import Request, is_request_path
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

log = structlog.get_logger()

TITLE = "Adopt the board"
"""Title of the commit that adds the record."""
_CHUNK = 1_000
_HALF_DONE = 3_600
"""Seconds until a listing is forgotten that nobody finished."""


class RecordLost(Exception):
    """The commit of adoption is not in the repo any more; the message says what to do."""


class Adoption:
    """The record of one board's adoption."""

    def __init__(self, hub: Hub, redis: Redis, keys: Keys, requests: Repo) -> None:
        self._hub = hub
        self._redis = redis
        self._keys = keys
        self._requests = requests

    def record(self) -> AdoptionRecord | None:
        """The record as it was last read; None where the board was not adopted, or nobody has looked yet."""
        raw = self._redis.hget(self._keys.adoption, "record")
        return parse_record(raw if isinstance(raw, bytes) else raw.encode()) if raw is not None else None

    def is_read(self, oid: str | None) -> bool:
        """Whether the record whose git blob id is `oid` (None: that there is none) is the one that is known here."""
        known = self._redis.hget(self._keys.adoption, "oid")
        return known is not None and text(known) == (oid or "")

    def ensure(self) -> None:
        """Read the record, unless somebody did since Redis was last empty: else nothing would be old. Raises as `read`.

        No call where it was read, or found not to be there.
        """
        if self._redis.hget(self._keys.adoption, "oid") is None:
            self.read()

    def read(self) -> AdoptionRecord | None:
        """Read the record from the Hub, and with it which files are old. Raises BadRecord, RecordLost and HubError."""
        file = find_record(self._hub, self._requests)
        if file is None:
            self.forget()
            return None
        record = parse_record(file.data)
        if self._redis.hget(self._keys.adoption, "commit") != (record.commit(self._requests.id) or "").encode():
            self._list(record)
        fields: Fields = {"oid": git_id(file.oid, len(file.data)), "record": file.data}
        self._redis.hset(self._keys.adoption, mapping=fields)
        log.info("adopted", at=record.at, by=record.by.name, files=self.count())
        return record

    def forget(self) -> None:
        """There is no record."""
        if self.record() is not None:
            log.warning("the record of adoption was removed: nothing is left alone any more")
        with self._redis.pipeline() as pipe:
            pipe.delete(self._keys.adoption, self._keys.adopted_files)
            pipe.hset(self._keys.adoption, "oid", "")
            pipe.execute()

    def count(self) -> int:
        """How many request files there were at the time."""
        return int(self._redis.hlen(self._keys.adopted_files))

    def blobs(self, paths: Sequence[str]) -> list[str | None]:
        """The blob ids that the files at `paths` had at the commit of adoption. One round trip."""
        found = self._redis.hmget(self._keys.adopted_files, list(paths)) if paths else []
        return [bytes(raw).hex() if isinstance(raw, bytes) else None for raw in found]

    def is_old(self, file: File, request: Request | None) -> bool:
        """Whether a request file, as it was just read, is from before adoption and to be left in peace."""
        return is_old(self.blobs([file.path])[0], git_id(file.oid, len(file.data)), request)

    def is_old_entry(self, entry: FileEntry) -> bool:
        """The same for a file that is too large to read."""
        return is_old(self.blobs([entry.path])[0], git_id(entry.oid, entry.size), None)

    def _list(self, record: AdoptionRecord) -> None:
        commit = record.commit(self._requests.id)
        if commit is None:
            raise BadRecord(f"{RECORD} says nothing of {self._requests.id}, though that is where it lies.")
        try:
            entries = self._hub.list_files(self._requests, commit)
        except RevisionNotFound as error:
            raise RecordLost(
                f"The board was adopted at {commit[:8]} of {self._requests.id}, which is not in its history any more: "
                "nobody can tell what is old. Run `steward adopt --again` to take all that is there now for old."
            ) from error
        gathered = f"{self._keys.adopted_files}:{secrets.token_hex(8)}"
        ours = [entry for entry in entries if is_request_path(entry.path)]
        for start in range(0, len(ours), _CHUNK):
            chunk = ours[start : start + _CHUNK]
            mapping: Fields = {entry.path: bytes.fromhex(git_id(entry.oid, entry.size)) for entry in chunk}
            with self._redis.pipeline() as pipe:
                pipe.hset(gathered, mapping=mapping)
                pipe.expire(gathered, _HALF_DONE)
                pipe.execute()
        with self._redis.pipeline() as pipe:
            pipe.delete(self._keys.adopted_files)
            if self._redis.exists(gathered):
                pipe.rename(gathered, self._keys.adopted_files)
                pipe.persist(self._keys.adopted_files)
            pipe.hset(self._keys.adoption, "commit", commit)
            pipe.execute()


def find_record(hub: Hub, requests: Repo) -> File | None:
    """The file of the record, also at the path of earlier versions; None where there is none. Two calls.

    Race closed: the record is moved between the two calls. It is looked for at its former path first.
    """
    former = hub.find_file(requests, FORMER_RECORD, max_bytes=MAX_RECORD)
    return hub.find_file(requests, RECORD, max_bytes=MAX_RECORD) or former


def git_id(oid: str, size: int) -> str:
    """The blob id of a file in git itself, of which the Hub tells the sha256 of its content where LFS keeps that."""
    if len(oid) == hashlib.sha1(usedforsecurity=False).digest_size * 2:
        return oid
    return blob_id(f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode())
