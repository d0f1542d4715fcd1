"""The journal of an evaluation: an append-only file of computed answers, with which a later attempt continues.

    steward-journal 1 {identity}
    record … record                 each: length of its value, key, checksum, value as JSON

`identity` names everything that the answers depend on besides the request: model, suite, versions, machine
(`workers.jobs.journals`). A record holds the answers of one unit, which is computed at once: a batch of the harness, a
step of the engine, a text. Its key is a digest of the unit's tokens or texts and options.

A checksum covers its record and the checksum before it, so a record counts only behind all that were written before
it. At the first record that is torn, changed or out of order the file is cut off; the records before it are used. A
sample of the stored units is computed afresh before any is used: on the same machine they are equal digit for digit.
If one differs, nothing of the journal is used. So a damaged or foreign journal costs time only.

The child writes this file, through a descriptor that the zygote opened for it: it is as untrusted as the child.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import os
import random
import struct
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

log = logging.getLogger(__name__)

HEADER_BYTES = len("steward-journal 1 \n") + 64
"""The bytes of a journal without records."""
MAX_BYTES = 1_000_000_000
"""The largest journal of an evaluation, of all copies of the model together."""
MAX_VALUE_BYTES = 16 << 20
"""The largest value of a record: a text has some kilobytes, a batch less."""
MAX_UNITS = 1_000_000
"""The most units that are read: the largest suite has a fifth of them, and each takes memory."""
CHECKED_SHARE, CHECKED_AT_ONCE = 100, 32
"""One in CHECKED_SHARE of the stored units is computed afresh, at least one, at most CHECKED_AT_ONCE at a time."""

_HEAD = struct.Struct(">I16s16s")
"""A record before its value: the value's length, the key, the checksum."""
_KEY_BYTES = 16
_READ_BYTES = 1 << 16


