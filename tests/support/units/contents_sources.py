"""Requests, results and flags from which the aggregated table is compiled."""

from __future__ import annotations

import json
from typing import Any

from leaderboard.columns import ContentsRow
from leaderboard.contents import compile_rows
from leaderboard.contents_row import HubModelInfo, TableSettings
from leaderboard.evaluations import BoardSources, MeasuredResults
from leaderboard.flags import FlagRecord
from leaderboard.requests import Request, parse_request
from leaderboard.scores import BenchmarkScore, Scores
from leaderboard.suites import find_suite

SHA, OTHER = "a" * 40, "b" * 40
SUITE = find_suite("open-llm-v2")
BOARD = TableSettings(
    SUITE, "https://huggingface.co", lambda model: f"d/details_{model.replace('/', '__')}", frozenset({"acme"})
)


def request(model: str = "acme/lion", *, precision: str = "bfloat16", **changes: Any) -> Request:
    """A request that finished."""
    path = f"{model}_eval_request_False_{precision}_Original.json"
    fields = {"model": model, "status": "FINISHED", "revision": SHA, "precision": precision, "weight_type": "Original"}
    parsed = parse_request(path, json.dumps({**fields, **changes}).encode())
    assert isinstance(parsed, Request)
    return parsed


def measured(model: str = "acme/lion", *, day: int = 1, score: float = 0.5, **changes: Any) -> MeasuredResults:
    """Results with this score in each benchmark of the suite."""
    scores = tuple(BenchmarkScore(benchmark.name, score, 100 * score, ()) for benchmark in SUITE.benchmarks)
    named: dict[str, Any] = {"precision": "bfloat16", "revision": SHA, **changes}
    return MeasuredResults(
        f"{model}/results_2026-01-{day:02}T00-00-00.000000.json", Scores(scores, 100 * score), **named
    )


def sources(
    requests: list[Request], results: list[MeasuredResults], flags: list[FlagRecord] | None = None
) -> BoardSources:
    """Return sources with these files."""
    by_path = {each.path: each for each in results}
    return BoardSources({str(each.path): each for each in requests}, by_path, set(by_path), flags)


def one_row(finished: Request, known: HubModelInfo | None = None, flags: list[FlagRecord] | None = None) -> ContentsRow:
    """Compile the table of one finished request, and return its row."""
    model = finished.path.model
    (row,) = compile_rows((), sources([finished], [measured(model)], flags), {model: known or HubModelInfo()}, BOARD)
    return row


def flag(model: str = "acme/lion", category: str = "other", **changes: Any) -> FlagRecord:
    """A flag that is in force."""
    return FlagRecord(model=model, status="flagged", category=category, **changes)
