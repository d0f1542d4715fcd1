"""Messages between test process and solution process: lines of JSON that hold plain data only.

Both sides read what they get as data: no message can carry code, a class of the other side, or an object with methods
of its own. Lists, tuples, sets, dicts, large integers, bytes, complex numbers, ranges and iterators have tags.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AnySet
from itertools import islice
from typing import Any, Literal

Outcome = Literal["passed", "wrong", "error", "ended", "time", "unusable"]
"""`unusable`: the problem's own tests cannot be run in this way, whatever the solution is."""
MAX_BYTES = 8 * 1024 * 1024
"""The longest message, in bytes."""
MAX_DEPTH = 100
_MAX_ITEMS = 1_000_000
_PLAIN_INTEGER = 1 << 53


class NotPlain(Exception):
    """A value that is not plain data."""


class TooMuch(Exception):
    """More data, or deeper data, than a message may have."""


class Ended(Exception):
    """The other side has closed the connection."""


class Channel:
    """Sends and receives messages in order, over two descriptors."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._rest = bytearray()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message of JSON values. Raises TooMuch, Ended."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        if len(data) > MAX_BYTES:
            raise TooMuch(f"a message has more than {MAX_BYTES:,} bytes")
        try:
            while data:
                data = data[os.write(self._writing, data) :]
        except BrokenPipeError as error:
            raise Ended from error

    def receive(self) -> dict[str, Any]:
        """The next message. Raises Ended, TooMuch, and ValueError for an invalid one."""
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > MAX_BYTES:
                raise TooMuch(f"a message has more than {MAX_BYTES:,} bytes")
            data = os.read(self._reading, 1 << 20)
            if not data:
                raise Ended
            self._rest += data
        line, self._rest = bytes(self._rest[:end]), self._rest[end + 1 :]
        try:
            message = json.loads(line)
        except RecursionError as error:
            raise ValueError("a message is too deep") from error
        if not isinstance(message, dict):
            raise ValueError("a message is no object")  # noqa: TRY004  # as for every other invalid message
        return message


def encode(value: Any, depth: int = 0) -> Any:
    """The JSON value for plain data. Raises NotPlain, TooMuch."""
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < _PLAIN_INTEGER else {"int": hex(value)}
    if (numpy := sys.modules.get("numpy")) and isinstance(value, numpy.generic):
        return encode(value.item(), depth + 1)
    if depth > MAX_DEPTH:
        raise TooMuch(f"data is more than {MAX_DEPTH} levels deep")
    if isinstance(value, list):
        return _items(value, depth)
    for tag, (kind, parts, _) in _KINDS.items():
        if isinstance(value, kind):
            return {tag: _items(parts(value), depth)}
    raise NotPlain(f"{type(value).__name__} is no plain data")


def _items(values: Any, depth: int) -> list[Any]:
    encoded = [encode(value, depth + 1) for value in islice(values, _MAX_ITEMS + 1)]
    if len(encoded) > _MAX_ITEMS:
        raise TooMuch(f"data has more than {_MAX_ITEMS:,} items")
    return encoded


_KINDS: dict[str, tuple[Any, Callable[[Any], Any], Callable[[list[Any]], Any]]] = {
    "tuple": (tuple, iter, tuple),
    "dict": (dict, lambda value: [part for pair in value.items() for part in pair], lambda parts: _pairs(parts)),
    "set": (set, iter, set),
    "frozenset": (frozenset, iter, frozenset),
    "keys": (AnySet, iter, set),  # the keys of a dict, and the like
    "bytes": (bytes | bytearray, iter, bytes),
    "range": (range, lambda value: (value.start, value.stop, value.step), lambda parts: range(*parts)),
    "complex": (complex, lambda value: (value.real, value.imag), lambda parts: complex(*parts)),
    "iterator": (Iterator, iter, iter),
}
"""Tag → the type, its parts, and how to make it of parts."""


def decode(value: Any, depth: int = 0) -> Any:
    """The plain data that a JSON value encodes. Raises ValueError, TypeError, KeyError or OverflowError."""
    if depth > 2 * MAX_DEPTH + 2:  # a list of tuples has two levels for each of its own
        raise ValueError("data is too deep")
    if isinstance(value, list):
        return [decode(part, depth + 1) for part in value]
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "int":
        return int(str(content), 16)
    return _KINDS[tag][2](decode(content, depth + 1))


def _pairs(parts: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


INVALID = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""The errors that `receive` and `decode` raise for data that they do not accept."""
