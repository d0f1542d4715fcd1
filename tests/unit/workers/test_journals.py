"""The store of answer journals on a worker's disk: which attempt may use a journal, and when it is removed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.workers.evaluation_inputs import plan
from workers.evaluation.shared_prefix.journal import HEADER_BYTES
from workers.jobs import journals as journals_module
from workers.jobs.journals import JournalsInUse, JournalStore, evaluation_identity, portable_identity

MEBIBYTE = 1 << 20


def identity(number: int) -> str:
    """A fake identity of an evaluation."""
    return f"{number:064x}"


def leave(store: JournalStore, number: int, size: int = 0, age: float = 0.0) -> None:
    """Leave a journal of `size` bytes, last used `age` seconds ago."""
    held = store.open(identity(number), 1)
    assert held is not None
    os.truncate(held.files[0], size)
    held.release()
    os.utime(held.folder / "lock", (time.time() - age,) * 2)


def stored(store: JournalStore) -> set[int]:
    """The evaluations of which there are journals."""
    return {int(folder.name, 16) for folder in store.root.iterdir() if folder.is_dir()}


def test_journals_stay_until_they_are_removed(tmp_path: Path) -> None:
    """Journals have one file per copy of the model, for the worker's user only, and are kept until they are removed."""
    store = JournalStore(tmp_path / "journals", 10 * MEBIBYTE)
    held = store.open(identity(1), 2)
    assert held is not None and held.found_bytes == 0 and held.max_bytes == 5 * MEBIBYTE
    assert [file.stat().st_mode & 0o777 for file in held.files] == [0o600] * 2
    assert held.folder.stat().st_mode & 0o777 == 0o700
    held.files[1].write_bytes(b"answers")
    held.release()
    again = store.open(identity(1), 2)
    assert again is not None and again.found_bytes == 7 and again.files[1].read_bytes() == b"answers"
    again.remove()
    assert stored(store) == set()


def test_two_attempts_never_share_a_journal(tmp_path: Path) -> None:
    """While an attempt uses the journals of an evaluation, no other attempt can open them."""
    store = JournalStore(tmp_path / "journals", 10 * MEBIBYTE)
    held = store.open(identity(1), 1)
    assert held is not None
    with pytest.raises(JournalsInUse):
        store.open(identity(1), 1)
    other = store.open(identity(2), 1)
    assert other is not None and other.files != held.files
    held.release()
    assert store.open(identity(1), 1) is not None


def test_the_least_recently_used_journals_are_evicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store removes journals that are too old, too many or too large, the oldest first, but none that is in use."""
    monkeypatch.setattr(journals_module, "MAX_JOURNALS", 4)
    monkeypatch.setattr(journals_module, "MAX_BYTES", 4 * MEBIBYTE)
    store = JournalStore(tmp_path / "journals", 10 * MEBIBYTE)
    leave(store, 1, age=journals_module.MAX_AGE_SECONDS + 1)
    leave(store, 2, age=500)
    assert stored(store) == {2}
    held = store.open(identity(3), 1)
    assert held is not None
    os.utime(held.folder / "lock", (time.time() - 900,) * 2)
    leave(store, 4, age=400)
    leave(store, 5, age=300)
    leave(store, 6, age=200)
    assert stored(store) == {3, 4, 5, 6}  # 3 is in use
    leave(store, 5, size=4 * MEBIBYTE, age=300)
    leave(store, 6, size=4 * MEBIBYTE, age=200)
    leave(store, 7)
    assert stored(store) == {3, 6, 7}  # beside the new one there is room for 6 MiB


def test_what_a_killed_worker_left_of_a_journal_is_removed(tmp_path: Path) -> None:
    """The store removes journals without a lock file, left by a worker that was killed while it removed them."""
    store = JournalStore(tmp_path / "journals", 10 * MEBIBYTE)
    leave(store, 1, size=4 * MEBIBYTE)
    (store.root / identity(1) / "lock").unlink()
    (store.root / "branches").mkdir()
    leave(store, 2)
    assert {folder.name for folder in store.root.iterdir() if folder.is_dir()} == {identity(2), "branches"}


def test_a_journal_that_is_too_large_is_emptied(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The store empties a journal that is larger than the current limit, and logs why."""
    leave(JournalStore(tmp_path / "journals", 10 * MEBIBYTE), 1, size=4 * MEBIBYTE)
    held = JournalStore(tmp_path / "journals", 3 * MEBIBYTE).open(identity(1), 1)
    assert held is not None and held.found_bytes == 0 and held.files[0].stat().st_size == 0
    assert "a journal of 4194304 bytes is not used: it may have 3145728" in caplog.text


