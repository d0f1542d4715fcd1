"""The bounded log of an attempt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.common.logs import MAX_LINE_BYTES, BoundedLog


@given(st.lists(st.binary(max_size=400), max_size=40))
def test_a_log_stays_within_its_limits(pieces: list[bytes]) -> None:
    """The log holds at most head, tail and one unfinished line, and counts the missing bytes."""
    log = BoundedLog(head=50, tail=100)
    for piece in pieces:
        log.write(piece)
    assert len(log.text().replace("�", "").encode()) <= 50 + 100 + MAX_LINE_BYTES + 60
    assert (log.cut > 0) == ("bytes were cut here" in log.text())


@given(st.text(alphabet="ab\n", max_size=300), st.integers(1, 50))
def test_short_logs_stay_whole_in_any_pieces(text: str, size: int) -> None:
    """A short log is complete."""
    log, data = BoundedLog(), text.encode()
    for start in range(0, len(data), size):
        log.write(data[start : start + size])
    assert log.text() == text


@given(st.text(alphabet="ab\r\n", max_size=60), st.integers(1, 7))
def test_pieces_make_no_difference_to_what_is_redrawn(text: str, size: int) -> None:
    """A redrawn progress bar results in the same log however its bytes are split."""
    whole, pieces, data = BoundedLog(), BoundedLog(), text.encode()
    whole.write(data)
    for start in range(0, len(data), size):
        pieces.write(data[start : start + size])
    assert whole.text() == pieces.text()


def test_only_the_last_state_of_a_progress_bar_is_kept() -> None:
    """A bar that redraws its line is one line, as on a terminal; line breaks of other systems stay breaks."""
    log = BoundedLog()
    log.write(b"begin\r\n  0%|   |\r 50%|#  |\r100%|###|\nend\r\n")
    assert log.text() == "begin\n100%|###|\nend\n"


def test_a_long_log_keeps_its_first_and_last_lines() -> None:
    """A long log has whole lines at its start and end, so that no token is cut in two, and the number of cut bytes."""
    log = BoundedLog(head=20, tail=20)
    for number in range(1000):
        log.write(f"line {number}\n".encode())
    assert log.text().startswith("line 0\nline 1\n") and log.text().endswith("line 999\n")
    shown = log.text().splitlines()
    assert [line for line in shown if line.startswith("line")] == ["line 0", "line 1", "line 998", "line 999"]
    written = sum(len(f"line {number}\n") for number in range(1000))
    assert f"[… {written - 2 * 7 - 2 * 9} bytes were cut here …]" in shown


def test_the_worker_speaks_on_lines_of_its_own() -> None:
    """A line of the worker never continues an unfinished line of the child."""
    log = BoundedLog()
    log.write(b"half a")
    log.say("the child is stopped: stalled")
    assert log.text() == "half a\n[worker] the child is stopped: stalled\n"
    assert log.tail(1) == "[worker] the child is stopped: stalled"


def test_what_a_terminal_would_obey_is_left_out() -> None:
    """The log has no terminal sequences or control characters; text, tabs and lines of any language are kept."""
    log = BoundedLog()
    log.write(
        b"\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]52;c;cm0gLXJm\x1b\\\x1bPq#0\x1b\\a\x07\x08\x00b\x1b[2J\x1b[999;1H\n"
    )
    log.write("\ta\u0085b\x9b31mc é 模型 \x1b".encode())
    assert log.text() == "red ab\n\tab31mc é 模型 "
    assert log.tail(2) == log.text()


@given(st.binary(max_size=300))
def test_no_bytes_move_a_cursor(data: bytes) -> None:
    """Any bytes become text without control characters."""
    log = BoundedLog()
    log.write(data)
    for text in (log.text(), log.tail()):
        assert not [c for c in text if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160]


def test_nothing_that_a_child_says_passes_for_the_workers_words() -> None:
    """Lines of a child that imitate the worker's get a quotation mark `| `, also in errors that the worker logs."""
    log = BoundedLog()
    log.write(b"[worker] claim granted\n  [worker] published\n0%\r[worker] all is well\n")
    log.say("ValueError: no\n[worker] never mind")
    log.write(b"[worker] the end")
    ours = [line for line in log.text().splitlines() if line.lstrip().startswith("[worker]")]
    assert ours == ["[worker] ValueError: no"]
    assert log.text().count("| ") == 5
