"""The journal of an evaluation's answers: a damaged one is read up to the damage, or not at all."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.evaluation.shared_prefix import journal as journal_module
from workers.evaluation.shared_prefix.journal import AnswerJournal, read_scores, unit_key

IDENTITY = "a" * 64
Units = list[tuple[bytes, Any]]

UNITS = st.lists(
    st.tuples(
        st.binary(min_size=16, max_size=16),
        st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.booleans()).map(list), max_size=4)
        | st.text(max_size=20),
    ),
    max_size=8,
    unique_by=lambda unit: unit[0],
)


@contextmanager
def opened(path: Path, identity: str = IDENTITY, max_bytes: int = 1 << 20) -> Iterator[AnswerJournal]:
    """The journal in `path`, by a descriptor as the zygote opens it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        yield AnswerJournal(descriptor, identity, max_bytes)
    finally:
        os.close(descriptor)


def write(path: Path, units: Units) -> None:
    """Write a new journal of `units`."""
    path.write_bytes(b"")
    with opened(path) as journal:
        for key, value in units:
            journal.add(key, value)


def read(path: Path, units: Units) -> int:
    """Check that the journal holds a beginning of `units`, and return its length."""
    with opened(path) as journal:
        values = [journal.get(key) for key, _ in units]
        count = journal.units
    assert values[:count] == [value for _, value in units[:count]]
    assert values[count:] == [None] * (len(units) - count)
    return count


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that all examples of a property use, one after the other."""
    return tmp_path_factory.mktemp("journals") / "0"


@given(UNITS, st.data())
@settings(max_examples=33, deadline=None)
def test_a_journal_that_is_cut_anywhere_holds_the_units_before(path: Path, units: Units, data: st.DataObject) -> None:
    """After a cut at any byte the complete records before it are read, and new ones are appended after them."""
    write(path, units)
    size = path.stat().st_size
    os.truncate(path, data.draw(st.integers(0, size)))
    count = read(path, units)
    with opened(path) as journal:
        for key, value in units[count:]:
            journal.add(key, value)
    assert read(path, units) == len(units) and path.stat().st_size == size


@given(UNITS.filter(bool), st.data())
@settings(max_examples=33, deadline=None)
def test_no_changed_byte_changes_an_answer(path: Path, units: Units, data: st.DataObject) -> None:
    """If any byte is changed, only the units before it are read, as they were written."""
    write(path, units)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert read(path, units) < len(units)


@given(UNITS.filter(lambda units: len(units) > 1), st.data())
@settings(max_examples=33, deadline=None)
def test_records_out_of_order_end_the_journal(path: Path, units: Units, data: st.DataObject) -> None:
    """After records were reordered, repeated or left out, only the records before the first wrong one are read."""
    write(path, units)
    content, places = path.read_bytes(), [0]
    with opened(path) as journal:
        places += [start - 36 for start, _ in sorted(journal._values.values())] + [len(content)]
    header, *records = (content[start:end] for start, end in pairwise(places))
    order = data.draw(st.lists(st.sampled_from(range(len(records))), max_size=len(records) + 2))
    path.write_bytes(header + b"".join(records[number] for number in order))
    in_order = next((at for at, number in enumerate(order) if at != number), len(order))
    assert read(path, units) == min(in_order, len(units))


@given(st.binary(max_size=300))
@settings(max_examples=33, deadline=None)
def test_a_file_of_random_bytes_is_read_as_an_empty_journal(path: Path, noise: bytes) -> None:
    """Random bytes, with or without a valid header before them, hold no unit, and the file can be used afterwards."""
    header = f"steward-journal 1 {IDENTITY}\n".encode()
    for content in (noise, header + noise):
        path.write_bytes(content)
        with opened(path) as journal:
            assert journal.units == 0
            journal.add(b"k" * 16, "text")
        assert read(path, [(b"k" * 16, "text")]) == 1


DAMAGES = [
    ("torn", lambda content: content[:-3], "ends in a torn record"),
    ("changed", lambda content: content[:-3] + b"xxx", "ends in a record that was changed or is out of order"),
    ("oversized record", lambda content: content + b"\xff" * 36, "ends in a record of 4,294,967,295 bytes"),
    ("of another evaluation", lambda content: content.replace(b"a" * 64, b"b" * 64), "it is of another evaluation"),
    ("oversized", lambda content: content + bytes(1 << 20), "and may have 1,048,576"),
]


@pytest.mark.parametrize(("damage", "line"), [damage[1:] for damage in DAMAGES], ids=[damage[0] for damage in DAMAGES])
def test_the_log_says_what_is_wrong(tmp_path: Path, damage: Any, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """For each damage the log has one line that names it."""
    write(tmp_path / "0", [(b"a" * 16, 1), (b"b" * 16, 2)])
    (tmp_path / "0").write_bytes(damage((tmp_path / "0").read_bytes()))
    with opened(tmp_path / "0"):
        pass
    assert [line in record.getMessage() for record in caplog.records] == [True]


def test_a_full_journal_takes_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A journal at its limit takes no more answers and logs this once; its answers can still be read."""
    with opened(tmp_path / "0", max_bytes=200) as journal:
        for number in range(20):
            journal.add(bytes([number]) * 16, "x" * 20)
        assert journal.get(bytes(16)) == "x" * 20 and journal.get(bytes([19]) * 16) is None
    assert (tmp_path / "0").stat().st_size <= 200
    assert [record.getMessage() for record in caplog.records] == [
        "the journal takes no more answers: it may have 200 bytes"
    ]


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes, as if the disk were full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_ends_the_journal_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On a full disk the journal raises no error and takes no more answers; complete records can still be read."""
    with opened(tmp_path / "0") as journal:
        with file_limit(150):
            for number in range(3):
                journal.add(bytes([number]) * 16, "x" * 5)
        assert journal.get(bytes(16)) == "x" * 5 and journal.get(b"\1" * 16) is None
    assert read(tmp_path / "0", [(bytes(16), "x" * 5)]) == 1
    assert "the journal takes no more answers: the disk is full" in caplog.text
    with file_limit(10), opened(tmp_path / "1") as journal:
        assert not journal.is_open


def test_a_record_that_is_not_json_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record with a valid checksum whose content cannot be read counts as missing."""
    for data in (b"[" * 100_000, b"\xff", b""):
        with monkeypatch.context() as patch:
            patch.setattr(journal_module.json, "dumps", lambda _, raw=data: SimpleNamespace(encode=lambda: raw))
            write(tmp_path / "0", [(bytes(16), None)])
        with opened(tmp_path / "0") as journal:
            assert journal.units == 1 and journal.get(bytes(16)) is None


