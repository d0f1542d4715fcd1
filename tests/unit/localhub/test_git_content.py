"""Commits, tree walks, diffs and packs of a local Hub's repos, compared with git's own output."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localhub.errors import BadRequest, EntryNotFound, RepoNotFound, RevisionNotFound, StaleParent
from localhub.git import history
from localhub.git.refs import commit_of
from localhub.git.repository import MAIN, Author, Change, GitRepo, RemoveFile, SetFile
from localhub.git.rewrite import without_blobs

ADA = Author("ada", "ada@example.org")
NAMES = st.sampled_from(["a", "b", "a.b", "a-b", "a0", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CONTENTS = st.binary(max_size=20)
FILES = st.dictionaries(PATHS, CONTENTS, max_size=12)


def git(repo: GitRepo, *arguments: str) -> str:
    """The output of the git command about the repo."""
    command = ["git", "-c", "core.quotePath=false", "-C", str(repo.path), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def listed(repo: GitRepo, commit: str) -> list[str]:
    """Every path of a commit as the git command lists them, folders too."""
    return git(repo, "ls-tree", "-r", "-t", "-z", "--name-only", commit).split("\0")[:-1]


def free_of_clashes(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without those whose path is also the folder of another file."""
    return {path: data for path, data in files.items() if not any(other.startswith(f"{path}/") for other in files)}


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """An empty repo."""
    created = GitRepo(tmp_path / "repo.git")
    created.create()
    return created


@settings(max_examples=40, deadline=None)
@given(first=FILES.map(free_of_clashes), second=FILES.map(free_of_clashes))
def test_two_commits_have_their_files_and_the_right_changed_paths(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, bytes], second: dict[str, bytes]
) -> None:
    """A commit that replaces all files lists the new ones in git's order, and its changed paths are right."""
    repo = GitRepo(tmp_path_factory.mktemp("git") / "repo.git")
    repo.create()
    before = repo.commit(MAIN, [SetFile(path, data) for path, data in first.items()], None, ADA, "one")
    changes: list[Change] = [RemoveFile(path) for path in first]
    two = repo.commit(MAIN, [*changes, *(SetFile(path, data) for path, data in second.items())], before, ADA, "two")

    entries = repo.entries(two, recursive=True)
    assert [entry.path for entry in entries] == listed(repo, two)
    assert {entry.path: repo.read(entry.oid) for entry in entries if entry.type == "file"} == second
    expected = {path for path in first.keys() | second.keys() if first.get(path) != second.get(path)}
    assert {change.path for change in repo.changed_paths(before, two)} == expected


@settings(max_examples=30, deadline=None)
@given(files=FILES.map(free_of_clashes).filter(bool), data=st.data())
def test_a_walk_goes_on_behind_any_path(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
) -> None:
    """A listing that is cut at any entry continues with the next one."""
    repo = GitRepo(tmp_path_factory.mktemp("git") / "repo.git")
    repo.create()
    commit = repo.commit(MAIN, [SetFile(path, content) for path, content in files.items()], None, ADA, "all")
    paths = [entry.path for entry in repo.entries(commit, recursive=True)]
    cut = data.draw(st.integers(0, len(paths) - 1))
    remaining = repo.entries(commit, recursive=True, after=paths[cut])
    assert [entry.path for entry in remaining] == paths[cut + 1 :]


def test_a_large_commit_is_one_pack_that_git_accepts(repo: GitRepo) -> None:
    """A commit of hundreds of files is stored as one pack, and has the same tree as several small commits."""
    puts = [SetFile(f"folder{index % 7}/file{index}", f"content {index}".encode()) for index in range(400)]
    head = repo.commit(MAIN, puts, None, ADA, "bulk", when=0)
    assert len(list(repo.path.glob("objects/pack/*.pack"))) == 1
    assert git(repo, "fsck", "--strict") == ""
    assert git(repo, "show", f"{head}:folder3/file3") == "content 3"
    one_by_one = None
    for start in range(0, 400, 100):
        one_by_one = repo.commit("refs/heads/slow", puts[start : start + 100], one_by_one, ADA, "part", when=0)
    assert one_by_one and repo.tree(one_by_one) == repo.tree(head)


