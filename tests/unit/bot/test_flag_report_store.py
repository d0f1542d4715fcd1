"""Reports of models that another version of Steward stored in Redis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from bot.core.context import BoardContext
from bot.flags.reports import FlagReport, find_report, reports


def test_a_report_of_another_version_stops_neither_lists_nor_syncs() -> None:
    """A report that cannot be parsed counts as missing, and the others are still listed."""
    stored = {
        "ada/good": FlagReport(model="ada/good").model_dump_json().encode(),
        "ada/other": b'{"model": "ada/other", "findings": "none"}',
    }
    redis = SimpleNamespace(hget=lambda _, name: stored.get(name), hvals=lambda _: list(stored.values()))
    context = cast(BoardContext, SimpleNamespace(redis=redis, keys=SimpleNamespace(flag_reports="reports")))
    assert [report.model for report in reports(context)] == ["ada/good"]
    assert find_report(context, "ada/other") is None
