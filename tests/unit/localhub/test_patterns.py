"""Decisions of `.gitattributes` and `.gitignore` about uploads, compared with git's own."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localhub.git.path_patterns import ignore_rules, lfs_rules

PIECES = st.sampled_from(["a", "b", "*", "**", "?", "[ab]", "[!a]", "[^b]", "a*", "*.b", "\\*", "a.b"])
PATTERNS = st.lists(PIECES, min_size=1, max_size=3).map("/".join)
LINES = st.builds("{}{}{}".format, st.sampled_from(["", "!", "/"]), PATTERNS, st.sampled_from(["", "/"]))
PATHS = ["a", "b", "ab", "a.b", "*", "a/a", "a/b", "b/a.b", "b/ab/a", "a/b/a", "a/a/b", "ab/b", "b/b/b/a.b"]


@pytest.fixture(scope="module")
def work_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty work tree in which git checks paths."""
    folder = tmp_path_factory.mktemp("patterns")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def judge(folder: Path, *command: str) -> list[str]:
    """git's answer about every path, separated by nulls."""
    paths = "\0".join(PATHS).encode()
    process = subprocess.run(["git", "-C", str(folder), *command], input=paths, capture_output=True, check=False)
    return process.stdout.decode().split("\0")[:-1]


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=4))
def test_ignored_is_what_git_ignores(work_tree: Path, lines: list[str]) -> None:
    """localhub ignores the paths that git ignores, except that a file in an ignored folder can be included again."""
    (work_tree / ".gitignore").write_text("\n".join(lines))
    ignored = set(judge(work_tree, "check-ignore", "--no-index", "-z", "--stdin"))
    rules = ignore_rules("\n".join(lines))
    ours = {path for path in PATHS if rules.decide(path)}
    if any(line.startswith("!") for line in lines):
        assert ours <= ignored
    else:
        assert ours == ignored


@settings(max_examples=60, deadline=None)
@given(
    patterns=st.lists(st.tuples(PATTERNS, st.sampled_from(["filter=lfs", "-filter", "!filter", "-text"])), max_size=4)
)
def test_large_is_what_git_filters(work_tree: Path, patterns: list[tuple[str, str]]) -> None:
    """A path goes to LFS exactly where git would run the lfs filter on it."""
    text = "\n".join(f"{pattern} {setting}" for pattern, setting in patterns)
    (work_tree / ".gitattributes").write_text(text)
    answers = judge(work_tree, "check-attr", "-z", "--stdin", "filter")
    theirs = {path: value for path, _, value in zip(*[iter(answers)] * 3, strict=True)}
    rules = lfs_rules(text)
    assert {path for path in PATHS if rules.decide(path)} == {path for path in PATHS if theirs[path] == "lfs"}


def test_no_pattern_takes_long() -> None:
    """Patterns that make a backtracking matcher slow are answered at once."""
    started = time.monotonic()
    hostile = "\n".join(["*a" * 40 + "b", "/".join(["**", "a"] * 40) + "/b", "[" * 200, "[z-a]*"])
    assert not ignore_rules(hostile).decide("/".join(["a" * 100] * 90))
    assert time.monotonic() - started < 2