def test_a_refused_large_commit_leaves_nothing(repo: GitRepo) -> None:
    """A commit that fails half-way leaves no pack behind."""
    puts: list[Change] = [SetFile(f"file{index}", b"x") for index in range(300)]
    with pytest.raises(BadRequest):
        repo.commit(MAIN, [*puts, SetFile("file0/below", b"")], None, ADA, "clash")
    assert repo.head() is None and not list(repo.path.glob("objects/pack/*"))


def test_files_and_folders_do_not_take_each_others_place(repo: GitRepo) -> None:
    """A file at the path of a folder, or below a file, is refused, unless the same commit removes the other."""
    repo.commit(MAIN, [SetFile("a/b", b"1"), SetFile("c", b"2")], None, ADA, "one")
    for clash in (SetFile("a", b""), SetFile("c/d", b"")):
        with pytest.raises(BadRequest):
            repo.commit(MAIN, [clash], None, ADA, "clash")
    head = repo.commit(
        MAIN, [RemoveFile("a", folder=True), SetFile("a", b"3"), RemoveFile("c"), SetFile("c/d", b"4")], None, ADA, "ok"
    )
    assert listed(repo, head) == ["a", "c", "c/d"]


def test_the_removal_of_a_missing_path_is_refused(repo: GitRepo) -> None:
    """The removal of a missing path, or of a folder as a file, is refused."""
    repo.commit(MAIN, [SetFile("a/b", b"1")], None, ADA, "one")
    for missing in (
        RemoveFile("x"),
        RemoveFile("a", folder=False),
        RemoveFile("a/b", folder=True),
        RemoveFile("a/b/c"),
    ):
        with pytest.raises(EntryNotFound):
            repo.commit(MAIN, [missing], None, ADA, "no")


def test_the_last_file_of_a_folder_takes_the_folder_along(repo: GitRepo) -> None:
    """The removal of a folder's last file removes the folder too; a repo without files has git's empty tree."""
    repo.commit(MAIN, [SetFile("a/b/c", b"1"), SetFile("d", b"2")], None, ADA, "one")
    assert listed(repo, repo.commit(MAIN, [RemoveFile("a/b/c")], None, ADA, "two")) == ["d"]
    empty = repo.commit(MAIN, [RemoveFile("d")], None, ADA, "three")
    assert listed(repo, empty) == [] and git(repo, "fsck") == ""


def test_a_commit_upon_an_old_parent_is_refused(repo: GitRepo) -> None:
    """Of two commits on the same parent only the first is accepted."""
    base = repo.commit(MAIN, [SetFile("a", b"1")], None, ADA, "one")
    head = repo.commit(MAIN, [SetFile("a", b"2")], base, ADA, "two")
    with pytest.raises(StaleParent):
        repo.commit(MAIN, [SetFile("a", b"3")], base, ADA, "three")
    assert repo.head() == head


