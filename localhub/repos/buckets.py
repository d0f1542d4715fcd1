"""Buckets: storage beside the repos, without versions. Only their names and settings are kept: files go to Xet [?]."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from localhub.accounts.store import Account, Accounts, Caller
from localhub.clock import Clock, iso
from localhub.database import Database
from localhub.errors import Forbidden, HubError
from localhub.ids import new_id
from localhub.json_values import JsonObject

SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
  key TEXT PRIMARY KEY, id TEXT NOT NULL, owner_id TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  private INTEGER NOT NULL, created_at TEXT NOT NULL);
"""
WRITERS = ("admin", "write", "contributor")


@dataclass(frozen=True)
class Bucket:
    """One bucket."""

    id: str
    owner_id: str
    namespace: str
    name: str
    private: bool
    created_at: str

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def as_json(self) -> JsonObject:
        """The bucket as the API shows it."""
        return {
            "_id": self.id,
            "id": self.full_name,
            "private": self.private,
            "createdAt": self.created_at,
            "size": 0,
            "totalFiles": 0,
        }


class Buckets:
    """The buckets of every account."""

    def __init__(self, database: Database, accounts: Accounts, clock: Clock) -> None:
        self._database = database
        self._accounts = accounts
        self._clock = clock
        database.ensure(SCHEMA)

    def create(self, caller: Caller, namespace: str, name: str, *, private: bool) -> tuple[Bucket, bool]:
        """Create a bucket unless there is one of that name. Return it, and whether it is new. Raises Forbidden."""
        owner = self._accounts.by_name(namespace)
        if owner is None or not self._may_write(caller, owner):
            raise Forbidden(f'You don\'t have the rights to create a bucket under the namespace "{namespace}"')
        row = (f"{owner.name}/{name}".lower(), new_id(), owner.id, owner.name, name, int(private))
        with self._database.write() as db:
            added = db.execute(
                "INSERT OR IGNORE INTO buckets VALUES (?,?,?,?,?,?,?)", (*row, iso(self._clock.now()))
            ).rowcount
        return self.get(caller, f"{owner.name}/{name}"), bool(added)

    def get(self, caller: Caller, full_name: str) -> Bucket:
        """The bucket of that name, if the caller may see it. Raises HubError 404."""
        row = self._database.row("SELECT * FROM buckets WHERE key = ?", (full_name.lower(),))
        bucket = _bucket(row) if row is not None else None
        if bucket is None or (bucket.private and self._role(caller, bucket.owner_id) is None):
            raise HubError(404, "Bucket not found", "RepoNotFound")
        return bucket

    def visible(self, caller: Caller, namespace: str) -> list[Bucket]:
        """The buckets of an account that the caller may see, newest first."""
        rows = self._database.rows(
            "SELECT * FROM buckets WHERE lower(namespace) = lower(?) ORDER BY rowid DESC", (namespace,)
        )
        return [each for each in map(_bucket, rows) if not each.private or self._role(caller, each.owner_id)]

    def delete(self, caller: Caller, full_name: str) -> None:
        """Delete a bucket. Raises HubError 404, and Forbidden."""
        bucket = self.get(caller, full_name)
        owner = self._accounts.by_id(bucket.owner_id)
        if owner is None or not self._may_write(caller, owner):
            raise Forbidden(f"You may not delete {bucket.full_name}.")
        with self._database.write() as db:
            db.execute("DELETE FROM buckets WHERE id = ?", (bucket.id,))

    def _may_write(self, caller: Caller, owner: Account) -> bool:
        allows = caller.token is None or caller.token.role == "write" or caller.token.grants(owner, "repo.write")
        return allows and self._role(caller, owner.id) in WRITERS

    def _role(self, caller: Caller, owner_id: str) -> str | None:
        if caller.account is None:
            return None
        return "admin" if caller.account.id == owner_id else self._accounts.role(owner_id, caller.account.id)


def _bucket(row: sqlite3.Row) -> Bucket:
    return Bucket(row["id"], row["owner_id"], row["namespace"], row["name"], bool(row["private"]), row["created_at"])
