"""Discussions and pull requests as rows: one counter per repo, a timeline of events per thread.

This module checks no access and emits no events: `localhub.threads.service` does both.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from localhub.database import Database
from localhub.ids import new_id

ThreadStatus = Literal["draft", "open", "closed", "merged"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS thread_counters (repo_oid TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS threads (
  oid TEXT PRIMARY KEY, repo_oid TEXT NOT NULL, num INTEGER NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,
  is_pull INTEGER NOT NULL, author_id TEXT, created_at TEXT NOT NULL, num_comments INTEGER NOT NULL DEFAULT 0,
  pinned INTEGER NOT NULL DEFAULT 0, locked INTEGER NOT NULL DEFAULT 0,
  base TEXT, head_sha TEXT, merge_sha TEXT, ref_deleted INTEGER NOT NULL DEFAULT 0,
  UNIQUE (repo_oid, num));
CREATE TABLE IF NOT EXISTS thread_events (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, thread_oid TEXT NOT NULL, type TEXT NOT NULL,
  author_id TEXT, created_at TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS thread_events_by_thread ON thread_events (thread_oid, seq);
"""

_COLUMNS = frozenset({"title", "status", "pinned", "locked", "head_sha", "merge_sha", "ref_deleted", "num_comments"})


@dataclass(frozen=True)
class Thread:
    """A discussion, or a pull request with its `base` ref and the commit that its own ref points to."""

    oid: str
    repo_oid: str
    num: int
    title: str
    status: ThreadStatus
    is_pull: bool
    author_id: str | None
    created_at: str
    num_comments: int
    pinned: bool
    locked: bool
    base: str | None
    head_sha: str | None
    merge_sha: str | None
    ref_deleted: bool

    @property
    def ref(self) -> str:
        """The ref of a pull request's commits."""
        return f"refs/pr/{self.num}"

    @property
    def is_over(self) -> bool:
        """Whether it is closed or merged."""
        return self.status in ("closed", "merged")


@dataclass(frozen=True)
class ThreadEvent:
    """One entry of a timeline; the fields of `data` depend on its `type` (of a comment: raw, edited, hidden …)."""

    id: str
    thread_oid: str
    type: str
    author_id: str | None
    created_at: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ThreadFilter:
    """Conditions on the threads of a repo; a condition that is None holds for all."""

    is_pull: bool | None = None
    over: bool | None = None
    author_id: str | None = None
    search: str | None = None
    sort: str = "recently-created"

    def where(self, repo_oid: str) -> tuple[str, list[object]]:
        """The condition in SQL, with its arguments."""
        clauses, args = ["repo_oid = ?"], [repo_oid]
        if self.is_pull is not None:
            clauses.append("is_pull = 1" if self.is_pull else "is_pull = 0")
        if self.over is not None:
            clauses.append(f"status {'IN' if self.over else 'NOT IN'} ('closed', 'merged')")
        if self.author_id is not None:
            clauses.append("author_id = ?")
            args.append(self.author_id)
        if self.search:
            clauses.append("instr(lower(title), lower(?)) > 0")
            args.append(self.search)
        return " AND ".join(clauses), list(args)

    @property
    def order(self) -> str:
        """The order in SQL."""
        if self.sort == "pinned":
            return "pinned DESC, num DESC"
        # There are no reactions here, so threads with the most comments count as trending.
        return "num DESC" if self.sort == "recently-created" else "num_comments DESC, num DESC"


