"""Benchmarks print their figures for people, and with `--json` one JSON object as the last line."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from benchmarks import flags, rescore

FIGURES = {
    "models": 2,
    "flags": 1,
    "seconds": 0.1,
    "calls": 3,
    "first_seconds": 0.2,
    "first_calls": 4,
    "codes": ["copy"],
}


@pytest.mark.parametrize("benchmark", [flags, rescore])
def test_json_is_printed_where_it_is_asked_for(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--json`, a benchmark prints its figures as JSON in the last line; without it, no line is JSON."""
    monkeypatch.setattr(benchmark, "measure", lambda _options: FIGURES)
    monkeypatch.setattr(sys, "argv", ["benchmark", "--json"])
    benchmark.main()
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == FIGURES
    monkeypatch.setattr(sys, "argv", ["benchmark"])
    benchmark.main()
    assert "{" not in capsys.readouterr().out
