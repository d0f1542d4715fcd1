"""Rescoring's processes get no token, survive the failure of one evaluation, and write tables of new scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from leaderboard.suites import find_suite
from steward.testing.waiting import wait_until
from tests.support.units.answers_tables import BENCHMARK, TASK, write
from tests.support.units.details_samples import sample
from workers.common import kernel
from workers.errors import RescoringRefused
from workers.publication.details import write_samples
from workers.rescoring.__main__ import _answer
from workers.rescoring.process import RescoringProcess
from workers.rescoring.rescored_tables import write_rescored_table
from workers.rescoring.scoring import PartScores, ScoringPart
from workers.rescoring.scoring_pool import ScoringPool
from workers.rescoring.stored_answers import open_table


class ScriptedPool:
    """A fake pool of processes, which returns the results of a function at once."""

    def __init__(self, score: Callable[[ScoringPart], PartScores]) -> None:
        self.score = score
        self.asked: list[frozenset[int] | None] = []

    def submit(self, _: object, part: ScoringPart) -> Any:
        """Record the questions, and return a future that has its result."""
        self.asked.append(part.only)
        return SimpleNamespace(result=lambda: self.score(part))


@pytest.mark.parametrize("is_slow_alone", [False, True])
def test_a_question_that_ran_out_of_time_is_scored_once_more_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_slow_alone: bool
) -> None:
    """A question that reached its time limit is scored again alone; if that succeeds, its part is scored again."""
    table = open_table(write(tmp_path, [{}, {}]), TASK)
    part = ScoringPart(TASK, table, table.groups, BENCHMARK)
    late = PartScores([0, 1], {("acc", "none"): [1.0, 0.0]}, timed_out=[1])
    good = PartScores([0, 1], {("acc", "none"): [1.0, 1.0]})
    pool = ScriptedPool(lambda _: late if is_slow_alone else good)
    scoring = ScoringPool(find_suite("starter"), 1, {})
    monkeypatch.setattr(scoring, "_processes", lambda: pool)
    answers = {0: late}
    scoring._score_alone([part], answers)
    assert answers == {0: late if is_slow_alone else good}
    assert pool.asked == [frozenset({1})] + ([] if is_slow_alone else [None])


def test_an_evaluation_that_cannot_be_read_ends_no_other(tmp_path: Path) -> None:
    """An unexpected error while one evaluation is scored becomes the refusal of that evaluation."""

    class Rescorer:
        def rescore(self, *_: object, **__: object) -> None:
            raise IndexError("index out of bounds")

    (tmp_path / "results.json").write_bytes(b"{}")
    order = dict.fromkeys(("tables", "source", "at", "out"), "x") | dict.fromkeys(("samples", "new_tables"))
    answer = _answer(cast(Any, Rescorer()), order | {"results": str(tmp_path / "results.json")})
    assert answer == {"refused": "its answers cannot be scored: IndexError: index out of bounds"}


def test_processes_that_end_refuse_one_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If processes end for lack of memory, the evaluation is refused, and the pool is closed for the next one."""

    class BrokenPool:
        def map(self, *_: object) -> None:
            raise BrokenProcessPool

        submit = map

        def shutdown(self, **_: object) -> None:
            closed.append(self)

    closed = list[object]()
    scoring = ScoringPool(find_suite("starter"), 1, {})
    monkeypatch.setattr(scoring, "_processes", lambda: scoring._pool)
    for call in (lambda: scoring.open([tmp_path]), lambda: scoring.write_tables(tmp_path, tmp_path, tmp_path)):
        scoring._pool = cast(Any, BrokenPool())
        with pytest.raises(RescoringRefused, match="too little memory"):
            call()
        assert scoring._pool is None
    assert len(closed) == 2


def test_the_process_gets_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has no token in its environment, and cannot read the command's environment in /proc."""
    monkeypatch.setenv("STEWARD_BOT_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with RescoringProcess(find_suite("starter").model_dump_json(), 1) as process:
        assert kernel.is_hidden_from_same_user()
        assert process._process is not None
        place = Path(f"/proc/{process._process.pid}/environ")
        assert wait_until(lambda: b"HF_HUB_OFFLINE" in place.read_bytes()), "the program was started"
        environment = place.read_bytes()
        process._process.kill()
    assert b"hf_secret" not in environment
    assert b"HF_HUB_OFFLINE=1" in environment
    assert not kernel.is_hidden_from_same_user()


def test_a_rescored_table_has_the_new_metrics_of_each_filter(tmp_path: Path) -> None:
    """A rescored table has a row with new metrics and earlier texts for each filter and each question scored again."""
    lines = [sample(doc_id=number, filter=name) for name in ("none", "other") for number in range(3)]
    (tmp_path / "lines").write_bytes(b"\n".join(lines) + b"\n")
    write_samples(tmp_path / "lines", tmp_path / "earlier.parquet", ["acc_norm,none"])
    scored = [
        {"doc_id": number, "filter": name, "answers": [name], "metrics": {"acc": number / 4}}
        for number in (0, 2)
        for name in ("strict", "loose")
    ]
    (tmp_path / "scored").write_text("".join(json.dumps(each) + "\n" for each in scored))
    earlier, new = tmp_path / "earlier.parquet", tmp_path / "new.parquet"
    assert write_rescored_table(earlier, tmp_path / "scored", new, BENCHMARK) == 4
    rows, before = pq.read_table(new).to_pylist(), pq.read_table(earlier).to_pylist()[2]
    assert [(row["filter"], row["doc_id"]) for row in rows] == [
        ("strict", 0),
        ("strict", 2),
        ("loose", 0),
        ("loose", 2),
    ]
    changed = {"filter": "strict", "answers": '["strict"]', "metrics": '{"acc": 0.5}', "score": 0.5}
    assert rows[1] == {**before, **changed}
    (tmp_path / "scored").write_text(json.dumps({**scored[0], "doc_id": 7}) + "\n")
    with pytest.raises(RescoringRefused, match="question 7 is not where it was"):
        write_rescored_table(earlier, tmp_path / "scored", new, BENCHMARK)
