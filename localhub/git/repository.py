"""One bare git repo.

Every method opens the repo anew (0.04 ms): a handle of libgit2 must not be shared by threads, and a new one sees every
pack. Writers of one repo take turns under `lock`; readers never wait.

A commit is durable before `commit` returns: its objects are written first, the ref by rename last. A server that is
killed in between leaves unreferenced objects and perhaps a lock file. The next server removes such lock files when it
first opens the repo: no other server uses the folder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from localhub.errors import BadRequest, EntryNotFound, HubError, RepoNotFound, StaleParent
from localhub.git import diffs, trees
from localhub.git.changes import Author, Change, RemoveFile, SetFile, create_commit, signature, write_tree
from localhub.git.lfs_pointer import POINTER_MAX_BYTES, POINTER_MIN_BYTES, Pointer, parse_pointer
from localhub.git.refs import MAIN, commit_of, head_of, raw_target, resolve
from localhub.git.trees import TREE, ChangedPath, TreeEntry

__all__ = ["MAIN", "Author", "BlobFacts", "Change", "GitRepo", "RemoveFile", "SetFile"]

_MAX_CACHED_FACTS = 150_000
"""Blobs of one repo whose facts are cached."""


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """The size of a blob in git, and its LFS pointer, if it is one."""

    git_size: int
    pointer: Pointer | None

    @property
    def size(self) -> int:
        """The size of the file, for a pointer that of the large file."""
        return self.pointer.size if self.pointer else self.git_size


class GitRepo:
    """A bare repo at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._swept = False
        self._facts: dict[str, BlobFacts] = {}
        self.counts: dict[str, int] = {}
        """Cache of history.count: commit → number of commits up to it."""

    def create(self) -> None:
        """Create an empty repo whose HEAD is main."""
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
        except pygit2.GitError as error:  # the repo was deleted after the caller read its row
            raise RepoNotFound from error
        try:
            yield repo
        finally:
            repo.free()

    # Refs

    def head(self, ref: str = MAIN) -> str | None:
        """The commit that a full ref (`refs/…`) names; None if there is no such ref."""
        with self.open() as repo:
            return head_of(repo, ref)

    def refs(self) -> dict[str, str]:
        """Every ref with its commit, ordered by name; for an annotated tag the commit that it tags."""
        with self.open() as repo:
            names = sorted(repo.references)
            return {name: head for name in names if (head := head_of(repo, name))}

    def advertised_refs(self) -> list[tuple[str, str]]:
        """Name and id of HEAD, if main has a commit, and of every ref; after an annotated tag what it leads to."""
        with self.open() as repo:
            refs = {} if repo.head_is_unborn else {"HEAD": str(repo.head.target)}
            for ref in sorted(repo.references.objects, key=lambda ref: ref.raw_name):
                refs[ref.name] = str(ref.target)
                if (peeled := str(ref.peel().id)) != refs[ref.name]:
                    refs[f"{ref.name}^{{}}"] = peeled
            return list(refs.items())

    def resolve(self, rev: str) -> str:
        """The commit of a branch, tag, `refs/…` or (abbreviated) id, with `^` and `~n` after it.

        Raises `RevisionNotFound`.
        """
        with self.open() as repo:
            return str(resolve(repo, rev).id)

    def update_ref(self, ref: str, new: str | None, expected: str | None) -> None:
        """Move, create (`expected` None) or delete (`new` None) a ref; `StaleParent` unless it is at `expected`."""
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
        """Delete a ref, whatever it points to."""
        with self.lock, self.open() as repo:
            repo.references.delete(ref)

    def tag(self, name: str, commit: str, message: str | None, author: Author, when: float | None = None) -> None:
        """Create a tag, annotated if it has a message; 409 if it exists."""
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
        """Commit changes, in their order, on top of `ref` and move the ref; return the new commit's id.

        `parent`: the commit that the ref must be at, else `StaleParent`; None accepts any. `when`: seconds since the
        epoch, by default now. Raises `EntryNotFound` for the removal of a missing file, `BadRequest` for a file at the
        path of a folder.
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
        """Write a commit on top of `parent` without moving a ref. Raises as `commit` does, except `StaleParent`."""
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
        """Commit an existing tree and move `ref` to it from `expected` (None: the ref is new)."""
        with self.lock, self.open() as repo:
            commit = create_commit(repo, tree, parents, author, message, when)
            self.update_ref(ref, commit, expected)
            return commit

    def merge_base(self, a: str, b: str) -> str | None:
        """The newest common ancestor of two commits; None if there is none."""
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
        """The entries of a folder in git's order: those that follow `after`, at most `limit` of them.

        Raises `EntryNotFound` if there is no such folder.
        """
        with self.open() as repo:
            tree = trees.find(repo, commit_of(repo, commit).tree_id, folder)
            if tree is None or tree.mode != TREE:
                raise EntryNotFound(folder, commit)
            prefix = f"{folder}/" if folder else ""
            walk = trees.walk(repo, pygit2.Oid(hex=tree.oid), prefix, recursive=recursive, after=after)
            return [entry for _, entry in zip(range(limit), walk, strict=False)] if limit is not None else list(walk)

    def read(self, oid: str) -> bytes:
        """The content of a blob."""
        with self.open() as repo:
            return repo.odb.read(pygit2.Oid(hex=oid))[1]

    def file(self, commit: str, path: str) -> bytes | None:
        """The content of the file at a path, as git stores it; None if there is none."""
        entry = self.entry(commit, path)
        return self.read(entry.oid) if entry and entry.type == "file" else None

    def facts(self, oids: Iterable[str]) -> dict[str, BlobFacts]:
        """Size and LFS pointer of each blob. They are cached, because a blob never changes."""
        ids = set(oids)
        missing = ids - self._facts.keys()
        facts = {oid: self._facts[oid] for oid in ids - missing}
        if missing:
            with self.open() as repo:
                facts |= {oid: _blob_facts(repo, oid) for oid in missing}
            if len(self._facts) > _MAX_CACHED_FACTS:
                self._facts = {}
            self._facts.update(facts)
        return facts

    def changed_paths(self, a: str | None, b: str) -> list[ChangedPath]:
        """Every file that differs between two commits, ordered by path; all files of `b` if `a` is None."""
        with self.open() as repo:
            old = commit_of(repo, a).tree_id if a else None
            return list(trees.changed(repo, old, commit_of(repo, b).tree_id))

    def diff(self, a: str | None, b: str) -> str:
        """The git diff from `a` to `b`; if `a` is None, all of `b` as added."""
        with self.open() as repo:
            return diffs.diff(repo, commit_of(repo, a).tree_id if a else None, commit_of(repo, b).tree_id)

    def _sweep(self) -> None:
        """Remove the lock files and temporary files that a killed server left."""
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


def _blob_facts(repo: pygit2.Repository, oid: str) -> BlobFacts:
    """Size and pointer of a blob; the content is read only if its size is that of a pointer."""
    _, size = repo.odb.read_header(pygit2.Oid(hex=oid))
    may_point = POINTER_MIN_BYTES <= size <= POINTER_MAX_BYTES
    return BlobFacts(size, parse_pointer(repo.odb.read(pygit2.Oid(hex=oid))[1]) if may_point else None)
