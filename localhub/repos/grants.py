"""Access requests of gated repos: pending, accepted or rejected."""

from __future__ import annotations

import sqlite3
from typing import Literal

from localhub.accounts.store import Account
from localhub.clock import Clock
from localhub.database import Database
from localhub.ids import new_id
from localhub.repos.records import Repo

Grant = Literal["pending", "accepted", "rejected"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (
  repo TEXT NOT NULL, user TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (repo, user));
"""


class Grants:
    """The access requests of every gated repo."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        database.ensure(SCHEMA)

    def status(self, repo: Repo, account: Account) -> Grant | None:
        """The status of the account's access request; None without one."""
        row = self._database.row("SELECT status FROM grants WHERE repo = ? AND user = ?", (repo.oid, account.id))
        return row["status"] if row else None

    def set(self, repo: Repo, account: Account, status: Grant) -> None:
        """Set the status of an account's access request; create the request if there is none."""
        with self._database.write() as db:
            db.execute(
                "INSERT INTO grants VALUES (?,?,?,?,?) ON CONFLICT (repo, user) DO UPDATE SET status = excluded.status",
                (repo.oid, account.id, new_id(), status, self._clock.seconds()),
            )

    def all(self, repo: Repo, status: Grant) -> list[sqlite3.Row]:
        """The access requests of that status: `id`, `user` (account id), `at` (seconds)."""
        return self._database.rows("SELECT * FROM grants WHERE repo = ? AND status = ? ORDER BY at", (repo.oid, status))

    def forget(self, repo: Repo) -> None:
        """Delete every access request of a repo."""
        with self._database.write() as db:
            db.execute("DELETE FROM grants WHERE repo = ?", (repo.oid,))
