"""The table in memory limits the number of influence vectors that it holds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from bot.core.context import BoardContext
from bot.web import table as module
from bot.web.request_row import RequestRow
from bot.web.table import RequestTable


def row(path: str, influence: str = "") -> RequestRow:
    """The row of one evaluation."""
    return RequestRow(path, "org/model", "org/model", "finished", 1.0, {}, influence=influence)


def test_a_vector_that_is_gone_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vector of a removed row, or one that a row lost, no longer counts towards the limit."""
    monkeypatch.setattr(module, "MAX_PAIRED", 2)
    table = RequestTable(cast(BoardContext, SimpleNamespace(suite=SimpleNamespace(benchmarks=()))))
    lines: dict[str, RequestRow] = {}
    for _ in range(3):
        for path in ("a", "b"):
            table._put(lines, path, row(path, "vector"))
    table._put(lines, "c", row("c", "vector"))
    assert [line.influence for line in lines.values()] == ["vector", "vector", ""]
    for again in range(3):
        table._put(lines, "a", None if again else replace(lines["a"], influence=""))
        table._put(lines, "a", row("a", "vector"))
        assert lines["a"].influence == "vector"
    table._put(lines, "b", None)
    table._put(lines, "c", row("c", "vector"))
    assert {path: line.influence for path, line in lines.items()} == {"a": "vector", "c": "vector"}
