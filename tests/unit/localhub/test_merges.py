"""Three-way merges of two commits: the changes to the base, and the files in conflict."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localhub.git.merges import merge
from localhub.git.repository import MAIN, Author, GitRepo, RemoveFile, SetFile

_ME = Author("ada", "ada@example.org")
Files = Mapping[str, str | None]
_LINES = "".join(f"line {n}\n" for n in range(20))


@pytest.fixture
def git(tmp_path: Path) -> GitRepo:
    """An empty repo."""
    repo = GitRepo(tmp_path / "r.git")
    repo.create()
    return repo


def commit(git: GitRepo, ref: str, files: Files, start: str | None = None) -> str:
    """Commit files (None removes) on a ref, which starts at `start` if it is new."""
    if start and git.head(ref) is None:
        git.update_ref(ref, start, None)
    removed = [RemoveFile(path) for path, text in files.items() if text is None]
    written = [SetFile(path, text.encode()) for path, text in files.items() if text is not None]
    return git.commit(ref, [*removed, *written], None, _ME, "change")


def both(git: GitRepo, before: Files, ours: Files, theirs: Files) -> tuple[str, str]:
    """Commit both sides on the same parent, and return the two commits."""
    root = commit(git, MAIN, before)
    return commit(git, MAIN, ours), commit(git, "refs/pr/1", theirs, root)


def merged_files(git: GitRepo, ours: str, theirs: str) -> dict[str, str]:
    """Merge `theirs` into main, and return the files of main."""
    merge_commit = git.commit(MAIN, merge(git, ours, theirs).changes, ours, _ME, "merge")
    entries = git.entries(merge_commit, recursive=True)
    return {entry.path: git.read(entry.oid).decode() for entry in entries if entry.type == "file"}


def test_changes_of_both_sides_are_kept(git: GitRepo) -> None:
    """Changes of different files, and of different places of one file, do not conflict."""
    ours, theirs = both(
        git,
        {"a.txt": _LINES, "b.txt": "b"},
        {"a.txt": _LINES.replace("line 1\n", "ours\n"), "c.txt": "c"},
        {"a.txt": _LINES.replace("line 18\n", "theirs\n"), "d/e.txt": "e"},
    )
    files = merged_files(git, ours, theirs)
    assert files["a.txt"] == _LINES.replace("line 1\n", "ours\n").replace("line 18\n", "theirs\n")
    assert {path: files[path] for path in ("b.txt", "c.txt", "d/e.txt")} == {"b.txt": "b", "c.txt": "c", "d/e.txt": "e"}


def test_the_same_change_is_none(git: GitRepo) -> None:
    """The same change on both sides is neither a conflict nor a change of the base."""
    ours, theirs = both(git, {"a": "1"}, {"a": "2", "n": "x"}, {"a": "2"})
    assert merge(git, ours, theirs).conflicts == () and merge(git, ours, theirs).changes == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "conflicts"),
    [
        ({"a": "ours"}, {"a": "theirs"}, ("a",)),
        ({"a": None}, {"a": "theirs"}, ("a",)),
        ({"a": "ours"}, {"a": None}, ("a",)),
        ({"n": "ours"}, {"n": "theirs"}, ("n",)),
    ],
)
def test_conflicts_are_named(git: GitRepo, ours: Files, theirs: Files, conflicts: tuple[str, ...]) -> None:
    """A file that both sides changed, removed or added differently is listed as a conflict, other files are not."""
    merged = merge(git, *both(git, {"a": "before\n", "b": "b"}, {**ours, "x": "x"}, {**theirs, "y": "y"}))
    assert merged.conflicts == conflicts and merged.changes == ()


def test_a_file_where_the_other_side_has_a_folder(git: GitRepo) -> None:
    """A path that is a file on one side and a folder on the other is a conflict, not a broken tree."""
    merged = merge(git, *both(git, {"a": "a"}, {"d": "file"}, {"d/e": "below"}))
    assert merged.conflicts


def test_a_folder_replaced_by_a_file(git: GitRepo) -> None:
    """A folder that one side replaced by a file is replaced in the merge."""
    ours, theirs = both(git, {"d/e": "e", "d/f": "f", "a": "a"}, {"a": "b"}, {"d/e": None, "d/f": None, "d": "file"})
    assert merged_files(git, ours, theirs) == {"a": "b", "d": "file"}


def test_unrelated_histories(git: GitRepo) -> None:
    """Without a common commit the merge reports a conflict without a list of files."""
    ours, theirs = commit(git, MAIN, {"a": "a"}), commit(git, "refs/pr/1", {"b": "b"})
    assert merge(git, ours, theirs).conflicts is True


def test_a_file_in_the_place_of_the_other_sides_folder(git: GitRepo) -> None:
    """If one side replaces a folder by a file and the other writes into it, both paths are in conflict."""
    root = commit(git, MAIN, {"d/e": "e"})
    git.update_ref("refs/pr/1", root, None)
    ours = git.commit(MAIN, [SetFile("d/f", b"f")], root, _ME, "ours")
    theirs = git.commit("refs/pr/1", [RemoveFile("d/e"), SetFile("d", b"d")], root, _ME, "theirs")
    assert merge(git, ours, theirs).conflicts == ("d", "d/f")


_SIDES = st.dictionaries(st.sampled_from(["a", "b", "d", "d/e", "d/f", "g/h"]), st.sampled_from(["1\n", "2\n", "3\n"]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=_SIDES, ours=_SIDES, theirs=_SIDES)
def test_as_git_itself_merges(
    tmp_path_factory: pytest.TempPathFactory, before: Files, ours: Files, theirs: Files
) -> None:
    """A merge of only the touched paths has the same result as libgit2's merge of the whole trees."""
    git = GitRepo(tmp_path_factory.mktemp("m") / "r.git")
    git.create()
    commits = []
    root = git.commit(MAIN, _tree({**before, "same": "same"}), None, _ME, "before")
    for ref, side in ((MAIN, ours), ("refs/pr/1", theirs)):
        if git.head(ref) is None:
            git.update_ref(ref, root, None)
        removals = [RemoveFile(entry.path) for entry in git.entries(root)]
        commits.append(git.commit(ref, [*removals, *_tree({**side, "same": "same"})], None, _ME, "side"))
    with git.open() as repo:
        index = repo.merge_commits(pygit2.Oid(hex=commits[0]), pygit2.Oid(hex=commits[1]))
        names = {str(entry.path) for entry in index}
        # libgit2 allows a file and a folder of the same name side by side; git reports a conflict.
        clash = any(str(folder) in names for name in names for folder in PurePosixPath(name).parents)
        expected = None if clash or index.conflicts is not None else str(index.write_tree(repo))
    merged = merge(git, *commits)
    assert (merged.conflicts == ()) == (expected is not None)
    if expected:
        assert git.tree(git.commit(MAIN, merged.changes, commits[0], _ME, "merge")) == expected


def _tree(files: Files) -> list[SetFile]:
    """Changes that set the files, without those at the path of a folder."""
    folders = {path.rpartition("/")[0] for path in files}
    return [SetFile(path, (text or "").encode()) for path, text in files.items() if path not in folders]