class AnswerJournal:
    """The answers in a journal, to which new ones are appended. Without a descriptor it holds none, and takes none.

    Unless `is_writable`, it takes no new answers, and the file stays as it is.
    """

    def __init__(
        self,
        descriptor: int | None = None,
        identity: str = "",
        max_bytes: int = MAX_BYTES,
        *,
        max_value_bytes: int = MAX_VALUE_BYTES,
        is_writable: bool = True,
    ) -> None:
        self.replayed = 0
        """Answers that were taken from the journal."""
        self._descriptor = descriptor
        self._header = f"steward-journal 1 {identity}\n".encode()
        self._max_bytes = max_bytes
        self._max_value_bytes = max_value_bytes
        self._is_writable = is_writable
        self._values: dict[bytes, tuple[int, int]] = {}
        """Key → the place of the value in the file, and its length."""
        self._matching_units = self._checked = 0
        self._end = 0
        self._checksum = b""
        self._is_full = False
        if descriptor is not None:
            self._read(descriptor)

    @property
    def is_open(self) -> bool:
        """Whether the journal has a file, so that it may hold answers or take new ones."""
        return self._descriptor is not None

    @property
    def units(self) -> int:
        """The number of units in the journal."""
        return len(self._values)

    def __contains__(self, key: bytes) -> bool:
        """Whether the journal holds the unit with this key."""
        return key in self._values

    def get(self, key: bytes) -> Any:
        """The value of a unit; None if the journal does not hold it, or it cannot be read."""
        place = self._values.get(key)
        if place is None or self._descriptor is None:
            return None
        start, length = place
        try:
            return json.loads(os.pread(self._descriptor, length, start))
        except (ValueError, RecursionError):  # the checksum is right, so the child itself wrote it wrong
            log.warning("the journal holds a record that is no JSON: its unit is computed")
            return None
        except OSError as error:
            log.warning("a record of the journal cannot be read: its unit is computed: %s", error.strerror)
            return None

    def add(self, key: bytes, value: object) -> None:
        """Append the value of a unit. If the journal or the disk is full, it and all later values are left out."""
        if self._descriptor is None or self._is_full or not self._is_writable:
            return
        data = json.dumps(value).encode()
        checksum = _checksum(self._checksum, key, data)
        record = _HEAD.pack(len(data), key, checksum) + data
        if self._end + len(record) > self._max_bytes or len(data) > self._max_value_bytes:
            self._stop(f"it may have {self._max_bytes:,} bytes")
            return
        if _write(self._descriptor, record) < len(record):
            self._stop("the disk is full")
            return
        self._values[key] = (self._end + _HEAD.size, len(data))
        self._end += len(record)
        self._checksum = checksum

    def mark(self) -> tuple[int, bytes]:
        """The present end of the journal, for `cut`."""
        return self._end, self._checksum

    def cut(self, mark: tuple[int, bytes]) -> None:
        """Remove the units that were added since `mark`."""
        end, checksum = mark
        if self._descriptor is None or end >= self._end:
            return
        self._is_full |= not _truncate(self._descriptor, end)
        self._values = {key: place for key, place in self._values.items() if place[0] < end}
        self._end, self._checksum = end, checksum

    def choose_sample(self, units: Iterable[int]) -> list[int]:
        """Choose some of the units found in the journal, by number, at random.

        The caller computes them afresh before it uses any of the units.
        """
        numbers = list(units)
        self._matching_units += len(numbers)
        due = math.ceil(self._matching_units / CHECKED_SHARE) - self._checked
        chosen = random.SystemRandom().sample(numbers, max(0, min(due, CHECKED_AT_ONCE, len(numbers))))
        self._checked += len(chosen)
        return sorted(chosen)

    def discard(self, problem: str) -> None:
        """Forget all answers, and delete them from the file."""
        log.warning("the journal of an earlier attempt is not used, and its answers are computed: %s", problem)
        self._values.clear()
        self.replayed = self._matching_units = self._checked = 0
        if self._descriptor is not None:
            self._begin(self._descriptor)

    def _begin(self, descriptor: int) -> None:
        self._end, self._checksum = len(self._header), _checksum(b"", b"", self._header)
        if not self._is_writable:
            return
        if not _truncate(descriptor, 0) or _write(descriptor, self._header) < len(self._header):
            log.warning("there is no journal: the disk is full")
            self._descriptor = None

    def _read(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        if size == 0:
            self._begin(descriptor)
            return
        if size > self._max_bytes:
            self.discard(f"it has {size:,} bytes, and may have {self._max_bytes:,}")
            return
        try:
            with io.BufferedReader(_FileReader(descriptor), _READ_BYTES) as file:
                if file.read(len(self._header)) != self._header:
                    self.discard("it is of another evaluation, or no journal")
                    return
                self._end, self._checksum = len(self._header), _checksum(b"", b"", self._header)
                problem = self._read_records(file, size)
        except OSError as error:  # a bad block, at which every later attempt would fail, too
            self.discard(f"it cannot be read: {error.strerror}")
            return
        if problem:
            log.warning(
                "the journal of an earlier attempt ends in %s at byte %d of %d: what is before it is used (%d units)",
                problem, self._end, size, len(self._values),
            )  # fmt: skip
            if self._is_writable:
                self._is_full |= not _truncate(descriptor, self._end)

    def _read_records(self, file: Any, size: int) -> str:
        """Read records to the end or to the first invalid one; return what is wrong with it, "" if all are valid."""
        while self._end < size:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return "a torn record"
            length, key, checksum = _HEAD.unpack(head)
            if length > self._max_value_bytes:
                return f"a record of {length:,} bytes"
            if len(self._values) == MAX_UNITS:
                return f"more than {MAX_UNITS:,} records"
            value = file.read(length)
            if len(value) < length:
                return "a torn record"
            if _checksum(self._checksum, key, value) != checksum:
                return "a record that was changed or is out of order"
            self._values.setdefault(key, (self._end + _HEAD.size, length))
            self._end += _HEAD.size + length
            self._checksum = checksum
        return ""

    def _stop(self, problem: str) -> None:
        """Take no more answers. The records in the file stay for a later attempt, and can still be read."""
        log.warning("the journal takes no more answers: %s", problem)
        if self._descriptor is not None:
            _truncate(self._descriptor, self._end)
        self._is_full = True


class _FileReader(io.RawIOBase):
    """Reads a file from its start, at a position of its own: several processes may share the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._place = 0

    def readable(self) -> bool:
        """True: the file can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into `buffer`; return their number."""
        count = os.preadv(self._descriptor, [buffer], self._place)
        self._place += count
        return count


def _write(descriptor: int, data: bytes) -> int:
    """Write as much of `data` as the disk and the file's limit allow; return the number of bytes."""
    try:
        return os.write(descriptor, data)
    except OSError:
        return 0


def _truncate(descriptor: int, size: int) -> bool:
    """Cut the file off; False if the disk refuses, as some do while they are full.

    After False the journal takes no more answers: the bytes left behind its end would precede them.
    """
    try:
        os.ftruncate(descriptor, size)
    except OSError as error:
        log.warning("the journal cannot be cut off, and takes no more answers: %s", error.strerror)
        return False
    return True


def _checksum(previous: bytes, key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(previous + key + value, digest_size=_KEY_BYTES).digest()


def unit_key(kind: str, options: object, parts: Iterable[bytes | str | Sequence[int]]) -> bytes:
    """The key of a unit: of its kind, its options (as JSON), and its texts or tokens in order."""
    digest = hashlib.blake2b(json.dumps([kind, options], sort_keys=True, default=repr).encode(), digest_size=_KEY_BYTES)
    for part in parts:
        data = part if isinstance(part, bytes) else _bytes(part)
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()


def _bytes(part: str | Sequence[int]) -> bytes:
    return part.encode("utf-8", "surrogatepass") if isinstance(part, str) else array("q", part).tobytes()


def read_scores(value: Any, count: int) -> list[tuple[float, bool]] | None:
    """A value of the journal as `count` log-likelihoods, each with whether its answer is the most likely one.

    None if it is something else.
    """
    if not isinstance(value, list) or len(value) != count:
        return None
    scores: list[tuple[float, bool]] = []
    for item in value:
        if not (isinstance(item, list) and len(item) == 2):
            return None
        number, greedy = item
        if type(number) is not float or not math.isfinite(number) or not isinstance(greedy, bool):
            return None
        scores.append((number, greedy))
    return scores
