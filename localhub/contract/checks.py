"""How a fact compares an answer with what it expects, and the ways in which it can end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")

_SHOWN_CHARS = 300


class Differs(Exception):
    """The Hub's answer differs from the fact."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class NotTried(Exception):
    """The fact cannot be tested in this run; the message says why."""


def check(name: str, holds: bool, *, expected: object, got: object) -> None:
    """Raise Differs unless `holds`; `name` says which part of the answer is meant."""
    if not holds:
        raise Differs(f"{name}: {one_line(expected)}", f"{name}: {one_line(got)}")


def check_equal(name: str, got: object, expected: object) -> None:
    """Raise Differs unless both are equal."""
    check(name, got == expected, expected=expected, got=got)


def check_date(name: str, value: object) -> datetime:
    """Return the time that an ISO 8601 text names. Raises Differs for anything else."""
    try:
        return datetime.fromisoformat(value)  # type: ignore[arg-type]  # a TypeError is one of the wrong answers
    except (TypeError, ValueError):
        raise Differs(f"{name}: a date like 2026-11-24T12:00:00.000Z", f"{name}: {one_line(value)}") from None


def part(value: Any, *path: str | int) -> Any:
    """Return the part of a JSON value at `path`. Raises Differs if there is none.

    The message names the fields of an object, not their values: a report must not contain data of the account.
    """
    for depth, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            name = ".".join(map(str, path[: depth + 1]))
            raise Differs(f"a field {name}", f"no {name} in {described(value)}") from None
    return value


def only(name: str, items: list[T], wanted: Callable[[T], bool]) -> T:
    """Return the one item that is wanted. Raises Differs if there is none, or several."""
    matching = [item for item in items if wanted(item)]
    check(name, len(matching) == 1, expected="one of these", got=f"{len(matching)} among {len(items)}")
    return matching[0]


def one_line(value: object) -> str:
    """Return a value as text of one line, bounded in length."""
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def described(value: object) -> str:
    """Return the kind of a JSON value, with the names of its fields."""
    if isinstance(value, dict):
        return one_line(f"an object of {', '.join(map(str, value)) or 'nothing'}")
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"a text of {len(value)} characters" if isinstance(value, str) else one_line(value)
