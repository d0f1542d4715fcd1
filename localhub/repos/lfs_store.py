"""Large files: stored once by their SHA-256 outside git, named in git by pointer files.

A table says which repos hold an object: the hash alone gives no access to the file. Uploads and downloads use signed
addresses that carry no token, as with the Hub's storage.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, urlencode

from localhub.clock import Clock
from localhub.database import Database
from localhub.errors import BadRequest, Forbidden
from localhub.git.lfs_pointer import pointer_text
from localhub.ids import new_id

SCHEMA = """
CREATE TABLE IF NOT EXISTS lfs (
  repo TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, id TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (repo, sha256));
"""

OID = re.compile(r"[0-9a-f]{64}")
_ADDRESS_SECONDS = 3600.0
"""Lifetime of a signed address."""


class LfsUpload:
    """An upload in progress: written beside the store and hashed while it arrives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append the next bytes."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def close(self) -> str:
        """Close the file; return the SHA-256 of its bytes."""
        self._file.close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        """Delete the upload; does nothing once it is stored."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class LfsStore:
    """The objects of every repo."""

    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self._folder = folder
        self._database = database
        self._clock = clock
        self._key = secrets.token_bytes(32)
        database.ensure(SCHEMA)
        shutil.rmtree(folder / "incoming", ignore_errors=True)

    def path(self, sha256: str) -> Path:
        """The path of an object's file."""
        return self._folder / sha256[:2] / sha256[2:4] / sha256

    def size(self, repo: str, sha256: str) -> int | None:
        """The size of an object that the repo (by id) holds; None if it does not hold it."""
        row = self._database.row("SELECT size FROM lfs WHERE repo = ? AND sha256 = ?", (repo, sha256))
        return row["size"] if row else None

    def objects(self, repo: str) -> list[tuple[str, str, int, float]]:
        """`(sha256, id, size, seconds)` of every object of the repo, newest first."""
        rows = self._database.rows("SELECT * FROM lfs WHERE repo = ? ORDER BY at DESC, id DESC", (repo,))
        return [(row["sha256"], row["id"], row["size"], row["at"]) for row in rows]

    def link(self, repo: str, sha256: str, size: int) -> None:
        """Add a stored object to the repo."""
        with self._database.write() as db:
            row = (repo, sha256, size, new_id(), self._clock.seconds())
            db.execute("INSERT OR IGNORE INTO lfs VALUES (?,?,?,?,?)", row)

    def unlink(self, repo: str, sha256: str) -> None:
        """Remove an object from the repo; delete its bytes once no repo holds it."""
        with self._database.write() as db:
            db.execute("DELETE FROM lfs WHERE repo = ? AND sha256 = ?", (repo, sha256))
            held = db.execute("SELECT 1 FROM lfs WHERE sha256 = ?", (sha256,)).fetchone()
            if not held:
                self.path(sha256).unlink(missing_ok=True)

    def begin(self, name: str | None = None) -> LfsUpload:
        """Start an upload; `join` finds a part again by its `name`."""
        return LfsUpload(self._folder / "incoming" / (name or secrets.token_hex(16)))

    def keep(self, repo: str, upload: LfsUpload, sha256: str, size: int) -> None:
        """Store a complete upload; `BadRequest` unless its hash and size are the announced ones."""
        actual = upload.close()
        if actual != sha256 or upload.size != size:
            upload.abandon()
            raise BadRequest(f"The upload of {sha256} has {upload.size} bytes (announced: {size}) and hash {actual}.")
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        upload.path.replace(target)
        self.link(repo, sha256, size)

    def add(self, repo: str, data: bytes) -> bytes:
        """Store bytes as an object; return the pointer to it."""
        upload = self.begin()
        upload.write(data)
        sha256 = hashlib.sha256(data).hexdigest()
        self.keep(repo, upload, sha256, len(data))
        return pointer_text(sha256, len(data))

    def join(self, repo: str, parts: Iterable[str], sha256: str, size: int) -> None:
        """Store an object made of uploaded parts (by name, in order); `BadRequest` if one is missing."""
        whole = self.begin()
        try:
            for part in parts:
                path = self._folder / "incoming" / part
                if not path.is_file():
                    raise BadRequest(f"A part of {sha256} has not arrived: upload it again.")
                with path.open("rb") as file:
                    while chunk := file.read(1 << 20):
                        whole.write(chunk)
                path.unlink()
            self.keep(repo, whole, sha256, size)
        finally:
            whole.abandon()

    def address(self, verb: str, repo: str, sha256: str, **query: str) -> str:
        """A signed path for one verb on one object, valid for an hour. `query` is signed with it."""
        query["expires"] = str(int(time.time() + _ADDRESS_SECONDS))
        query["signature"] = self._sign(verb, repo, sha256, query)
        return f"/lfs-storage/{quote(repo)}/{sha256}?{urlencode(query)}"

    def check(self, verb: str, repo: str, sha256: str, query: dict[str, str]) -> None:
        """Raise `Forbidden` unless this Hub signed the address for this verb and it is still valid."""
        signature = query.pop("signature", "").encode("utf-8", "replace")
        valid = hmac.compare_digest(signature, self._sign(verb, repo, sha256, query).encode())
        if not valid or float(query["expires"]) < time.time():
            raise Forbidden("This storage address is not valid, or no longer: ask the Hub for a new one.")

    def _sign(self, verb: str, repo: str, sha256: str, query: dict[str, str]) -> str:
        text = "\n".join([verb, repo, sha256, urlencode(sorted(query.items()))])
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
