"""A git diff, taken apart for showing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

MOST_LINES = 3000
LONGEST_LINE = 2000
_HEADER = re.compile(r'diff --git (?:"?a/(?P<old>.*?)"?) (?:"?b/(?P<new>.*?)"?)')


@dataclass(frozen=True)
class DiffLine:
    """One line; its kind is a class of the style sheet."""

    kind: Literal["add", "del", "hunk", "same"]
    text: str


@dataclass
class FileDiff:
    """What changes in one file."""

    title: str
    lines: list[DiffLine] = field(default_factory=list)
    added: int = 0
    removed: int = 0


def parse(text: str) -> tuple[list[FileDiff], bool]:
    """The files of a diff, and whether there is more than a page should show."""
    files: list[FileDiff] = []
    in_hunk, shown = False, 0
    for raw in text.split("\n"):
        if raw.startswith("diff --git "):
            files.append(FileDiff(_title(raw)))
            in_hunk = False
        elif files:
            in_hunk = in_hunk or raw.startswith("@@")
            line = _line(raw, in_hunk)
            if line and shown < MOST_LINES:
                files[-1].lines.append(line)
                shown += 1
            _count(files[-1], line)
    return files, shown >= MOST_LINES


def _title(header: str) -> str:
    match = _HEADER.fullmatch(header)
    if match is None:
        return header.removeprefix("diff --git ")
    return match["new"] if match["old"] == match["new"] else f"{match['old']} → {match['new']}"


def _line(raw: str, in_hunk: bool) -> DiffLine | None:
    """None for what the title says already."""
    text = raw[:LONGEST_LINE] + (" …" if len(raw) > LONGEST_LINE else "")
    if not in_hunk:
        notable = ("new file", "deleted file", "rename ", "similarity", "Binary", "GIT binary", "old mode", "new mode")
        return DiffLine("hunk", text) if raw.startswith(notable) else None
    if raw.startswith("@@"):
        return DiffLine("hunk", text)
    if raw.startswith("+"):
        return DiffLine("add", text)
    if raw.startswith("-"):
        return DiffLine("del", text)
    return DiffLine("same", text) if raw else None


def _count(file: FileDiff, line: DiffLine | None) -> None:
    file.added += line is not None and line.kind == "add"
    file.removed += line is not None and line.kind == "del"
