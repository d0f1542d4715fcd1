"""Reads a JSON object from untrusted bytes, and edits its fields in its text, leaving all other text unchanged.

An edit rewrites only the values that change, in the layout of the file: its indentation, line ends, space after the
colon, and escapes of non-ASCII characters. A new field is added after the last one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BOM = "\ufeff"
JsonObject = dict[str, Any]
"""A parsed JSON object of any shape."""
_BLANK = re.compile(r"[ \t\n\r]*")


def object_in(data: bytes) -> JsonObject | None:
    """Return the JSON object in an untrusted file; None if there is none. Never raises."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def storable(text: str) -> str:
    """Return `text` with a question mark for each half of a surrogate pair.

    JSON and file names can hold such a half; UTF-8, and so a file, a message and Redis, cannot.
    """
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class _Member:
    """A field of the object: its name, and the positions in the text at which name and value begin and end."""

    name: str
    name_start: int
    name_end: int
    start: int
    end: int


def edit(raw: str, changes: Mapping[str, Any]) -> str:
    """Return the JSON object `raw` with the top-level fields in `changes` set and every other character unchanged.

    A field that occurs twice is changed twice; a field that already has its new value stays as it is written.
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
    """Return the members of the object `raw`, in order. Raises ValueError if `raw` is no object."""
    if not isinstance(json.loads(raw.removeprefix(BOM)), dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  the value of the text is wrong, not its type
    decoder = json.JSONDecoder()
    members: list[_Member] = []
    at = _past_blank(raw, raw.index("{") + 1)
    while raw[at] != "}":
        name, name_end = decoder.raw_decode(raw, at)
        start = _past_blank(raw, _past_blank(raw, name_end) + len(":"))
        _, end = decoder.raw_decode(raw, start)
        members.append(_Member(name, at, name_end, start, end))
        at = _past_blank(raw, end)
        if raw[at] == ",":
            at = _past_blank(raw, at + 1)
    return members


def _past_blank(raw: str, at: int) -> int:
    blank = _BLANK.match(raw, at)
    return blank.end() if blank else at


@dataclass(frozen=True)
class _Layout:
    """The layout of a file: the text between fields, between name and value, and before an inner line."""

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
        """Return `value` as it is written inside the object."""
        comma = "," if self.indent or not self.between else ", "
        text = self._dumps(value, indent=self.indent, separators=(comma, self.colon))
        newline = "\r\n" if "\r\n" in self.between else "\n"
        return text.replace("\n", newline + (self.indent or "")) if self.indent else text

    def append(self, fields: Mapping[str, Any], *, first: bool) -> str:
        """Return `fields` as they are written after the last field."""
        written = [self._dumps(name) + self.colon + self.value(value) for name, value in fields.items()]
        return ("" if first else "," + self.between) + ("," + self.between).join(written)

    def _dumps(self, value: Any, **layout: Any) -> str:
        text = json.dumps(value, ensure_ascii=self.ascii_only, **layout)
        has_surrogate = any("\ud800" <= char <= "\udfff" for char in text)  # only an escape can represent it
        return json.dumps(value, ensure_ascii=True, **layout) if has_surrogate else text


def is_same(value: Any, other: Any) -> bool:
    """Whether two values are the same JSON: True is not 1, 1 is not 1.0; the order of members does not matter."""
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)
