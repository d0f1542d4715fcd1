"""The bot's walk through git trees, compared with pygit2."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.mirrors.git_trees import MAX_DEPTH, GitFile, changed, differences, files, find

NAMES = st.sampled_from(["a", "b", "a.json", "ab", "z", "Ä"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(PATHS, st.binary(max_size=2), max_size=12)


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    """An empty bare repo."""
    return pygit2.init_repository(str(tmp_path_factory.mktemp("git")), bare=True)


def tidy(tree: dict[str, bytes]) -> dict[str, bytes]:
    """The tree without files whose path is also that of a folder."""
    return {path: data for path, data in tree.items() if not any(other.startswith(f"{path}/") for other in tree)}


def write(git: pygit2.Repository, tree: dict[str, bytes]) -> bytes:
    """Writes a tree of these files and returns its id."""
    index = pygit2.Index()
    for path, data in tree.items():
        index.add(pygit2.IndexEntry(path, git.create_blob(data), pygit2.enums.FileMode.BLOB))
    return index.write_tree(git).raw


def blob(git: pygit2.Repository, path: str, data: bytes | None) -> GitFile:
    """The expected entry of a file; without data, of a removed file."""
    return GitFile(path, None if data is None else str(git.create_blob(data)))


@settings(max_examples=60, deadline=None)
@given(old=TREES, new=TREES)
def test_two_trees_differ_in_just_the_files_that_differ(
    git: pygit2.Repository, old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    """Each path whose content differs is reported once, with its new content; files are listed and found by path."""
    old, new = tidy(old), tidy(new)

    def read(oid: bytes) -> bytes:
        return git.odb.read(pygit2.Oid(raw=oid))[1]

    changed_files = list(changed(read, write(git, old), write(git, new)))
    differing = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    assert sorted(changed_files, key=lambda change: change.path) == [
        blob(git, path, new.get(path)) for path in sorted(differing)
    ]
    listed = sorted(files(read, write(git, new)), key=lambda file: file.path)
    assert listed == [blob(git, path, data) for path, data in sorted(new.items())]
    for path in {*old, *new}:
        assert find(read, write(git, new), path) == blob(git, path, new.get(path)).oid


def test_what_is_the_same_is_not_opened(git: pygit2.Repository) -> None:
    """Of a hundred folders, only the one that changed is read, in both trees."""
    old = {f"org-{number}/file": b"x" for number in range(100)}
    opened: list[bytes] = []

    def read(oid: bytes) -> bytes:
        opened.append(oid)
        return git.odb.read(pygit2.Oid(raw=oid))[1]

    before, after = write(git, old), write(git, {**old, "org-7/file": b"y"})
    assert [change.path for change in changed(read, before, after)] == ["org-7/file"]
    assert len(opened) == 4


def test_folders_without_end_are_not_followed(git: pygit2.Repository) -> None:
    """Files below the maximum depth of folders are left out, without an error."""
    tree = git.TreeBuilder()
    tree.insert("file", git.create_blob(b"x"), pygit2.enums.FileMode.BLOB)
    oid = tree.write()
    for _ in range(1_000):
        tree = git.TreeBuilder()
        tree.insert("d", oid, pygit2.enums.FileMode.TREE)
        tree.insert("f", git.create_blob(b"x"), pygit2.enums.FileMode.BLOB)
        oid = tree.write()

    def read(oid: bytes) -> bytes:
        return git.odb.read(pygit2.Oid(raw=oid))[1]

    assert len(list(files(read, oid.raw))) == MAX_DEPTH + 1
    assert len(list(changed(read, None, oid.raw))) == MAX_DEPTH + 1


def test_links_and_submodules_are_no_files(git: pygit2.Repository) -> None:
    """Symbolic links and submodules are skipped; a file that becomes a link counts as removed."""
    tree = git.TreeBuilder()
    content = git.create_blob(b"x")
    tree.insert("link", content, pygit2.enums.FileMode.LINK)
    tree.insert("module", content, pygit2.enums.FileMode.COMMIT)
    linked = tree.write().raw

    def read(oid: bytes) -> bytes:
        return git.odb.read(pygit2.Oid(raw=oid))[1]

    assert list(files(read, linked)) == []
    assert list(changed(read, write(git, {"link": b"x"}), linked)) == [GitFile("link", None)]


def test_names_that_are_not_utf8_do_no_harm(tmp_path: Path) -> None:
    """A name in Latin-1 is listed with replacement characters."""
    raw = b"100644 caf\xe9.json\0" + b"\1" * 20
    assert [file.path for file in files(lambda _: raw, b"")] == ["caf\ufffd.json"]


@pytest.mark.long("two seconds of a processor")
def test_a_folder_of_very_many_files_is_compared_in_little_memory() -> None:
    """A comparison of two folders with 100,000 files each allocates less than 25 MB."""
    versions = (flat_tree(b"before"), flat_tree(b"after"))
    read = dict(zip((b"1" * 20, b"2" * 20), versions, strict=True)).__getitem__
    tracemalloc.start()
    try:
        assert sum(1 for _ in changed(read, b"1" * 20, b"2" * 20)) == 100
        assert sum(1 for _ in differences(read, b"1" * 20, b"2" * 20)) == 100
        assert sum(1 for _ in files(read, b"2" * 20)) == 100_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 25_000_000


def flat_tree(salt: bytes) -> bytes:
    """A raw tree of 100,000 files in one folder; every thousandth depends on `salt`."""
    ids = (hashlib.sha1(b"%d" % i + (salt if i % 1000 == 0 else b""), usedforsecurity=False) for i in range(100_000))
    return b"".join(b"100644 a-model-%06d_eval_request.json\0" % i + sha.digest() for i, sha in enumerate(ids))
