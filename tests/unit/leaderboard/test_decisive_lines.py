"""Which lines of a log are worth quoting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leaderboard.evidence import MAX_LINE_CHARS, MAX_LINES, decisive_lines

LOG = """12:00:01 download: 3 files
12:00:09 load: model
  0%|          | 0/100 [00:00<?, ?it/s]
Traceback (most recent call last):
  File "a.py", line 3, in load
    model = load(path)
ValueError: shape mismatch: expected (4, 8), found (4, 9)

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 9, in main
RuntimeError: the model could not be loaded
12:00:10 ended
"""


def test_the_errors_of_a_log_are_quoted_and_nothing_else() -> None:
    """A traceback is quoted by its exceptions, without frames and progress bars."""
    assert decisive_lines(LOG) == [
        "ValueError: shape mismatch: expected (4, 8), found (4, 9)",
        "RuntimeError: the model could not be loaded",
    ]


def test_a_log_without_an_error_is_quoted_from_its_end() -> None:
    """A log without errors is quoted by its last lines; an empty log gives none."""
    assert decisive_lines("one\ntwo\n\nthree\n", limit=2) == ["two", "three"]
    assert decisive_lines("") == []


def test_memory_that_ran_out_is_decisive() -> None:
    """A line with the kernel's or the GPU library's message about lack of memory is quoted."""
    line = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
    assert decisive_lines(f"a\n{line}\nb") == [line]
    assert decisive_lines("a\nworker: the child was Killed by the kernel\nb") == [
        "worker: the child was Killed by the kernel"
    ]


@given(st.text(max_size=3_000))
def test_lines_are_few_and_short(log: str) -> None:
    """Any log gives a bounded number of bounded single lines."""
    lines = decisive_lines(log)
    assert len(lines) <= MAX_LINES
    assert all(len(line) <= MAX_LINE_CHARS + 2 and "\n" not in line for line in lines)
