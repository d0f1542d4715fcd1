"""The output of the log."""

from __future__ import annotations

import io
import sys

import pytest
import structlog

from redis_state.logs import configure_logs


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
