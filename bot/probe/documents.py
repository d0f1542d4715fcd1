"""In the fork: reading JSON that a stranger wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Unreadable(Exception):
    """A file is not what it should be; the message says how, in words that follow its name."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file at `path`. Raises Unreadable."""
    return parse_object(path.read_bytes())


def parse_object(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`. Raises Unreadable."""
    try:
        fields = json.loads(data)
    except RecursionError:
        raise Unreadable("it is nested too deep") from None
    except ValueError as error:
        raise Unreadable(f"it is not JSON ({str(error)[:200]})") from None
    if not isinstance(fields, dict):
        raise Unreadable("it is JSON, but not an object")
    return fields


def count_in(value: object, most: int = 10**15) -> int | None:
    """`value` where it is a count; None for anything else, for True is one too."""
    return value if type(value) is int and 0 <= value <= most else None


def error_words(error: BaseException, folder: Path) -> str:
    """An error of the library as words for people: without our paths, bounded."""
    words = str(error).replace(str(folder), "the model")
    return f"{type(error).__name__}: {words[:300]}"
