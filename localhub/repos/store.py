"""Repos: names, settings, and the git repo behind each.

A repo's git directory is named after its id, so that renaming it changes one row and no file. Former names stay in
`moved`: they lead to the repo until another repo takes the name.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localhub.accounts.store import Account
from localhub.clock import Clock
from localhub.database import Database
from localhub.errors import HubError
from localhub.git.repository import MAIN, Author, GitRepo, SetFile
from localhub.ids import new_id
from localhub.json_values import JsonObject
from localhub.repos.events import HubEvent, Subscriber
from localhub.repos.records import Repo, RepoType

SCHEMA = """
CREATE TABLE IF NOT EXISTS repos (
  oid TEXT PRIMARY KEY, type TEXT NOT NULL, owner_id TEXT NOT NULL REFERENCES accounts, namespace TEXT NOT NULL,
  name TEXT NOT NULL, key TEXT NOT NULL, private INTEGER NOT NULL, gated TEXT, disabled INTEGER NOT NULL,
  discussions_disabled INTEGER NOT NULL, sdk TEXT, likes INTEGER NOT NULL, downloads INTEGER NOT NULL,
  created_by TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS repos_by_name ON repos (type, key);
CREATE TABLE IF NOT EXISTS moved (type TEXT NOT NULL, key TEXT NOT NULL, oid TEXT NOT NULL, PRIMARY KEY (type, key));
"""

_SETTINGS = ("private", "gated", "disabled", "discussions_disabled", "sdk", "likes", "downloads")

INITIAL_ATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n"
    for pattern in (
        *("*.7z", "*.arrow", "*.bin", "*.bz2", "*.ckpt", "*.ftz", "*.gz", "*.h5", "*.joblib", "*.lfs.*", "*.mlmodel"),
        *("*.model", "*.msgpack", "*.npy", "*.npz", "*.onnx", "*.ot", "*.parquet", "*.pb", "*.pickle", "*.pkl"),
        *("*.pt", "*.pth", "*.rar", "*.safetensors", "saved_model/**/*", "*.tar.*", "*.tar", "*.tflite", "*.tgz"),
        *("*.wasm", "*.xz", "*.zip", "*.zst", "*tfevents*"),
    )
)
"""The `.gitattributes` of a new repo: files that match are stored outside git."""


class RepoStore:
    """All repos. Changes of them are passed to `emit`."""

    def __init__(self, data: Path, database: Database, clock: Clock, emit: Subscriber) -> None:
        self._folder = data / "repos"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._database = database
        self._clock = clock
        self._emit = emit
        self._git: dict[str, GitRepo] = {}
        self._git_lock = threading.Lock()
        database.ensure(SCHEMA)

    def get(self, repo_type: RepoType, full_name: str) -> Repo | None:
        """The repo with this name, compared without case."""
        row = self._database.row("SELECT * FROM repos WHERE type = ? AND key = ?", (repo_type, full_name.lower()))
        return self._repo(row) if row else None

    def moved(self, repo_type: RepoType, full_name: str) -> Repo | None:
        """The repo that had this name formerly."""
        row = self._database.row(
            "SELECT r.* FROM moved m JOIN repos r ON r.oid = m.oid WHERE m.type = ? AND m.key = ?",
            (repo_type, full_name.lower()),
        )
        return self._repo(row) if row else None

    def by_oid(self, oid: str) -> Repo | None:
        """The repo with that id."""
        row = self._database.row("SELECT * FROM repos WHERE oid = ?", (oid,))
        return self._repo(row) if row else None

    def all(self, repo_type: RepoType | None = None, namespace: str | None = None) -> list[Repo]:
        """Every repo, if given of one type and one owner, newest first."""
        sql = (
            "SELECT * FROM repos WHERE (?1 IS NULL OR type = ?1) AND (?2 IS NULL OR lower(namespace) = lower(?2))"
            " ORDER BY created_at DESC, oid DESC"
        )
        return [self._repo(row) for row in self._database.rows(sql, (repo_type, namespace))]

    def create(
        self,
        repo_type: RepoType,
        owner: Account,
        name: str,
        creator: Account,
        *,
        files: Mapping[str, bytes] | None = None,
        **settings: Any,
    ) -> Repo:
        """Create a repo with its first commit; 409 if the name is taken.

        `settings`: private, gated, disabled, discussions_disabled, sdk, likes, downloads.
        """
        oid, now = new_id(), self._clock.seconds()
        git = self._git_of(oid)
        git.create()
        # The commit comes before the row: every repo in the table has its first commit.
        changes = [SetFile(".gitattributes", INITIAL_ATTRIBUTES.encode())]
        changes += [SetFile(path, content) for path, content in (files or {}).items()]
        git.commit(MAIN, changes, None, author_of(creator), "initial commit", when=now)
        row = {**_defaults(), **_columns(settings), "oid": oid, "type": repo_type, "owner_id": owner.id}
        row |= {"namespace": owner.name, "name": name, "key": f"{owner.name}/{name}".lower()}
        row |= {"created_by": creator.id, "created_at": now, "updated_at": now}
        self._insert(row)
        repo = self._existing(oid)
        self._emit(HubEvent("repo", "create", repo, creator))
        return repo

    def update(self, repo: Repo, actor: Account | None, **settings: Any) -> Repo:
        """Change settings; see `create` for their names."""
        columns = _columns(settings)
        if columns:
            assignments = ", ".join(f"{name} = ?" for name in columns)
            with self._database.write() as db:
                db.execute(f"UPDATE repos SET {assignments} WHERE oid = ?", (*columns.values(), repo.oid))  # noqa: S608 (names from _SETTINGS)
        changed = self._existing(repo.oid)
        if {"private", "gated"} & set(columns):
            config = {"private": changed.private} if changed.private != repo.private else {}
            self._emit(HubEvent("repo.config", "update", changed, actor, updated_config=config))
        return changed

    def touch(self, repo: Repo) -> None:
        """Store that the repo's content changed now."""
        with self._database.write() as db:
            db.execute("UPDATE repos SET updated_at = ? WHERE oid = ?", (self._clock.seconds(), repo.oid))

    def move(self, repo: Repo, owner: Account, name: str, actor: Account) -> Repo:
        """Change the repo's name or owner; the old name then leads to it. 409 if the name is taken."""
        key = f"{owner.name}/{name}".lower()
        try:
            with self._database.write() as db:
                db.execute("DELETE FROM moved WHERE type = ? AND key = ?", (repo.type, key))
                db.execute("INSERT OR REPLACE INTO moved VALUES (?,?,?)", (repo.type, repo.full_name.lower(), repo.oid))
                db.execute(
                    "UPDATE repos SET owner_id = ?, namespace = ?, name = ?, key = ? WHERE oid = ?",
                    (owner.id, owner.name, name, key, repo.oid),
                )
                db.execute("DELETE FROM moved WHERE type = ? AND key = ?", (repo.type, key))
        except sqlite3.IntegrityError as error:
            raise name_taken(repo.type, owner.name, name) from error
        moved = self._existing(repo.oid)
        self._emit(HubEvent("repo", "move", repo, actor, moved_to=moved))
        return moved

    def add_aliases(self, repo: Repo, former: Iterable[str]) -> None:
        """Add former names that lead to the repo."""
        with self._database.write() as db:
            for name in former:
                db.execute("INSERT OR REPLACE INTO moved VALUES (?,?,?)", (repo.type, name.lower(), repo.oid))

    def delete(self, repo: Repo, actor: Account | None) -> None:
        """Delete the repo with its history; LFS objects stay, because other repos may share them."""
        # Under the lock: a commit that waits for it then finds no repo, instead of half of one.
        with repo.git.lock:
            with self._database.write() as db:
                db.execute("DELETE FROM repos WHERE oid = ?", (repo.oid,))
                db.execute("DELETE FROM moved WHERE oid = ?", (repo.oid,))
            self._emit(HubEvent("repo", "delete", repo, actor))
            shutil.rmtree(repo.git.path, ignore_errors=True)
        with self._git_lock:
            self._git.pop(repo.oid, None)

    def _insert(self, row: Mapping[str, Any]) -> None:
        marks = ", ".join("?" for _ in row)
        try:
            with self._database.write() as db:
                db.execute("DELETE FROM moved WHERE type = ? AND key = ?", (row["type"], row["key"]))
                db.execute(f"INSERT INTO repos ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 (column names)
        except sqlite3.IntegrityError as error:
            shutil.rmtree(self._folder / f"{row['oid']}.git", ignore_errors=True)
            raise name_taken(row["type"], row["namespace"], row["name"]) from error

    def _existing(self, oid: str) -> Repo:
        repo = self.by_oid(oid)
        if repo is None:
            raise HubError(404, "Repository not found", "RepoNotFound")
        return repo

    def _git_of(self, oid: str) -> GitRepo:
        with self._git_lock:
            if oid not in self._git:
                self._git[oid] = GitRepo(self._folder / f"{oid}.git")
            return self._git[oid]

    def _repo(self, row: sqlite3.Row) -> Repo:
        return Repo(
            oid=row["oid"],
            type=row["type"],
            owner_id=row["owner_id"],
            namespace=row["namespace"],
            name=row["name"],
            private=bool(row["private"]),
            gated=row["gated"] or False,
            disabled=bool(row["disabled"]),
            discussions_disabled=bool(row["discussions_disabled"]),
            sdk=row["sdk"],
            likes=row["likes"],
            downloads=row["downloads"],
            created_by=row["created_by"],
            created_at=datetime.fromtimestamp(row["created_at"], UTC),
            updated_at=datetime.fromtimestamp(row["updated_at"], UTC),
            git=self._git_of(row["oid"]),
        )


def author_of(account: Account) -> Author:
    """The author of an account's commits."""
    return Author(account.name, f"{account.name}@users.noreply.huggingface.co")


def name_taken(repo_type: RepoType, namespace: str, name: str) -> HubError:
    """The answer if a repo of that name exists."""
    return HubError(409, f"A {repo_type} repository called {namespace}/{name} already exists")


def _defaults() -> JsonObject:
    numbers = dict.fromkeys(("private", "disabled", "discussions_disabled", "likes", "downloads"), 0)
    return {**numbers, "gated": None, "sdk": None}


def _columns(settings: Mapping[str, Any]) -> JsonObject:
    unknown = set(settings) - set(_SETTINGS)
    if unknown:
        raise TypeError(f"a repo has no setting {', '.join(sorted(unknown))}")
    return {name: (value or None) if name == "gated" else value for name, value in settings.items()}
