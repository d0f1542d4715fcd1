"""Likes: which users like which repos. The count of a repo may be larger, because a world file can set it."""

from __future__ import annotations

import sqlite3

from localhub.accounts.store import Account
from localhub.clock import Clock
from localhub.database import Database
from localhub.repos.records import Repo

SCHEMA = """
CREATE TABLE IF NOT EXISTS likes (repo TEXT NOT NULL, user TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (repo, user));
"""


class Likes:
    """The likes of all repos."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        database.ensure(SCHEMA)

    def add(self, repo: Repo, user: Account) -> None:
        """Add a like and count it; does nothing if the user likes the repo already."""
        with self._database.write() as db:
            row = (repo.oid, user.id, self._clock.seconds())
            added = db.execute("INSERT OR IGNORE INTO likes VALUES (?,?,?)", row).rowcount
            db.execute("UPDATE repos SET likes = likes + ? WHERE oid = ?", (added, repo.oid))

    def remove(self, repo: Repo, user: Account) -> None:
        """Remove the user's like, if there is one."""
        with self._database.write() as db:
            removed = db.execute("DELETE FROM likes WHERE repo = ? AND user = ?", (repo.oid, user.id)).rowcount
            db.execute("UPDATE repos SET likes = likes - ? WHERE oid = ?", (removed, repo.oid))

    def of_user(self, user: Account) -> list[sqlite3.Row]:
        """The user's likes, newest first: `repo` (its id) and `at` (seconds)."""
        return self._database.rows("SELECT * FROM likes WHERE user = ? ORDER BY at DESC, repo DESC", (user.id,))

    def of_repo(self, repo: Repo) -> list[sqlite3.Row]:
        """The likes of a repo, newest first: `user` (the account's id) and `at` (seconds)."""
        return self._database.rows("SELECT * FROM likes WHERE repo = ? ORDER BY at DESC, user DESC", (repo.oid,))

    def forget(self, repo: Repo) -> None:
        """Delete the likes of a repo that is deleted."""
        with self._database.write() as db:
            db.execute("DELETE FROM likes WHERE repo = ?", (repo.oid,))
