"""The table of causes."""

from __future__ import annotations

import string

import pytest

from leaderboard.failures import CAUSES, Cause, cause, may_retry, table

ISSUE_2 = {
    "remote-code-needed", "unknown-architecture", "weights-corrupted", "weights-missing", "config-unreadable",
    "tokenizer-missing", "model-gone", "dataset-unavailable", "out-of-memory", "time-limit", "stalled", "disk-full",
    "network", "worker-lost", "cancelled", "harness-error", "unknown",
}  # fmt: skip


def test_every_cause_that_is_needed_has_a_row() -> None:
    """The deaths that an evaluation is known to die."""
    assert set(CAUSES) >= ISSUE_2


@pytest.mark.parametrize("row", CAUSES.values(), ids=lambda row: row.code)
def test_every_row_says_something_to_a_person(row: Cause) -> None:
    """A sentence that ends, advice that ends, no template left open, and a failure that can be stored."""
    failure = row.failure("why *it* {broke}")
    assert failure.message[0] in string.ascii_uppercase
    assert failure.message.endswith((".", "}"))
    assert failure.advice.endswith(".")
    assert "{detail}" not in failure.message
    assert failure.cause == row.code


def test_what_is_the_submitters_fault_is_never_tried_again_by_itself() -> None:
    """The same commit would fail the same way."""
    assert all(row.retry.times == 0 for row in CAUSES.values() if row.fault == "submission")


def test_retries_end() -> None:
    """An attempt is repeated as often as the table says, and then left."""
    assert may_retry("network", 1) == 60
    assert may_retry("network", 3) == 60
    assert may_retry("network", 4) is None
    assert may_retry("weights-corrupted", 1) is None


def test_a_detail_is_cut_and_put_on_one_line() -> None:
    """A stranger's text stays short, and cannot bring paragraphs of its own."""
    failure = cause("weights-corrupted").failure("a\nb" + "x" * 10_000)
    assert "\n" not in failure.message
    assert len(failure.message) < 500


def test_an_unknown_code_is_unknown() -> None:
    """A newer worker may know causes that an older bot does not."""
    assert cause("struck-by-lightning").code == "unknown"


def test_a_code_stands_for_one_cause() -> None:
    """Two rows of one name would hide each other."""
    with pytest.raises(ValueError, match="two causes"):
        table([CAUSES["network"], CAUSES["network"]])
