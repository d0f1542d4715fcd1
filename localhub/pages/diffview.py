"""A git diff, parsed for a page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

MAX_LINES = 3000
MAX_LINE_CHARS = 2000
_HEADER = re.compile(r'diff --git (?:"?a/(?P<old>.*?)"?) (?:"?b/(?P<new>.*?)"?)')


@dataclass(frozen=True)
class DiffLine:
    """One line; `kind` is a class of the style sheet."""

    kind: Literal["add", "del", "hunk", "same"]
    text: str


@dataclass
class FileDiff:
    """The changed lines of one file."""

    title: str
    lines: list[DiffLine] = field(default_factory=list)
    added: int = 0
    removed: int = 0


def parse(text: str) -> tuple[list[FileDiff], bool]:
    """The files of a diff, and whether lines beyond the limit were left out."""
    files: list[FileDiff] = []
    in_hunk, line_count = False, 0
    for raw in text.split("\n"):
        if raw.startswith("diff --git "):
            files.append(FileDiff(_title(raw)))
            in_hunk = False
        elif files:
            in_hunk = in_hunk or raw.startswith("@@")
            line = _line(raw, in_hunk)
            if line and line_count < MAX_LINES:
                files[-1].lines.append(line)
                line_count += 1
            _count(files[-1], line)
    return files, line_count >= MAX_LINES


def _title(header: str) -> str:
    match = _HEADER.fullmatch(header)
    if match is None:
        return header.removeprefix("diff --git ")
    return match["new"] if match["old"] == match["new"] else f"{match['old']} → {match['new']}"


def _line(raw: str, in_hunk: bool) -> DiffLine | None:
    """The line to show; None for a header line that the title already covers."""
    text = raw[:MAX_LINE_CHARS] + (" …" if len(raw) > MAX_LINE_CHARS else "")
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
