"""Paths in git diffs, checked against real diffs of libgit2."""

from __future__ import annotations

import tracemalloc

import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.diffs import changes_in, paths_in
from leaderboard.changes import FileChange

NAMES = st.text(alphabet=st.sampled_from([*'ab /"\\\t\n.-+', "ü", "語", "\x01"]), min_size=1, max_size=8).filter(
    lambda name: all(part not in ("", ".", "..") for part in name.split("/"))
)
CONTENTS = st.one_of(
    st.text(max_size=30).map(lambda text: text.encode()),
    st.lists(
        st.sampled_from(
            ["-- a/evil", "++ b/evil", "diff --git a/evil b/evil", "@@ -1 +1 @@", "rename from evil", "", "\\ No", " x"]
        ),
        max_size=6,
    ).map(lambda lines: "\n".join(lines).encode()),
    st.just(b"\0binary\0"),
)

TREES = st.dictionaries(NAMES, CONTENTS, max_size=4)


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    """An empty bare repo."""
    return pygit2.init_repository(str(tmp_path_factory.mktemp("git")), bare=True)


def without_clashes(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without those whose path is also that of a folder."""
    return {name: data for name, data in files.items() if not any(other.startswith(name + "/") for other in files)}


def tree_of(git: pygit2.Repository, files: dict[str, bytes]) -> pygit2.Tree:
    """A git tree with these files."""
    index = pygit2.Index()
    for name, data in files.items():
        index.add(pygit2.IndexEntry(name, git.create_blob(data), pygit2.enums.FileMode.BLOB))
    return git[index.write_tree(git)]


@settings(deadline=None, max_examples=66)
@given(before=TREES, after=TREES, renames=st.booleans())
def test_every_changed_path_is_found_and_no_other(
    git: pygit2.Repository, before: dict[str, bytes], after: dict[str, bytes], renames: bool
) -> None:
    """The parser finds exactly the changed paths, despite odd names, binaries, renames and contents like headers."""
    before, after = without_clashes(before), without_clashes(after)
    diff = tree_of(git, before).diff_to_tree(tree_of(git, after))
    if renames:
        diff.find_similar()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert set(paths_in(diff.patch or "")) == changed
    changes = changes_in(diff.patch or "")
    assert {path for change in changes for path in change.paths} == changed
    if not renames:
        kinds = {change.path: change.kind for change in changes}
        for name in changed:
            assert kinds[name] == ("added" if name not in before else "removed" if name not in after else "changed")


def test_the_paths_come_in_order_and_once() -> None:
    """Each path is listed once, in the order of the diff."""
    diff = (
        "diff --git a/b.json b/b.json\ndeleted file mode 100644\nindex 1..0\n--- a/b.json\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-{}\ndiff --git a/a.json b/a.json\nnew file mode 100644\nindex 0..1\n--- /dev/null\n"
        "+++ b/a.json\n@@ -0,0 +1 @@\n+{}\n\\ No newline at end of file\n"
    )
    assert paths_in(diff) == ["b.json", "a.json"]


@pytest.mark.parametrize(
    ("diff", "paths"),
    [
        ("diff --git a/x y b/x y\nold mode 100644\nnew mode 100755\n", ["x y"]),
        ('diff --git "a/\\303\\274.bin" "b/\\303\\274.bin"\nBinary files differ\n', ["ü.bin"]),
        ("diff --git a/a b/b b/a b/b\nnew file mode 100644\nindex 000..e69\n", ["a b/b"]),
        ("diff --git a/o b/n\nsimilarity index 100%\nrename from o\nrename to n\n", ["o", "n"]),
        ("diff --git a/o b/n\nsimilarity index 90%\ncopy from o\ncopy to n\n--- a/o\n+++ b/n\n", ["o", "n"]),
        ("diff --git a/x y b/x z\nindex 1..2\n--- a/x y\t\n+++ b/x z\t\n@@ -1 +1 @@\n-a\n+b\n", ["x y", "x z"]),
        ("--- a/x\n+++ b/x\n", []),
        ("", []),
        ("not a diff at all\n", []),
    ],
)
def test_headers_without_content_are_read_too(diff: str, paths: list[str]) -> None:
    """Paths are also read from changes without content: modes, empty files, binaries and pure renames."""
    assert paths_in(diff) == paths


@given(st.text(alphabet=st.sampled_from('adif -git/b"\\012@+,\n'), max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    """A truncated or malformed diff gives some paths or none, without an error."""
    paths_in("diff --git " + text)
    changes_in("diff --git " + text)


@pytest.mark.parametrize(
    ("header", "change"),
    [
        ("new file mode 100644\nindex 000..e69\n--- /dev/null\n+++ b/x\n", FileChange("x", "added", "100644")),
        ("new file mode 120000\nindex 000..e69\n--- /dev/null\n+++ b/x\n", FileChange("x", "added", "120000")),
        ("new file mode 160000\nindex 000..e69\n--- /dev/null\n+++ b/x\n", FileChange("x", "added", "160000")),
        ("deleted file mode 100644\nindex e69..000\n--- a/x\n+++ /dev/null\n", FileChange("x", "removed")),
        ("index a1..b2 100644\n--- a/x\n+++ b/x\n", FileChange("x", "changed", "100644")),
        ("index a1..b2 100755\n--- a/x\n+++ b/x\n", FileChange("x", "changed", "100755")),
        ("old mode 100644\nnew mode 100755\n", FileChange("x", "changed", "100755")),
        ("similarity index 90%\nrename from w\nrename to x\n", FileChange("x", "renamed", "", "w")),
        ("similarity index 90%\ncopy from w\ncopy to x\n", FileChange("x", "copied", "", "w")),
        (
            "new file mode 100644\nindex 000..e69\nBinary files /dev/null and b/x differ\n",
            FileChange("x", "added", "100644", is_text=False),
        ),
    ],
)
def test_each_kind_of_change_is_told_apart(header: str, change: FileChange) -> None:
    """Each kind of change is recognised, with the file's mode and whether it is text."""
    assert changes_in(f"diff --git a/{change.old_path or 'x'} b/x\n{header}") == [change]


@pytest.mark.long("a second of a processor")
def test_a_diff_of_very_many_lines_is_read_line_by_line() -> None:
    """A diff of a megabyte of short lines is parsed with less than a megabyte of additional memory."""
    lines = 300_000
    diff = (
        f"diff --git a/long b/long\nnew file mode 100644\n--- /dev/null\n+++ b/long\n@@ -0,0 +1,{lines} @@\n"
    ) + "+ab\n" * lines
    tracemalloc.start()
    try:
        assert paths_in(diff) == ["long"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
