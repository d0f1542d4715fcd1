"""Collections: named lists of repos, and of other collections, that belong to an account.

A collection's address (its *slug*) ends in its id. Only the id counts when a collection is looked up, so an address
with an earlier title still works.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from localhub.accounts.store import Account
from localhub.clock import Clock
from localhub.database import Database
from localhub.errors import HubError
from localhub.ids import new_id

ItemType = Literal["model", "dataset", "space", "collection"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (
  id TEXT PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES accounts, namespace TEXT NOT NULL, title TEXT NOT NULL,
  description TEXT, private INTEGER NOT NULL, theme TEXT NOT NULL, position INTEGER NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS collection_items (
  id TEXT PRIMARY KEY, collection TEXT NOT NULL REFERENCES collections, type TEXT NOT NULL, target TEXT NOT NULL,
  note TEXT, position INTEGER NOT NULL, UNIQUE (collection, type, target));
"""

_CHANGEABLE = ("title", "description", "private", "theme", "position")


@dataclass(frozen=True)
class Collection:
    """One collection as it was when its row was read."""

    id: str
    owner_id: str
    namespace: str
    title: str
    description: str | None
    private: bool
    theme: str
    position: int
    updated_at: float

    @property
    def slug(self) -> str:
        """The collection's address below `/collections/`."""
        words = re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")
        return f"{self.namespace}/{words}-{self.id}" if words else f"{self.namespace}/{self.id}"


@dataclass(frozen=True)
class CollectionItem:
    """One entry: `target` is the id of the repo or of the collection."""

    id: str
    type: ItemType
    target: str
    note: str | None


class CollectionNotFound(HubError):
    """The collection does not exist, or is hidden from this caller."""

    def __init__(self) -> None:
        super().__init__(404, "Collection not found")


class Collections:
    """All collections with their items."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        database.ensure(SCHEMA)

    def create(self, owner: Account, title: str, description: str | None, *, private: bool) -> Collection:
        """Create an empty collection at the end of its owner's list."""
        with self._database.write() as db:
            (position,) = db.execute("SELECT count(*) FROM collections WHERE owner_id = ?", (owner.id,)).fetchone()
            row = (new_id(), owner.id, owner.name, title, description, private, "orange", position)
            db.execute("INSERT INTO collections VALUES (?,?,?,?,?,?,?,?,?)", (*row, self._clock.seconds()))
        return self.get(row[0])

    def get(self, slug: str) -> Collection:
        """The collection whose id ends `slug`; raises `CollectionNotFound`."""
        row = self._database.row("SELECT * FROM collections WHERE id = ?", (slug[-24:],))
        if row is None:
            raise CollectionNotFound
        return _collection(row)

    def all(self) -> list[Collection]:
        """Every collection, the last changed first."""
        rows = self._database.rows("SELECT * FROM collections ORDER BY updated_at DESC, id DESC")
        return [_collection(row) for row in rows]

    def update(self, collection: Collection, changes: Mapping[str, Any]) -> Collection:
        """Change title, description, private, theme or position."""
        columns = {name: value for name, value in changes.items() if name in _CHANGEABLE}
        columns["updated_at"] = self._clock.seconds()
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self._database.write() as db:
            db.execute(f"UPDATE collections SET {assignments} WHERE id = ?", (*columns.values(), collection.id))  # noqa: S608 (names from _CHANGEABLE)
        return self.get(collection.id)

    def delete(self, collection: Collection) -> None:
        """Delete a collection, and the items of other collections that name it."""
        with self._database.write() as db:
            db.execute("DELETE FROM collection_items WHERE collection = ?", (collection.id,))
            db.execute("DELETE FROM collection_items WHERE type = 'collection' AND target = ?", (collection.id,))
            db.execute("DELETE FROM collections WHERE id = ?", (collection.id,))

    # --- items

    def items(self, collection: Collection) -> list[CollectionItem]:
        """The items in their order."""
        rows = self._database.rows(
            "SELECT * FROM collection_items WHERE collection = ? ORDER BY position, rowid", (collection.id,)
        )
        return [CollectionItem(row["id"], row["type"], row["target"], row["note"]) for row in rows]

    def add_item(self, collection: Collection, item_type: ItemType, target: str, note: str | None) -> None:
        """Add an item at the end; 409 if the collection has it."""
        last = "SELECT coalesce(max(position) + 1, 0) FROM collection_items WHERE collection = ?"
        try:
            with self._database.write() as db:  # the position, too: another item may be added at the same time
                (position,) = db.execute(last, (collection.id,)).fetchone()
                row = (new_id(), collection.id, item_type, target, note, position)
                db.execute("INSERT INTO collection_items VALUES (?,?,?,?,?,?)", row)
        except sqlite3.IntegrityError as error:
            raise HubError(409, "This item is already in the collection.") from error
        self.update(collection, {})

    def change_item(self, collection: Collection, item_id: str, *, note: str | None, position: int | None) -> None:
        """Set an item's note, or move it to a place in the list; 404 if the collection has no such item."""
        with self._database.write() as db:
            ids = self._other_items(collection, item_id)
            if note is not None:
                db.execute("UPDATE collection_items SET note = ? WHERE id = ?", (note or None, item_id))
            if position is not None:
                ids.insert(position, item_id)
                _renumber(db, ids)
        self.update(collection, {})

    def remove_item(self, collection: Collection, item_id: str) -> None:
        """Remove an item; 404 if the collection has no such item."""
        with self._database.write() as db:
            ids = self._other_items(collection, item_id)
            db.execute("DELETE FROM collection_items WHERE id = ?", (item_id,))
            _renumber(db, ids)
        self.update(collection, {})

    def _other_items(self, collection: Collection, item_id: str) -> list[str]:
        """The ids of the other items, in their order; 404 if the collection has no item `item_id`."""
        ids = [item.id for item in self.items(collection)]
        if item_id not in ids:
            raise HubError(404, "The collection has no such item.")
        ids.remove(item_id)
        return ids


def _renumber(db: sqlite3.Connection, ids: list[str]) -> None:
    db.executemany("UPDATE collection_items SET position = ? WHERE id = ?", list(enumerate(ids)))


def _collection(row: sqlite3.Row) -> Collection:
    return Collection(**{**dict(row), "private": bool(row["private"])})
