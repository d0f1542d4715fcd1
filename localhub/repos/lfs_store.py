"""Large files: kept once by their SHA-256 outside git, named in git by pointer files.

Which repos hold an object is a table: somebody who knows a hash has not thereby the file. Uploads and downloads go by
signed addresses that carry no token, as with the Hub's storage.
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
_LIFETIME = 3600.0


class LfsUpload:
    """An object on its way in: written beside the store, hashed on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def close(self) -> str:
        """Ends it; the SHA-256 of what came."""
        self._file.close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        """Throws it away; nothing to do once it is stored."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class LfsStore:
    """The objects of every repo of the box."""

    def __init__(self, folder: Path, store: Database, clock: Clock) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock
        self._key = secrets.token_bytes(32)
        store.ensure(SCHEMA)
        shutil.rmtree(folder / "incoming", ignore_errors=True)

    def path(self, sha256: str) -> Path:
        """Where an object lies."""
        return self._folder / sha256[:2] / sha256[2:4] / sha256

    def size(self, repo: str, sha256: str) -> int | None:
        """The size of an object that the repo (by id) holds; None where it does not."""
        row = self._store.row("SELECT size FROM lfs WHERE repo = ? AND sha256 = ?", (repo, sha256))
        return row["size"] if row else None

    def objects(self, repo: str) -> list[tuple[str, str, int, float]]:
        """`(sha256, id, size, seconds)` of every object of the repo, the newest first."""
        rows = self._store.rows("SELECT * FROM lfs WHERE repo = ? ORDER BY at DESC, id DESC", (repo,))
        return [(row["sha256"], row["id"], row["size"], row["at"]) for row in rows]

    def link(self, repo: str, sha256: str, size: int) -> None:
        """Lets the repo hold an object that is stored."""
        with self._store.write() as db:
            row = (repo, sha256, size, new_id(), self._clock.seconds())
            db.execute("INSERT OR IGNORE INTO lfs VALUES (?,?,?,?,?)", row)

    def unlink(self, repo: str, sha256: str) -> None:
        """Takes an object from the repo; the bytes go when no repo holds them."""
        with self._store.write() as db:
            db.execute("DELETE FROM lfs WHERE repo = ? AND sha256 = ?", (repo, sha256))
            held = db.execute("SELECT 1 FROM lfs WHERE sha256 = ?", (sha256,)).fetchone()
            if not held:
                self.path(sha256).unlink(missing_ok=True)

    def begin(self, name: str | None = None) -> LfsUpload:
        """A place for bytes to come; `name` lets a part be found again."""
        return LfsUpload(self._folder / "incoming" / (name or secrets.token_hex(16)))

    def keep(self, repo: str, upload: LfsUpload, sha256: str, size: int) -> None:
        """Stores a complete upload; `BadRequest` unless it is what was announced."""
        found = upload.close()
        if found != sha256 or upload.size != size:
            upload.abandon()
            raise BadRequest(f"The upload of {sha256} has {upload.size} bytes (announced: {size}) and hash {found}.")
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        upload.path.replace(target)
        self.link(repo, sha256, size)

    def add(self, repo: str, data: bytes) -> bytes:
        """Stores bytes at once; the pointer to them."""
        upload = self.begin()
        upload.write(data)
        sha256 = hashlib.sha256(data).hexdigest()
        self.keep(repo, upload, sha256, len(data))
        return pointer_text(sha256, len(data))

    def join(self, repo: str, parts: Iterable[str], sha256: str, size: int) -> None:
        """Stores an object of parts that have come (by name, in order); `BadRequest` where one is missing."""
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
        """A signed path for one verb on one object, good for an hour. `query` is signed with it."""
        query["expires"] = str(int(time.time() + _LIFETIME))
        query["signature"] = self._sign(verb, repo, sha256, query)
        return f"/lfs-storage/{quote(repo)}/{sha256}?{urlencode(query)}"

    def check(self, verb: str, repo: str, sha256: str, query: dict[str, str]) -> None:
        """`Forbidden` unless the address was made here for this verb and is still good."""
        given = query.pop("signature", "").encode("utf-8", "replace")
        right = hmac.compare_digest(given, self._sign(verb, repo, sha256, query).encode())
        if not right or float(query["expires"]) < time.time():
            raise Forbidden("This storage address is not valid, or no longer: ask the Hub for a new one.")

    def _sign(self, verb: str, repo: str, sha256: str, query: dict[str, str]) -> str:
        text = "\n".join([verb, repo, sha256, urlencode(sorted(query.items()))])
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
