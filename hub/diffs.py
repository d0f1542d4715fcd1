"""Parses the changed files of a git diff.

A diff contains untrusted file names and contents. The parser counts the lines that each hunk announces, so that no line
of content is read as a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from leaderboard.changes import FileChange, Kind

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
_NAMED = ("rename from ", "rename to ", "copy from ", "copy to ")
_KINDS: dict[str, Kind] = {
    "new file mode ": "added",
    "deleted file mode ": "removed",
    "rename to ": "renamed",
    "copy to ": "copied",
}
_CHANGED: Kind = "changed"
_MODES = ("new file mode ", "new mode ")
_INDEX_MODE = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+ ([0-7]{6})")
_NOT_TEXT = ("Binary files ", "GIT binary patch")


def paths_in(diff: str) -> list[str]:
    """Return every path that `diff` adds, changes, removes or renames (old and new name), in order, each once."""
    paths: dict[str, None] = {}
    for header in _headers(diff):
        paths |= dict.fromkeys(_paths_of(header))
    return list(paths)


def changes_in(diff: str) -> list[FileChange]:
    """Return the change of each file, in order. A file that becomes a link is removed and added."""
    return [_change(header) for header in _headers(diff)]


def _change(header: list[str]) -> FileChange:
    lines = header[1:]
    kinds = (kind for line in lines for word, kind in _KINDS.items() if line.startswith(word))
    modes = (line.removeprefix(word) for line in lines for word in _MODES if line.startswith(word))
    paths, kind = list(_paths_of(header)), next(kinds, _CHANGED)
    index_mode = next((match[1] for line in lines if (match := _INDEX_MODE.match(line))), "")
    return FileChange(
        path=paths[-1],
        kind=kind,
        mode="" if kind == "removed" else next(modes, index_mode),
        old_path=paths[0] if paths[0] != paths[-1] else None,
        is_text=not any(line.startswith(_NOT_TEXT) for line in lines),
    )


def _headers(diff: str) -> Iterator[list[str]]:
    """Yield the header lines of each file of the diff, without lines of content."""
    header: list[str] = []
    old = new = 0  # lines left in the present hunk
    for line in _lines(diff):
        if old > 0 or new > 0:
            old -= line[:1] in (" ", "-", "")
            new -= line[:1] in (" ", "+", "")
        elif match := _HUNK.match(line):
            old, new = (int(count) if count is not None else 1 for count in match.groups())
        elif line.startswith("diff --git "):
            if header:
                yield header
            header = [line]
        elif header:
            header.append(line)
    if header:
        yield header


def _lines(diff: str) -> Iterator[str]:
    """Yield the lines of the diff, one after the other: a list of millions of short ones needs gigabytes."""
    start = 0
    while (end := diff.find("\n", start)) >= 0:
        yield diff[start:end]
        start = end + 1
    yield diff[start:]


def _paths_of(header: list[str]) -> Iterator[str]:
    """Yield the old and new path of one file. Lines with one path are exact; the first line is the last resort."""
    named = False
    for line in header[1:]:
        for word in _NAMED:
            if line.startswith(word):
                named = True
                yield _unquoted(line.removeprefix(word))
        if line.startswith(("--- ", "+++ ")):
            path = _unquoted(line[4:].removesuffix("\t"))  # git adds a tab after a name with a space
            if path != "/dev/null":
                named = True
                yield path[2:]
    if not named:  # binary, empty, or only its mode changed: both names are the same
        yield _name_twice(header[0].removeprefix("diff --git "))


def _name_twice(pair: str) -> str:
    """Return the name in `a/name b/name`, quoted or not; names may contain spaces, so only the middle separates."""
    if pair.startswith('"'):
        end = re.match(r'"(?:\\.|[^"\\])*"', pair)
        return _unquoted(end[0] if end else pair)[2:]
    return _unquoted(pair[: (len(pair) - 1) // 2])[2:]


def _unquoted(name: str) -> str:
    """Undo git's C-style quoting: `"a/\\303\\274.json"` is `a/ü.json`."""
    if len(name) < 2 or not (name.startswith('"') and name.endswith('"')):
        return name

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8) & 0xFF]) if len(code) == 3 else _LETTERS.get(code, code)

    return _ESCAPE.sub(plain, name[1:-1].encode()).decode(errors="surrogateescape")