def test_without_enough_room_an_evaluation_has_no_journals(tmp_path: Path) -> None:
    """If the limit is 0, or too small for the number of copies, an evaluation has no journals."""
    assert JournalStore(tmp_path / "journals", 0).open(identity(1), 1) is None
    assert JournalStore(tmp_path / "journals", 3 * MEBIBYTE).open(identity(1), 4) is None
    assert not (tmp_path / "journals").exists()


def test_a_link_in_the_place_of_a_journal_is_not_followed(tmp_path: Path) -> None:
    """The store raises an error for a journal file that is a symbolic link."""
    store = JournalStore(tmp_path / "journals", 10 * MEBIBYTE)
    leave(store, 1)
    file = store.root / identity(1) / "0"
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        store.open(identity(1), 1)


def test_answers_for_other_machines_are_stored_with_the_journals(tmp_path: Path) -> None:
    """Each copy of the model has a file of answers to share if the limit allows it; fetched answers can be dropped."""
    store = JournalStore(tmp_path / "journals", 4_000 * MEBIBYTE)
    held = store.open(identity(1), 2)
    assert held is not None and held.answers_bytes * 2 <= journals_module.MAX_BYTES // 8
    assert [file.name for file in held.answers] == ["answers-0", "answers-1"] and not held.holds_answers
    (held.folder / "offered-00").write_bytes(b"answers")
    held.files[1].write_bytes(bytes(HEADER_BYTES + 1))
    writer = held.writer()
    held.release()
    again = store.open(identity(1), 2)
    assert again is not None and again.holds_answers and again.writer() == writer
    assert [file.name for file in again.offered] == ["offered-00"]
    again.drop_offered()
    assert again.offered == () and again.holds_answers
    small = JournalStore(tmp_path / "small", 10 * MEBIBYTE).open(identity(1), 2)
    assert small is not None and small.answers == ()


FACTS: dict[str, Any] = {"questions": {"a/b": "0" * 40}, "versions": {"torch": "2"}, "hardware": "cpu"}


def test_an_identity_names_what_answers_depend_on(tmp_path: Path) -> None:
    """An identity changes with the model, suite, precision, copies, versions or machine, but not with a retry."""
    first = plan(tmp_path)
    same = [plan(tmp_path, 2), plan(tmp_path / "elsewhere"), first.model_copy(update={"batch_size": 2})]
    changes: list[dict[str, Any]] = [
        {"revision": "1" * 40}, {"suite_digest": "1" * 64}, {"dtype": "bfloat16"}, {"copies": 2},
        {"use_chat_template": True}, {"base_revision": "1" * 40}, {"quantisation": {"load_in_8bit": True}},
    ]  # fmt: skip
    others = [(first.model_copy(update=change), FACTS) for change in changes]
    others += [(first, {**FACTS, name: {"x": "y"} if isinstance(FACTS[name], dict) else "gpu"}) for name in FACTS]
    expected = evaluation_identity(first, **FACTS)
    assert {evaluation_identity(other, **FACTS) for other in same} == {expected}
    identities = {evaluation_identity(other, **facts) for other, facts in others}
    assert expected not in identities and len(identities) == len(others)


def test_a_portable_identity_leaves_out_the_machine(tmp_path: Path) -> None:
    """The portable identity is the same for other devices, copies and batch sizes, but not for other evaluations."""
    first, facts = plan(tmp_path), {"questions": {"a/b": "0" * 40}, "versions": {"torch": "2", "python": "3.11"}}
    same: list[dict[str, Any]] = [
        {"copies": 2}, {"device": "cuda"}, {"spread": "parts"}, {"batch_size": 8}, {"threads": 4},
    ]  # fmt: skip
    changes: list[dict[str, Any]] = [
        {"revision": "1" * 40}, {"suite_digest": "1" * 64}, {"dtype": "bfloat16"}, {"use_chat_template": True},
        {"base_revision": "1" * 40}, {"quantisation": {"load_in_8bit": True}}, {"engine": "harness"}, {"limit": 5},
    ]  # fmt: skip
    expected = portable_identity(first, **facts)
    assert {portable_identity(first.model_copy(update=change), **facts) for change in same} == {expected}
    assert portable_identity(first, **{**facts, "versions": {"torch": "2", "python": "3.12"}}) == expected
    others = {portable_identity(first.model_copy(update=change), **facts) for change in changes}
    others |= {portable_identity(first, **{**facts, name: {"torch": "3"}}) for name in facts}
    assert expected not in others and len(others) == len(changes) + len(facts)
