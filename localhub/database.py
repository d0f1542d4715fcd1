"""One SQLite file that holds all data outside git.

Readers have a connection per thread and never wait (WAL). Writers take turns under one lock of this process, the only
process on the file. A committed transaction survives the death of the process; with `synchronous=NORMAL` a power cut
can lose the last ones, which a Hub for one machine can afford.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

Args = Sequence[object]


class _Opened:
    """A thread's connection, closed when the thread ends: thread pools end idle threads, and each has a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.close = weakref.finalize(self, connection.close)


class Database:
    """The database of one Hub."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._local = threading.local()
        self._opened: weakref.WeakSet[_Opened] = weakref.WeakSet()
        self._opening = threading.Lock()
        self._own = self._connect()
        self._writer = self._own.connection
        self._writing_thread: int | None = None
        self._depth = 0

    def ensure(self, schema: str) -> None:
        """Create the tables of one module (`CREATE TABLE IF NOT EXISTS …`)."""
        with self._lock:
            self._writer.executescript(schema)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction: committed at the end, rolled back on an exception; a nested one joins the outer one.

        Never start a git commit inside: a repo's lock is taken before this one, never after.
        """
        with self._lock:
            self._enter()
            try:
                yield self._writer
            except BaseException:
                self._leave("ROLLBACK")
                raise
            self._leave("COMMIT")

    def rows(self, sql: str, args: Args = ()) -> list[sqlite3.Row]:
        """Every row of a query."""
        return self._reader().execute(sql, args).fetchall()

    def row(self, sql: str, args: Args = ()) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self._reader().execute(sql, args).fetchone()
        return row

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock, self._opening:
            for opened in list(self._opened):
                opened.close()

    def _enter(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._writing_thread = threading.get_ident()
            self._writer.execute("BEGIN IMMEDIATE")

    def _leave(self, verb: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._writing_thread = None
            if self._writer.in_transaction:
                self._writer.execute(verb)

    def _reader(self) -> sqlite3.Connection:
        if self._writing_thread == threading.get_ident():
            return self._writer
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is None:
            opened = self._local.opened = self._connect()
        return opened.connection

    def _connect(self) -> _Opened:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        opened = _Opened(connection)
        with self._opening:
            self._opened.add(opened)
        return opened
