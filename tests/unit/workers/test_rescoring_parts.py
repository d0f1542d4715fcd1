"""Rescoring reads stored questions and answers and scores them again, or refuses them with the reason."""

from __future__ import annotations

import json
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lm_eval.utils
import pytest
from jinja2.exceptions import SecurityError

from leaderboard.suites import find_suite
from tests.support.units.answers_tables import BENCHMARK, DOC, TASK, write
from workers.errors import RescoringRefused
from workers.evaluation.task_loading import aggregate_without
from workers.publication.details import CUT, MAX_TEXT
from workers.rescoring.rescorer import Rescorer
from workers.rescoring.scoring import AlarmWatch, PartScores, ScoringPart, score_part
from workers.rescoring.stored_answers import AnswersTable, open_table, typed_responses
from workers.rescoring.stored_docs import StoredDocs, leaves_questions_alone, render_once


class ScriptedTask:
    """A fake task of the harness, whose metric is a function of question and answer."""

    OUTPUT_TYPE = "generate_until"

    def __init__(self, metric: Callable[[dict[str, Any], list[str]], dict[str, Any]]) -> None:
        self.config = SimpleNamespace(process_results=metric)
        self.process_results = metric
        self._filters = [self]

    def apply(self, requests: list[Any]) -> None:
        """Keep the first repetition, as a filter of the harness does."""
        for request in requests:
            request.filtered_resps["none"] = request.resps[0]


def scored(table: AnswersTable, task: ScriptedTask, alarms: AlarmWatch | None = None, **more: Any) -> PartScores:
    """The scores of all answers in a table."""
    part = ScoringPart(TASK, table, table.groups, BENCHMARK, **more)
    return score_part(task, part, alarms or AlarmWatch())


def right(doc: dict[str, Any], answers: list[str]) -> dict[str, Any]:
    """A metric: 1 if the first answer is the question's `right` one, else 0."""
    return {"acc": float(answers[0] == doc.get("right", "It is."))}


def test_stored_responses_get_the_types_of_the_harness() -> None:
    """Numbers and booleans that were stored as text are read as the harness had them; invalid values are refused."""
    drawn = -12.345678901234567
    likelihoods = typed_responses("multiple_choice")
    assert likelihoods([[[str(drawn), "True"]], [["-0.5", "False"]]]) == [[(drawn, True)], [(-0.5, False)]]
    assert typed_responses("loglikelihood_rolling")([[str(drawn)]]) == [[drawn]]
    assert typed_responses("generate_until")([["a", "b"]]) == [["a", "b"]]
    for kind, bad in (("multiple_choice", [[["x", "True"]]]), ("multiple_choice", [[["1", "yes"]]]),
                      ("generate_until", [[1]]), ("generate_until", []), ("generate_until", [[]])):  # fmt: skip
        with pytest.raises((ValueError, KeyError, TypeError)):
            typed_responses(kind)(bad)


def test_one_row_of_each_question_is_read(tmp_path: Path) -> None:
    """Of a table with several filters, only the rows of the first filter are read and scored, in the table's order."""
    rows = [{"doc_id": number, "filter": name} for name in ("strict", "loose") for number in (2, 0, 1)]
    table = open_table(write(tmp_path, rows), TASK)
    assert (table.filter, table.questions, table.groups, table.sizes) == ("strict", (2, 0, 1), (0, 1), (2, 1))
    assert table.first == {"question": "What?"}
    scores = scored(table, ScriptedTask(right), withdrawn=frozenset((0,)))
    assert (scores.questions, scores.metrics) == ([2, 1], {("acc", "none"): [1.0, 1.0]})


@pytest.mark.parametrize(
    ("rows", "leave_out", "words"),
    [
        ([{}], "responses", "another layout: it lacks the columns responses"),
        ([{"doc_id": 1}, {"doc_id": 1}], "", "several rows of one question"),
        ([{"doc": DOC[:-1]}], "", "question 0 of small: it is not as the harness writes it"),
        ([{"doc": "[1]"}], "", "its question has no fields"),
        ([], "", "has 0 rows"),
    ],
)
def test_tables_of_another_form_are_refused(
    tmp_path: Path, rows: list[dict[str, Any]], leave_out: str, words: str
) -> None:
    """A table with a missing column, repeated or malformed questions, or no rows is refused with the reason."""
    with pytest.raises(RescoringRefused, match=words):
        open_table(write(tmp_path, rows, leave_out), TASK)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    """A file that is not a table or does not exist is refused with the reason."""
    (tmp_path / "table.parquet").write_bytes(b"no table")
    with pytest.raises(RescoringRefused, match="cannot be read"):
        open_table(tmp_path / "table.parquet", TASK)
    with pytest.raises(RescoringRefused, match="no table of the answers to small"):
        open_table(tmp_path / "other.parquet", TASK)