@pytest.mark.parametrize(
    "value",
    [None, {}, [], [[0.5, True]], [[0.5, True], [1, True]], [[0.5, True], [0.5]], [[0.5, True], [float("nan"), True]],
     [[0.5, True], [0.5, 1]], [[0.5, True], "ab"]],
    ids=repr,
)  # fmt: skip
def test_values_that_are_no_scores_are_none(value: Any) -> None:
    """Only pairs of a finite number and a truth value, as many as expected, are scores."""
    assert read_scores(value, 2) is None
    assert read_scores([[0.5, True], [-1e-9, False]], 2) == [(0.5, True), (-1e-9, False)]


def test_one_in_a_hundred_units_is_computed_afresh() -> None:
    """The journal chooses one in a hundred of the units found for a check, but never too many of them at once."""
    journal = AnswerJournal()
    chosen = [len(journal.choose_sample(range(10))) for _ in range(40)]
    assert chosen == ([1] + [0] * 9) * 4
    assert len(journal.choose_sample(range(100_000))) == journal_module.CHECKED_AT_ONCE
    assert journal.choose_sample([]) == []


def test_keys_tell_parts_apart() -> None:
    """Units of other kinds, options, texts or borders between texts have other keys."""
    keys = [
        unit_key("batch", None, [[1, 2], [3]]),
        unit_key("batch", None, [[1], [2, 3]]),
        unit_key("batch", None, [[1, 2, 3]]),
        unit_key("text", None, [[1, 2], [3]]),
        unit_key("batch", {"until": ["a"]}, [[1, 2], [3]]),
        unit_key("batch", None, ["ab", "c"]),
        unit_key("batch", None, ["a", "bc"]),
        unit_key("batch", None, ["\ud800"]),
    ]
    assert len(set(keys)) == len(keys)


def test_a_bad_block_of_the_disk_costs_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a record cannot be read from the disk, its unit counts as missing; an unreadable file is started anew."""

    def fails(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    path, key = tmp_path / "journal", b"k" * 16
    with opened(path) as journal:
        journal.add(key, "text")
    with monkeypatch.context() as patched, opened(path) as journal:
        patched.setattr(os, "pread", fails)
        assert key in journal and journal.get(key) is None
    with monkeypatch.context() as patched:
        patched.setattr(os, "preadv", fails)
        with opened(path) as journal:
            assert journal.units == 0
            journal.add(key, "again")
    with opened(path) as journal:
        assert journal.get(key) == "again"


def test_a_disk_that_cuts_no_file_costs_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a full file system cannot shorten the file, the journal raises no error and takes no more answers."""
    units = [(bytes([number]) * 16, f"answer {number}") for number in range(4)]
    with opened(tmp_path / "journal") as journal:
        journal.add(*units[0])
        mark = journal.mark()
        journal.add(*units[1])

        def fail(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "ftruncate", fail)
        journal.cut(mark)
        journal.add(*units[2])
        assert [journal.get(key) for key, _ in units] == ["answer 0", None, None, None]
        journal.discard("it is wrong")
        journal.add(*units[3])
        assert [journal.get(key) for key, _ in units] == [None] * 4
    (tmp_path / "journal").open("ab").write(b"torn")
    with opened(tmp_path / "journal") as journal:
        assert journal.get(units[0][0]) == "answer 0"
        journal.add(*units[3])
        assert journal.get(units[3][0]) is None
