"""The output of the log."""

from __future__ import annotations

import io
import sys

import pytest
import structlog

from redis_state.logs import configure_logs, write_line


def test_events_go_to_standard_error_as_it_is_at_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log writes to the present standard error, even if the stream from the time of its setup is closed."""
    before = structlog.get_config()
    first, second = io.StringIO(), io.StringIO()
    try:
        monkeypatch.setattr(sys, "stderr", first)
        configure_logs("warning")
        log = structlog.get_logger()
        log.warning("one")
        first_text = first.getvalue()
        first.close()
        monkeypatch.setattr(sys, "stderr", second)
        log.warning("two")
    finally:
        structlog.configure(**before)
    assert "one" in first_text and "two" in second.getvalue()


def test_lines_that_cannot_be_written_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk neither an event nor a line raises; the next one that is written says how many could not be."""
    before = structlog.get_config()
    try:
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True))
        configure_logs("warning")
        structlog.get_logger().warning("lost")
        write_line("lost too")
        monkeypatch.setattr(sys, "stderr", later := io.StringIO())
        structlog.get_logger().warning("written")
        write_line("written too")
    finally:
        structlog.configure(**before)
    first, count, last = later.getvalue().splitlines()
    assert "written" in first and last == "written too"
    assert count == "steward: lines of this log that could not be written in time: 2"
