"""Code in the fork: read untrusted JSON."""

from __future__ import annotations

import json
from pathlib import Path


class Unreadable(Exception):
    """A file is malformed; the message says how, and reads well after the file's name."""


def read_object(path: Path) -> dict[str, object]:
    """The JSON object in the file at `path`. Raises Unreadable."""
    return parse_object(path.read_bytes())


def parse_object(data: bytes) -> dict[str, object]:
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


def count_in(value: object, limit: int = 10**15) -> int | None:
    """`value` if it is a count up to `limit`; None for anything else, also for a bool."""
    return value if type(value) is int and 0 <= value <= limit else None


def error_words(error: BaseException, folder: Path) -> str:
    """The message of a library's error for people: bounded, and without paths of this machine."""
    message = str(error).replace(str(folder), "the model")
    return f"{type(error).__name__}: {message[:300]}"