def test_commits_are_counted_as_git_does_and_walked_once(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits are counted as git does, also after a merge; the count of one more commit reads only that commit."""
    base = repo.commit(MAIN, [SetFile("a", b"1")], None, ADA, "one")
    head = [repo.commit(MAIN, [SetFile("a", str(number).encode())], None, ADA, "more") for number in range(5)][-1]
    tree = git(repo, "rev-parse", f"{head}^{{tree}}").strip()
    other = git(repo, "-c", "user.name=a", "-c", "user.email=a", "commit-tree", tree, "-p", base, "-m", "b").strip()
    merge = git(
        *(repo, "-c", "user.name=a", "-c", "user.email=a"),
        *("commit-tree", tree, "-p", head, "-p", other, "-m", "m"),
    ).strip()
    for commit in (head, base, other, merge):
        assert history.count(repo, commit) == int(git(repo, "rev-list", "--count", commit))
    repo.update_ref(MAIN, merge, head)
    last = repo.commit(MAIN, [SetFile("b", b"1")], None, ADA, "last")
    looked = list[str]()
    monkeypatch.setattr(history, "commit_of", lambda handle, oid: looked.append(oid) or commit_of(handle, oid))
    assert history.count(repo, last) == int(git(repo, "rev-list", "--count", last)) == 9
    assert history.count(repo, last) == 9
    assert looked == [last]


def test_revisions(repo: GitRepo) -> None:
    """Branches, tags, ids, their abbreviations and ancestors are found; nothing else is a revision."""
    first = repo.commit(MAIN, [SetFile("a", b"1")], None, ADA, "one")
    second = repo.commit(MAIN, [SetFile("a", b"2")], None, ADA, "two")
    repo.tag("v1", first, "annotated", ADA)
    repo.update_ref("refs/pr/7", second, None)
    for name in ("v1", "refs/tags/v1", "main^", "main~1", first, first[:9], "refs/pr/7^"):
        assert repo.resolve(name) == first, name
    for name in ("main^^", "main:a", "@{0}", ":/one", "pr/7", "HEAD~9", "", "^", "v1^{tree}", "0" * 40, first + "0"):
        with pytest.raises(RevisionNotFound):
            repo.resolve(name)


def test_diffs_are_gits_own(repo: GitRepo) -> None:
    """Changed, added, removed, renamed and binary files are diffed as the git command does."""
    first = repo.commit(
        MAIN, [SetFile("a", b"1\n2\n"), SetFile("gone", b"x\n"), SetFile("old", b"long\n" * 20)], None, ADA, "one"
    )
    changes = [SetFile("a", b"1\n3\n"), SetFile("bin", b"\0\1"), SetFile("é", b"new\n")]
    second = repo.commit(MAIN, changes, None, ADA, "two")
    third = repo.commit(
        MAIN, [RemoveFile("gone"), RemoveFile("old"), SetFile("new", b"long\n" * 20)], None, ADA, "three"
    )
    for old, new in ((first, second), (second, third), (first, third)):
        ours = [line for line in repo.diff(old, new).splitlines() if line and not line.startswith("index ")]
        theirs = git(repo, "-c", "core.quotePath=true", "diff", old, new).splitlines()
        assert ours == [line for line in theirs if not line.startswith("index ")]


def test_what_a_killed_server_left_is_swept(repo: GitRepo) -> None:
    """Stale locks and incomplete packs of a killed server are removed when the repo is opened, and commits work."""
    head = repo.commit(MAIN, [SetFile("a", b"1")], None, ADA, "one")
    (repo.path / "refs/heads/main.lock").touch()
    (repo.path / "objects/pack/tmp_pack_1_2").touch()
    again = GitRepo(repo.path)
    assert again.commit(MAIN, [SetFile("a", b"2")], head, ADA, "two") == again.head()
    assert not list(repo.path.rglob("tmp_pack*"))


def test_a_deleted_repo_is_not_found(tmp_path: Path) -> None:
    """A call on a deleted repo gets the error of a missing one."""
    with pytest.raises(RepoNotFound):
        GitRepo(tmp_path / "gone.git").head()


def test_rewriting_history_takes_a_file_out_of_every_commit(repo: GitRepo) -> None:
    """After the rewrite no commit of any branch has the removed content; commits before it keep their ids."""
    first = repo.commit(MAIN, [SetFile("keep", b"1")], None, ADA, "one")
    second = repo.commit(MAIN, [SetFile("x/secret", b"s"), SetFile("copy", b"s")], None, ADA, "two")
    head = repo.commit(MAIN, [SetFile("keep", b"2"), RemoveFile("copy")], None, ADA, "three")
    repo.update_ref("refs/heads/side", second, None)
    repo.update_ref("refs/heads/start", first, None)
    changes = without_blobs(repo, [b"s"])
    assert {change.ref: change.old for change in changes} == {MAIN: head, "refs/heads/side": second}
    assert repo.head("refs/heads/start") == first and git(repo, "fsck", "--no-dangling") == ""
    log = git(repo, "log", "--format=%s", "--name-only", "main", "side")
    assert "secret" not in log and "copy" not in log and "three" in log
    assert listed(repo, repo.resolve("main")) == ["keep"] and repo.resolve("main~2") == first