class ThreadStore:
    """Reads and writes of threads and their events; each write is a transaction, or joins the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(SCHEMA)

    def add(
        self, repo_oid: str, *, title: str, status: ThreadStatus, author_id: str | None, now: str, base: str | None
    ) -> Thread:
        """Add a thread under the next number of its repo; with a `base` it is a pull request."""
        oid = new_id()
        with self._database.write() as db:
            num = _next_number(db, repo_oid)
            db.execute(
                "INSERT INTO threads (oid, repo_oid, num, title, status, is_pull, author_id, created_at, base)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (oid, repo_oid, num, title, status, base is not None, author_id, now, base),
            )
            return self.by_oid(oid)

    def find(self, repo_oid: str, num: int) -> Thread | None:
        """The thread of that number, if there is one."""
        row = self._database.row("SELECT * FROM threads WHERE repo_oid = ? AND num = ?", (repo_oid, num))
        return _thread(row) if row else None

    def by_oid(self, oid: str) -> Thread:
        """The thread of that id; `KeyError` if there is none."""
        row = self._database.row("SELECT * FROM threads WHERE oid = ?", (oid,))
        if row is None:
            raise KeyError(oid)
        return _thread(row)

    def page(self, repo_oid: str, filter_: ThreadFilter, *, start: int, size: int) -> tuple[list[Thread], int]:
        """One page of the threads that match the filter, and how many match in all."""
        where, args = filter_.where(repo_oid)
        rows = self._database.rows(
            f"SELECT * FROM threads WHERE {where} ORDER BY {filter_.order} LIMIT ? OFFSET ?",  # noqa: S608
            [*args, size, start],
        )
        return [_thread(row) for row in rows], self.count(repo_oid, filter_)

    def latest(self, count: int) -> list[Thread]:
        """The newest threads of all repos."""
        return [
            _thread(row) for row in self._database.rows("SELECT * FROM threads ORDER BY rowid DESC LIMIT ?", (count,))
        ]

    def count(self, repo_oid: str, filter_: ThreadFilter) -> int:
        """How many threads match the filter."""
        where, args = filter_.where(repo_oid)
        row = self._database.row(f"SELECT count(*) AS n FROM threads WHERE {where}", args)  # noqa: S608
        return int(row["n"]) if row else 0

    def change(self, thread: Thread, **columns: object) -> Thread:
        """Set columns of a thread; return the changed thread. `ValueError` for an unknown column."""
        unknown = columns.keys() - _COLUMNS
        if unknown:
            raise ValueError(f"a thread has no column {', '.join(sorted(unknown))}")
        setters = ", ".join(f"{name} = ?" for name in columns)
        with self._database.write() as db:
            db.execute(f"UPDATE threads SET {setters} WHERE oid = ?", [*columns.values(), thread.oid])  # noqa: S608
            return self.by_oid(thread.oid)

    def remove(self, thread: Thread) -> None:
        """Delete a thread with its timeline."""
        with self._database.write() as db:
            db.execute("DELETE FROM thread_events WHERE thread_oid = ?", (thread.oid,))
            db.execute("DELETE FROM threads WHERE oid = ?", (thread.oid,))

    def remove_repo(self, repo_oid: str) -> None:
        """Delete all threads of a repo, and its counter."""
        with self._database.write() as db:
            db.execute(
                "DELETE FROM thread_events WHERE thread_oid IN (SELECT oid FROM threads WHERE repo_oid = ?)",
                (repo_oid,),
            )
            db.execute("DELETE FROM threads WHERE repo_oid = ?", (repo_oid,))
            db.execute("DELETE FROM thread_counters WHERE repo_oid = ?", (repo_oid,))

    def add_event(
        self, thread: Thread, type_: str, author_id: str | None, now: str, data: Mapping[str, Any]
    ) -> ThreadEvent:
        """Add an entry to the timeline; a comment also raises the thread's counter."""
        event = ThreadEvent(new_id(), thread.oid, type_, author_id, now, data)
        with self._database.write() as db:
            db.execute(
                "INSERT INTO thread_events (id, thread_oid, type, author_id, created_at, data)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (event.id, thread.oid, type_, author_id, now, json.dumps(data)),
            )
            if type_ == "comment":
                db.execute("UPDATE threads SET num_comments = num_comments + 1 WHERE oid = ?", (thread.oid,))
        return event

    def event(self, thread: Thread, event_id: str) -> ThreadEvent | None:
        """The entry of that id in the timeline, if there is one."""
        row = self._database.row(
            "SELECT * FROM thread_events WHERE id = ? AND thread_oid = ?", (event_id.lower(), thread.oid)
        )
        return _event(row) if row else None

    def change_event(self, event: ThreadEvent, data: Mapping[str, Any]) -> ThreadEvent:
        """Replace the data of an entry; return the changed entry."""
        with self._database.write() as db:
            db.execute("UPDATE thread_events SET data = ? WHERE id = ?", (json.dumps(data), event.id))
        return ThreadEvent(event.id, event.thread_oid, event.type, event.author_id, event.created_at, data)

    def events(self, thread: Thread) -> list[ThreadEvent]:
        """The entries of the timeline, oldest first."""
        rows = self._database.rows("SELECT * FROM thread_events WHERE thread_oid = ? ORDER BY seq", (thread.oid,))
        return [_event(row) for row in rows]


def _next_number(db: sqlite3.Connection, repo_oid: str) -> int:
    row = db.execute(
        "INSERT INTO thread_counters (repo_oid, last) VALUES (?, 1)"
        " ON CONFLICT (repo_oid) DO UPDATE SET last = last + 1 RETURNING last",
        (repo_oid,),
    ).fetchone()
    return int(row["last"])


def _thread(row: sqlite3.Row) -> Thread:
    flags = {name: bool(row[name]) for name in ("is_pull", "pinned", "locked", "ref_deleted")}
    return Thread(**{**dict(row), **flags})


def _event(row: sqlite3.Row) -> ThreadEvent:
    columns = dict(row)
    del columns["seq"]
    return ThreadEvent(**{**columns, "data": json.loads(columns["data"])})
