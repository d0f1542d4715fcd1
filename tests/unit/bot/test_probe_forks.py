"""Whether the machine or the file is blamed when a fork of the probe ends without an answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.probe import forks
from bot.probe.questions import STARVED, TOO_COSTLY


@pytest.mark.parametrize(("is_killed", "expected"), [(True, STARVED), (False, TOO_COSTLY)])
def test_a_machine_without_memory_is_no_fault_of_the_files(
    is_killed: bool, expected: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork that the kernel kills is starved; one that exceeds its own memory limit is too costly."""

    def answers(_folder: Path, _question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield {}
        if is_killed:
            os.kill(os.getpid(), signal.SIGKILL)
        raise MemoryError

    monkeypatch.setattr(forks, "_BY_KIND", {"config": answers})
    assert forks.ask({"kind": "config", "folder": str(tmp_path)}) == expected
