"""Request files whose details repo has a name that is not valid on the Hub."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.core.context import BoardContext
from bot.results import rescoring
from bot.results.details_reader import DetailsRefused, TableAddress, _link
from bot.results.every_eval_export import ExportReport, _write_samples
from bot.results.missing_errors import CannotCompute, LackingErrors, _rows
from bot.results.rescoring import CannotRescore, EarlierResults, save_tables
from hub.client import Hub
from steward.commands.rescore import _publish_tables

NAMES = ["a b/c", "../other", "a/b/c"]
RESULTS = "org/m/results_2026-01-01T00-00-00.000000.json"


@pytest.mark.parametrize("name", ["", *NAMES])
def test_an_invalid_repo_name_has_no_public_table(name: str, tmp_path: Path) -> None:
    """Details with an invalid repo name are refused as not public; the Hub's error used to end every later sync."""
    table = TableAddress(name, "run/details.parquet", "task")
    with pytest.raises(DetailsRefused) as refused:
        _link(cast(BoardContext, None), cast(Hub, None), table, tmp_path / "table")
    assert refused.value.code == "not-public"


@pytest.mark.parametrize("name", NAMES)
def test_a_command_leaves_out_results_whose_details_have_no_name_on_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`steward errors` and `steward rescore` report results whose details repo has an invalid name, and do not end."""
    monkeypatch.setattr(rescoring, "published_commit", lambda *_: "main")
    benchmark = cast(Any, SimpleNamespace(restricted=False, tasks=[SimpleNamespace(name="task")]))
    board = SimpleNamespace(repos=SimpleNamespace(details=lambda model: model))
    context = cast(Any, SimpleNamespace(hub=None, board=board))
    with pytest.raises(CannotCompute, match="has no table at main"):
        next(iter(_rows(context, LackingErrors(RESULTS, "0" * 40, name), benchmark, "table", "main")))
    file = SimpleNamespace(steward=SimpleNamespace(details=name))
    finished = cast(Any, SimpleNamespace(request=SimpleNamespace(path=SimpleNamespace(model="org/m"), file=file)))
    earlier = EarlierResults(RESULTS, b"", cast(Any, SimpleNamespace(rescored_from=None, attempt="a")))
    with pytest.raises(CannotRescore, match="or the bot may not read it"):
        save_tables(context, finished, earlier, cast(Any, SimpleNamespace(benchmarks=[benchmark])), tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_new_tables_of_such_results_are_refused_and_the_command_goes_on(name: str, tmp_path: Path) -> None:
    """New tables for an invalid details repo are refused with a message, and `steward rescore` goes on."""
    repos = SimpleNamespace(details=lambda model: model, restricted_details=lambda model: f"{model}-restricted")
    context = cast(Any, SimpleNamespace(hub=None, board=SimpleNamespace(repos=repos)))
    file = SimpleNamespace(steward=SimpleNamespace(details=name))
    finished = cast(Any, SimpleNamespace(request=SimpleNamespace(path=SimpleNamespace(model="org/m"), file=file)))
    assert "is no name of a repo" in _publish_tables(context, finished, {}, cast(Any, None), tmp_path, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_an_export_leaves_out_answers_whose_repo_has_no_name_on_the_hub(name: str, tmp_path: Path) -> None:
    """The export writes an evaluation with an invalid details repo without its answers, and reports that."""
    request = SimpleNamespace(
        path=SimpleNamespace(model="org/m"), file=SimpleNamespace(steward=SimpleNamespace(details=name))
    )
    context = cast(Any, SimpleNamespace(board=SimpleNamespace(repos=SimpleNamespace(details=lambda model: model))))
    exported, report = (
        cast(Any, SimpleNamespace(path=RESULTS, evaluation=SimpleNamespace(request=request))),
        ExportReport(),
    )
    assert _write_samples(context, cast(Hub, None), exported, tmp_path, "record", report) is None
    assert "is no name of a repo" in report.left_out[f"{RESULTS} (answers)"]
    assert list(tmp_path.iterdir()) == []
