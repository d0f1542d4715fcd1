"""Reading a JSON object from a stranger's bytes, and changing its fields in its text: what others wrote stays theirs.

Only the values that change are written anew, in the layout that the file has: its indentation, its line ends, its blank
after the colon, its way of writing characters beyond ASCII. A field that is not there is added behind the last one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BOM = "\ufeff"
_BLANK = re.compile(r"[ \t\n\r]*")


def object_in(data: bytes) -> dict[str, Any] | None:
    """The JSON object that a file of whoever holds; None where it holds none that can be read. Never raises."""
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class _Member:
    """A field in the text: where its name and its value begin and end."""

    name: str
    name_start: int
    name_end: int
    start: int
    end: int


def edit(raw: str, changes: Mapping[str, Any]) -> str:
    """`raw`, which must be a JSON object, with the top-level fields in `changes` set; every other character stays.

    A field that stands there twice is changed twice; one that says already what it is to say stays as it is written.
    """
    members = _members(raw)
    layout = _Layout.of(raw, members)
    pieces, done = [], 0
    for member in members:
        if member.name not in changes or is_same(json.loads(raw[member.start : member.end]), changes[member.name]):
            continue
        pieces += [raw[done : member.start], layout.value(changes[member.name])]
        done = member.end
    added = [name for name in changes if all(member.name != name for member in members)]
    if added:
        end = members[-1].end if members else raw.index("{") + 1
        pieces += [raw[done:end], layout.append({name: changes[name] for name in added}, first=not members)]
        done = end
    return "".join(pieces) + raw[done:]


def _members(raw: str) -> list[_Member]:
    """The members of the object `raw`, in order. Raises ValueError where it is none."""
    if not isinstance(json.loads(raw.removeprefix(BOM)), dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  it is the text that is wrong
    decoder = json.JSONDecoder()
    found: list[_Member] = []
    at = _past_blank(raw, raw.index("{") + 1)
    while raw[at] != "}":
        name, name_end = decoder.raw_decode(raw, at)
        start = _past_blank(raw, _past_blank(raw, name_end) + len(":"))
        _, end = decoder.raw_decode(raw, start)
        found.append(_Member(name, at, name_end, start, end))
        at = _past_blank(raw, end)
        if raw[at] == ",":
            at = _past_blank(raw, at + 1)
    return found


def _past_blank(raw: str, at: int) -> int:
    found = _BLANK.match(raw, at)
    return found.end() if found else at


@dataclass(frozen=True)
class _Layout:
    """How a file is written: what stands between its fields, between name and value, and before an inner line."""

    between: str
    colon: str
    indent: str | None
    ascii_only: bool

    @classmethod
    def of(cls, raw: str, members: list[_Member]) -> _Layout:
        ascii_only = raw.removeprefix(BOM).isascii()
        if not members:
            return cls(" ", ": ", None, ascii_only)
        first, last = members[0], members[-1]
        before = raw[raw.index("{") + 1 : first.name_start]
        colon = raw[first.name_end : first.start]
        between = before or (" " if colon.endswith(" ") else "")
        if len(members) > 1:
            between = raw[raw.index(",", members[-2].end) + 1 : last.name_start]
        lines = re.search(r"[\r\n]([ \t]+)$", before)
        return cls(between, colon, lines[1] if lines else None, ascii_only)

    def value(self, value: Any) -> str:
        """`value` as it is written inside the object."""
        comma = "," if self.indent or not self.between else ", "
        text = self._dumps(value, indent=self.indent, separators=(comma, self.colon))
        newline = "\r\n" if "\r\n" in self.between else "\n"
        return text.replace("\n", newline + (self.indent or "")) if self.indent else text

    def append(self, fields: Mapping[str, Any], *, first: bool) -> str:
        """`fields` as they are written behind the last one."""
        written = [self._dumps(name) + self.colon + self.value(value) for name, value in fields.items()]
        return ("" if first else "," + self.between) + ("," + self.between).join(written)

    def _dumps(self, value: Any, **layout: Any) -> str:
        text = json.dumps(value, ensure_ascii=self.ascii_only, **layout)
        half = any("\ud800" <= char <= "\udfff" for char in text)  # of a character, which only an escape can hold
        return json.dumps(value, ensure_ascii=True, **layout) if half else text


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: True is not 1, 1 is not 1.0; the order of members counts for nothing."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