def test_answers_that_cannot_be_scored_are_named(tmp_path: Path) -> None:
    """Cut or missing answers, and questions whose metric fails, are listed with the reason, except withdrawn ones."""
    cut = json.dumps([["x" * MAX_TEXT]])[:MAX_TEXT] + CUT
    rows = [{}, {"responses": cut}, {"responses": None}, {"doc": "{}"}, {"doc": cut}]
    table = open_table(write(tmp_path, rows), TASK)

    def metric(doc: dict[str, Any], answers: list[str]) -> dict[str, Any]:
        return {"acc": float(bool(doc["question"] and answers))}

    scores = scored(table, ScriptedTask(metric), withdrawn=frozenset((4,)))
    assert scores.questions == [0]
    assert [answer.question for answer in scores.unusable] == [1, 2, 3]
    words = [answer.reason for answer in scores.unusable]
    assert words[0] == "its answer was cut after 200,000 characters when it was stored"
    assert words[1] == "its answer is missing"
    assert words[2] == "its metrics cannot be computed (KeyError: 'question')"


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> Iterator[AlarmWatch]:
    """An `AlarmWatch` that is installed for one test."""
    monkeypatch.setattr(signal, "signal", signal.signal)
    before, watch = signal.getsignal(signal.SIGALRM), AlarmWatch()
    watch.install()
    yield watch
    signal.setitimer(signal.ITIMER_REAL, 0)
    monkeypatch.undo()
    signal.signal(signal.SIGALRM, before)


def test_a_metric_that_runs_out_of_time_is_noticed(tmp_path: Path, alarms: AlarmWatch) -> None:
    """A question whose metric reaches its time limit is listed, although the metric catches the alarm and returns 0."""
    table = open_table(write(tmp_path, [{}, {"responses": json.dumps([["slow"]])}, {}]), TASK)

    def on_alarm(*_: object) -> None:
        raise TimeoutError

    def metric(_: dict[str, Any], answers: list[str]) -> dict[str, Any]:
        previous = signal.getsignal(signal.SIGALRM)
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.01 if answers[0] == "slow" else 5)
        try:
            while answers[0] == "slow":
                time.sleep(1)
        except TimeoutError:
            return {"acc": 0.0}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        return {"acc": 1.0}

    scores = scored(table, ScriptedTask(metric), alarms)
    assert (scores.timed_out, scores.metrics) == ([1], {("acc", "none"): [1.0, 0.0, 1.0]})


def test_questions_that_do_not_count_stay_among_the_samples() -> None:
    """The harness aggregates metrics without the withdrawn questions, for each filter, and keeps all samples."""
    samples = [
        {"doc_id": number, "filter": name, "metrics": ["acc"], "acc": number / 10}
        for name in ("none", "strict")
        for number in range(3)
    ]
    raw = defaultdict(list, {("acc", name): [0.0, 0.1, 0.2] for name in ("none", "strict")})
    tasks = {TASK: {"raw_metrics": raw, "logged_samples": samples}, "other": {"raw_metrics": {}, "logged_samples": []}}
    aggregated = aggregate_without({TASK: (1,), "absent": (0,)}, lambda tasks, *_: tasks)(tasks, {}, 100)
    assert aggregated[TASK]["raw_metrics"] == {("acc", "none"): [0.0, 0.2], ("acc", "strict"): [0.0, 0.2]}
    assert aggregated[TASK]["logged_samples"] == samples


def test_questions_are_kept_up_to_a_number_of_characters() -> None:
    """Parsed questions are cached by their text until the texts exceed the limit; then all are parsed again."""
    docs, texts = StoredDocs(30), [json.dumps({"question": name}) for name in "ab"]
    first = docs.read(texts[0])
    assert docs.read(texts[0]) is first == {"question": "a"}
    docs.read(texts[1])
    assert docs.read(texts[0]) == first
    assert docs.read(texts[0]) is not first
    assert docs.read("[1]") == [1]


def test_templates_of_a_kept_question_are_filled_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template is rendered once for a cached question, with the same text, but each time for a plain dictionary."""
    rendered = lm_eval.utils.apply_template
    monkeypatch.setattr(lm_eval.utils, "apply_template", rendered)
    render_once()
    doc = StoredDocs().read('{"right": "A"}')
    assert [lm_eval.utils.apply_template(text, doc) for text in ("{{right}}", "{{right}}!", "{{right}}")] == [
        *("A", "A!", "A"),
    ]
    doc["right"] = "B"
    assert lm_eval.utils.apply_template("{{right}}", doc) == "A"
    assert lm_eval.utils.apply_template("{{right}}", dict(doc)) == "B"


def test_answers_are_scored_with_confined_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """While answers are scored again, a template that accesses Python's internals raises `SecurityError`."""
    monkeypatch.setattr(lm_eval.utils, "env", lm_eval.utils.env)  # so that the test restores both
    monkeypatch.setattr(lm_eval.utils, "apply_template", lm_eval.utils.apply_template)
    with Rescorer(find_suite("starter"), 1), pytest.raises(SecurityError):
        lm_eval.utils.apply_template("{{ cycler.__init__.__globals__ }}", {})


def test_a_task_with_code_of_its_own_gets_its_questions_anew() -> None:
    """A task with code of its own counts as one that may change its questions; a task with templates does not."""
    assert leaves_questions_alone(SimpleNamespace(config=SimpleNamespace(doc_to_target="{{right}}")))
    assert not leaves_questions_alone(ScriptedTask(right))
