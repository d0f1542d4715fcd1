"""The test helpers that look for processes left running."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.workers.worker_process import command_line, is_sleeper


def test_a_process_that_ends_while_it_is_looked_at_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends between open and read of its files counts as gone."""

    def ended(_path: Path) -> bytes:
        raise ProcessLookupError(3, "No such process")

    monkeypatch.setattr(Path, "read_bytes", ended)
    assert command_line(1) == b"" and not is_sleeper(1)
