"""The eye on what a worker leaves running."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.workers.worker_process import command_line, is_sleeper


def test_a_process_that_ends_while_it_is_looked_at_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a process can be opened, and not be read any more once the process has ended."""

    def ended(_path: Path) -> bytes:
        raise ProcessLookupError(3, "No such process")

    monkeypatch.setattr(Path, "read_bytes", ended)
    assert command_line(1) == b"" and not is_sleeper(1)
