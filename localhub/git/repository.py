"""One bare git repo.

Every method opens the repo anew (0.04 ms): handles of libgit2 are not for several threads, and a fresh one sees every
pack. Writers of one repo take turns under `lock`; readers never wait.

A commit is durable before `commit` returns: its objects first, the ref by rename last. A server that is killed in
between leaves objects that nothing names and perhaps a lock file; the next server takes such lock files away when it
first touches the repo, being alone on its folder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from localhub.errors import BadRequest, EntryNotFound, HubError, RepoNotFound, StaleParent
from localhub.git import diffs, trees
from localhub.git.blobs import BlobFacts, blob_facts
from localhub.git.changes import Author, Change, RemoveFile, SetFile, create_commit, signature, write_tree
from localhub.git.refs import MAIN, commit_of, head_of, raw_target, resolve
from localhub.git.trees import TREE, ChangedPath, TreeEntry

__all__ = ["MAIN", "Author", "BlobFacts", "Change", "GitRepo", "RemoveFile", "SetFile"]

_FACTS_KEPT = 150_000  # blobs of one repo whose size is remembered


class GitRepo:
    """A bare repo at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._swept = False
        self._facts: dict[str, BlobFacts] = {}
        self.counts: dict[str, int] = {}
        """How many commits lead to a commit, as far as somebody asked."""

    def create(self) -> None:
        """Makes an empty repo whose HEAD is main."""
        repo = pygit2.init_repository(str(self.path), bare=True, initial_head="main")
        for name, value in (("uploadpack.allowAnySHA1InWant", "true"), ("uploadpack.allowFilter", "true")):
            repo.config[name] = value
        repo.free()
        self._swept = True

    @contextmanager
    def open(self) -> Iterator[pygit2.Repository]:
        """A handle of libgit2 for this thread; `RepoNotFound` once the repo is deleted."""
        self._sweep()
        try:
            repo = pygit2.Repository(str(self.path))
        except pygit2.GitError as error:  # it was deleted since it was looked up
            raise RepoNotFound from error
        try:
            yield repo
        finally:
            repo.free()

    # Refs

    def head(self, ref: str = MAIN) -> str | None:
        """The commit that a full ref (`refs/…`) names; None where there is no such ref."""
        with self.open() as repo:
            return head_of(repo, ref)

    def refs(self) -> dict[str, str]:
        """Every ref with its commit, annotated tags followed; by name."""
        with self.open() as repo:
            names = sorted(repo.references)
            return {name: head for name in names if (head := head_of(repo, name))}

    def resolve(self, rev: str) -> str:
        """The commit of a branch, tag, `refs/…` or (abbreviated) id, with `^` and `~n` after it.

        Raises `RevisionNotFound`.
        """
        with self.open() as repo:
            return str(resolve(repo, rev).id)

    def update_ref(self, ref: str, new: str | None, expected: str | None) -> None:
        """Moves, creates (`expected` None) or deletes (`new` None) a ref; `StaleParent` unless it is at `expected`."""
        with self.lock, self.open() as repo:
            if raw_target(repo, ref) != expected:
                raise StaleParent
            try:
                if new is None:
                    repo.references.delete(ref)
                else:
                    repo.create_reference_direct(ref, pygit2.Oid(hex=new), force=True)
            except (ValueError, pygit2.GitError) as error:
                raise BadRequest(f"{ref} cannot be a reference here: {error}") from error

    def delete_ref(self, ref: str) -> None:
        """Takes a ref away, whatever it names."""
        with self.lock, self.open() as repo:
            repo.references.delete(ref)

    def tag(self, name: str, commit: str, message: str | None, author: Author, when: float | None = None) -> None:
        """Creates a tag, annotated where there is a message; 409 where it exists."""
        ref = f"refs/tags/{name}"
        with self.lock, self.open() as repo:
            if raw_target(repo, ref) is not None:
                raise HubError(409, f"Reference {ref} already exists")
            target = commit
            if message:
                signed = signature(author, when)
                try:
                    target = str(repo.create_tag(name, pygit2.Oid(hex=commit), ObjectType.COMMIT, signed, message))
                    return
                except (ValueError, pygit2.GitError) as error:
                    raise BadRequest(f"{name} cannot be the name of a tag: {error}") from error
            self.update_ref(ref, target, None)

    # Commits

    def commit(
        self,
        ref: str,
        changes: Iterable[Change],
        parent: str | None,
        author: Author,
        message: str,
        *,
        when: float | None = None,
    ) -> str:
        """Commits changes, in their order, on top of `ref` and moves it there; the new commit's id.

        `parent`: what the ref must be at, else `StaleParent`; None takes it wherever it is. `when`: seconds since the
        epoch, by default now. Raises `EntryNotFound` for the removal of what is not there, `BadRequest` for a file in
        a folder's place.
        """
        with self.lock:
            head = self.head(ref)
            if parent is not None and parent != head:
                raise StaleParent
            commit = self.build(head, changes, author, message, when=when)
            self.update_ref(ref, commit, head)
            return commit

    def build(
        self, parent: str | None, changes: Iterable[Change], author: Author, message: str, *, when: float | None = None
    ) -> str:
        """A commit on top of `parent` that no ref names yet. Raises as `commit` does, but for `StaleParent`."""
        with self.open() as repo:
            base = commit_of(repo, parent).tree_id if parent else None
            tree = write_tree(repo, base, list(changes))
            return create_commit(repo, tree, [parent] if parent else [], author, message, when)

    def commit_tree(
        self,
        ref: str,
        tree: str,
        parents: Sequence[str],
        author: Author,
        message: str,
        *,
        expected: str | None,
        when: float | None = None,
    ) -> str:
        """Makes a commit of a tree that exists and moves `ref` there from `expected` (None: it is new)."""
        with self.lock, self.open() as repo:
            commit = create_commit(repo, tree, parents, author, message, when)
            self.update_ref(ref, commit, expected)
            return commit

    def merge_base(self, a: str, b: str) -> str | None:
        """The newest commit that both come from."""
        with self.open() as repo:
            base = repo.merge_base(pygit2.Oid(hex=a), pygit2.Oid(hex=b))
            return str(base) if base else None

    # Content

    def tree(self, commit: str) -> str:
        """The id of a commit's tree."""
        with self.open() as repo:
            return str(commit_of(repo, commit).tree_id)

    def entry(self, commit: str, path: str) -> TreeEntry | None:
        """The file or folder at a path."""
        with self.open() as repo:
            return trees.find(repo, commit_of(repo, commit).tree_id, path)

    def find(self, commit: str, paths: Iterable[str]) -> list[TreeEntry | None]:
        """The file or folder at each path."""
        with self.open() as repo:
            root = commit_of(repo, commit).tree_id
            return trees.find_all(repo, root, paths)

    def entries(
        self,
        commit: str,
        folder: str = "",
        *,
        recursive: bool = False,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[TreeEntry]:
        """The entries of a folder in git's order, at most `limit` of those behind `after`.

        Raises `EntryNotFound` where there is no such folder.
        """
        with self.open() as repo:
            found = trees.find(repo, commit_of(repo, commit).tree_id, folder)
            if found is None or found.mode != TREE:
                raise EntryNotFound(folder, commit)
            prefix = f"{folder}/" if folder else ""
            walk = trees.walk(repo, pygit2.Oid(hex=found.oid), prefix, recursive=recursive, after=after)
            return [entry for _, entry in zip(range(limit), walk, strict=False)] if limit is not None else list(walk)

    def read(self, oid: str) -> bytes:
        """The content of a blob."""
        with self.open() as repo:
            return repo.odb.read(pygit2.Oid(hex=oid))[1]

    def file(self, commit: str, path: str) -> bytes | None:
        """The content of the file at a path, as it stands in git; None where there is none."""
        entry = self.entry(commit, path)
        return self.read(entry.oid) if entry and entry.type == "file" else None

    def facts(self, oids: Iterable[str]) -> dict[str, BlobFacts]:
        """Size and LFS pointer of each blob. Remembered: a blob never changes."""
        wanted = set(oids)
        missing = wanted - self._facts.keys()
        found = {oid: self._facts[oid] for oid in wanted - missing}
        if missing:
            with self.open() as repo:
                found |= {oid: blob_facts(repo, oid) for oid in missing}
            if len(self._facts) > _FACTS_KEPT:
                self._facts = {}
            self._facts.update(found)
        return found

    def changed_paths(self, a: str | None, b: str) -> list[ChangedPath]:
        """Every file that differs between two commits, by path; all files of `b` where `a` is None."""
        with self.open() as repo:
            old = commit_of(repo, a).tree_id if a else None
            return list(trees.changed(repo, old, commit_of(repo, b).tree_id))

    def diff(self, a: str | None, b: str) -> str:
        """The git diff from one commit to another; from nothing where `a` is None."""
        with self.open() as repo:
            return diffs.diff(repo, commit_of(repo, a).tree_id if a else None, commit_of(repo, b).tree_id)

    def _sweep(self) -> None:
        """Takes away what a killed server left half done."""
        if self._swept:
            return
        with self.lock:
            if self._swept:
                return
            leftovers = [*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")]
            leftovers += [*self.path.glob("objects/tmp_*"), *self.path.glob("objects/pack/tmp_*")]
            for leftover in leftovers:
                leftover.unlink(missing_ok=True)
            self._swept = True
