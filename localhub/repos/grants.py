"""Who was let into a gated repo, asks to be, or was turned away."""

from __future__ import annotations

import sqlite3
from typing import Literal

from localhub.accounts.store import Account
from localhub.clock import Clock
from localhub.database import Database
from localhub.ids import new_id
from localhub.repos.store import Repo

Grant = Literal["pending", "accepted", "rejected"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (
  repo TEXT NOT NULL, user TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (repo, user));
"""


class Grants:
    """The requests for access of every gated repo."""

    def __init__(self, store: Database, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        store.ensure(SCHEMA)

    def of(self, repo: Repo, account: Account) -> Grant | None:
        """How the account's request for access to a gated repo stands."""
        row = self._store.row("SELECT status FROM grants WHERE repo = ? AND user = ?", (repo.oid, account.id))
        return row["status"] if row else None

    def set(self, repo: Repo, account: Account, status: Grant) -> None:
        """Lets an account in, asks for it, or turns it away."""
        with self._store.write() as db:
            db.execute(
                "INSERT INTO grants VALUES (?,?,?,?,?) ON CONFLICT (repo, user) DO UPDATE SET status = excluded.status",
                (repo.oid, account.id, new_id(), status, self._clock.seconds()),
            )

    def all(self, repo: Repo, status: Grant) -> list[sqlite3.Row]:
        """Requests for access that stand so: `id`, `user` (account id), `at` (seconds)."""
        return self._store.rows("SELECT * FROM grants WHERE repo = ? AND status = ? ORDER BY at", (repo.oid, status))

    def forget(self, repo: Repo) -> None:
        """Drops every request for a repo that is gone."""
        with self._store.write() as db:
            db.execute("DELETE FROM grants WHERE repo = ?", (repo.oid,))
