"""An evaluator's stored answers are scored again from the metrics in their tables, without the evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaderboard.cross_checks import CrossCheckRecord
from leaderboard.evaluator_contract import EvaluatorSample, question_digest
from leaderboard.evaluator_files import TaskSamples, digest_parts, harness_results, parse_results
from leaderboard.graded_answers import AnswerCollector
from leaderboard.result_digests import combine
from leaderboard.results import dump, read_results
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from leaderboard.suites import Suite
from leaderboard.uncertainty import standard_errors
from tests.unit.leaderboard.test_evaluator_files import collected, line, results
from tests.unit.leaderboard.test_evaluator_needs import BLOCK
from tests.unit.leaderboard.test_scoring_again import CAN, ERRATA, plain, reported
from workers.errors import RescoringRefused
from workers.publication.details import CUT, MAX_TEXT, write_samples
from workers.publication.evaluator_results import AnswerDigests, evaluator_row, evaluator_use
from workers.rescoring.evaluator_rescorer import EvaluatorRescorer, check_answers
from workers.rescoring.stored_samples import write_stored_samples

LINES = [line(number) for number in range(8)]
SOURCE = "org/m/results_2026-01-01T01-00-00.000000.json"


@dataclass(frozen=True)
class StoredEvaluation:
    """A suite, a results file of it, and the folder of its tables."""

    suite: Suite
    data: bytes
    tables: Path

    def rescored(self, now: Suite, **folders: Path) -> dict[str, Any]:
        """Score the answers again with the suite `now`, check the digest, and return the new results file."""
        with EvaluatorRescorer(now) as rescorer:
            outcome = rescorer.rescore(self.data, self.tables, source=SOURCE, at="now", **folders)
        assert read_results(outcome.data, now).block.digests.scored == outcome.scored  # type: ignore[union-attr]
        rescored_data: dict[str, Any] = json.loads(outcome.data)
        return rescored_data


def stored(folder: Path, of: Suite, lines: list[bytes] = LINES) -> StoredEvaluation:
    """An evaluation by `of` with these samples of its first task."""
    report = json.loads(results())
    counted = collected(of, nearer=lines)
    report["tasks"] = {task: report["tasks"][task] for task in of.tasks}
    report["tasks"]["nearer"] = {"questions": len(lines), "metrics": {"accuracy": counted["nearer"].mean("accuracy")}}
    parsed = parse_results(json.dumps(report).encode())
    for benchmark in of.benchmarks:
        (task,) = benchmark.tasks
        (folder / "lines").write_bytes(
            b"".join(lines if task.name == "nearer" else [line(n, "similar") for n in range(8)])
        )
        write_samples(folder / "lines", folder / f"{task.name}.parquet", benchmark.metrics, as_row=evaluator_row)
    values = harness_results(parsed, of, counted)
    facts = {
        "evaluator": evaluator_use(of, counted),
        "suite_digest": of.digest,
        "digests": combine(digest_parts(parsed, of, counted, {}), of),
        **scores_in_block(score(values, of)),
    }
    block = StewardBlock.model_validate({**BLOCK, **facts})
    data = dump(with_block({"results": values, "evaluator": parsed.model_dump(mode="json")}, block))
    return StoredEvaluation(of, data, folder)


def test_a_withdrawn_question_counts_no_more(tmp_path: Path) -> None:
    """Without a withdrawn question, scores, errors and tables are those of the others; the digest `asked` stays."""
    evaluation, now = stored(tmp_path, plain()), plain(errata=ERRATA)
    for name in ("samples", "tables"):
        (tmp_path / name).mkdir()
    rescored = evaluation.rescored(now, samples=tmp_path / "samples", new_tables=tmp_path / "tables")
    before, block = json.loads(evaluation.data)["steward"], rescored["steward"]
    assert rescored["results"]["nearer"]["accuracy"] == pytest.approx(5 / 7)
    assert block["digests"]["asked"] == before["digests"]["asked"]
    assert block["digests"]["scored"] != before["digests"]["scored"]
    assert block["rescored_from"]["results"] == SOURCE and block["versions"] == before["versions"]
    assert block["suite_digest"] == now.digest and block["evaluator"] == before["evaluator"]
    rows = pq.read_table(tmp_path / "tables" / "nearer.parquet").to_pylist()
    earlier = pq.read_table(tmp_path / "nearer.parquet").to_pylist()
    assert rows == [row for row in earlier if row["doc_id"] != 3]
    written = [json.loads(text) for text in (tmp_path / "samples" / "nearer.jsonl").read_text().splitlines()]
    assert [each["doc_id"] for each in written] == [0, 1, 2, 4, 5, 6, 7]
    collector = AnswerCollector("nearer", now.benchmarks[0])
    for row in rows:
        collector.add(row)
    errors = standard_errors({"nearer": collector.answers()}, score(rescored["results"], now), now).normalised
    assert block["errors"] == errors.benchmarks


def test_reported_metrics_and_errors_stay(tmp_path: Path) -> None:
    """If only the limit of errors changes, reported metrics stay the scores, and errors of samples are kept."""
    lines = [line(0, error="no answer", metrics={"accuracy": 0.0, "error": 1.0}), *LINES[1:]]
    rescored = stored(tmp_path, reported(max_errors=1), lines).rescored(reported(max_errors=2))
    assert rescored["results"]["similar"]["rank"] == 0.5
    assert rescored["steward"]["evaluator"]["errors"] == 1


def test_too_many_errors_are_refused(tmp_path: Path) -> None:
    """Rescoring is refused if the new suite allows fewer errors than the answers have."""
    lines = [line(0, error="no answer"), *LINES[1:]]
    with pytest.raises(RescoringRefused, match="1 questions of nearer ended with an error, and 0 may"):
        stored(tmp_path, plain(max_errors=1), lines).rescored(plain())


def test_samples_without_questions_are_scored_by_their_metrics(tmp_path: Path) -> None:
    """Samples without `question` are scored by their stored metrics."""
    lines = [line(number, question=...) for number in range(8)]
    rescored = stored(tmp_path, plain(), lines).rescored(plain(errata=ERRATA))
    assert rescored["results"]["nearer"]["accuracy"] == pytest.approx(5 / 7)


def test_a_sample_without_its_question_does_not_prevent_rescoring(tmp_path: Path) -> None:
    """Answers are scored again although a sample lacks `question`, which inspect-ai's evaluator omits if it is long."""
    lines = [line(0, question=...), *LINES[1:]]
    rescored = stored(tmp_path, plain(), lines).rescored(plain(errata=ERRATA))
    assert rescored["results"]["nearer"]["accuracy"] == pytest.approx(5 / 7)


def test_what_other_workers_said_about_the_answers_stays(tmp_path: Path) -> None:
    """Rescoring keeps the cross-check by other workers, and drops the comparison of the earlier scores with samples."""
    again = {"worker": "lent", "status": "disputed", "by": ["second", "third"], "reason": "question 3"}
    evaluation = stored(tmp_path, plain())
    for checked in ({"samples": 8}, {"samples": 8, "recomputed": 8, "again": again}):
        data = json.loads(evaluation.data)
        data["steward"]["checked"] = checked
        rescored = StoredEvaluation(plain(), json.dumps(data).encode(), tmp_path).rescored(plain(errata=ERRATA))
        block = StewardBlock.model_validate(rescored["steward"])
        assert block.again == (CrossCheckRecord.model_validate(again) if "again" in checked else None)
        assert block.checked is None or (block.checked.samples, block.checked.recomputed) == (0, 0)


def test_an_evaluator_gets_no_samples_without_their_questions(tmp_path: Path) -> None:
    """If samples lack `question`, rescoring by the evaluator is refused with what its author has to change."""
    lines = [line(number, question=...) for number in range(8)]
    with pytest.raises(RescoringRefused, match="leaves `question` in each sample"):
        stored(tmp_path, plain(scores_again=CAN), lines).rescored(
            plain(scores_again=CAN, max_errors=1, version="1.0", metrics=["accuracy", "more"])
        )


def test_an_erratum_of_a_question_that_was_not_asked_is_refused(tmp_path: Path) -> None:
    """Rescoring is refused if an erratum withdraws a question that the evaluation did not have."""
    now = plain(errata=[{"task": "nearer", "question": 8, "reason": "Wrong."}])
    with pytest.raises(RescoringRefused, match="withdraws question 8 of nearer, which was not asked"):
        stored(tmp_path, plain()).rescored(now)


CHANGED: dict[str, tuple[list[bytes], str]] = {
    "another output": ([LINES[0], line(1, output="9")], "question 1 of nearer has another output"),
    "another prompt": ([line(0, prompt="?"), LINES[1]], "question 0 of nearer has another prompt"),
    "another question": (
        [line(0, question={"a": 1}, question_digest=question_digest({"a": 1})), LINES[1]], "has another question"
    ),
    "another error": ([line(0, error="late"), LINES[1]], "question 0 of nearer has another error"),
    "one less": ([LINES[0]], "did not score question 1 of nearer"),
    "one more": (LINES[:3], "scored question 2 of nearer, which it was not given"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "words"), CHANGED.values(), ids=CHANGED)
def test_an_evaluator_may_change_metrics_and_targets_alone(tmp_path: Path, lines: list[bytes], words: str) -> None:
    """Rescoring is refused if the evaluator changes anything but metrics and targets, or adds or omits questions."""
    stored_answers = {
        number: AnswerDigests.of(EvaluatorSample.model_validate_json(LINES[number])) for number in range(2)
    }
    (tmp_path / "good").write_bytes(line(0, metrics={"accuracy": 0.1}, target="other") + LINES[1])
    check_answers("nearer", stored_answers, tmp_path / "good")
    (tmp_path / "changed").write_bytes(b"".join(lines))
    with pytest.raises(RescoringRefused, match=words):
        check_answers("nearer", stored_answers, tmp_path / "changed")


Rows = list[dict[str, Any]]
TAMPERED: dict[str, tuple[Callable[[Rows], Rows], str]] = {
    "a row is missing": (lambda rows: rows[1:], "7 answers to nearer are stored, and 8 questions were asked"),
    "a question twice": (lambda rows: [*rows, rows[0]], "several rows of one question"),
    "another prompt": (lambda rows: [{**rows[0], "prompt": "?"}, *rows[1:]], "prompts of nearer are not those"),
    "another question": (lambda rows: [{**rows[0], "doc": '{"a": 1}'}, *rows[1:]], "questions of nearer are not those"),
    "a text that was cut": (
        lambda rows: [{**rows[0], "prompt": "x" * MAX_TEXT + CUT}, *rows[1:]], "stored `prompt` was cut"
    ),
    "an output of another form": (lambda rows: [{**rows[0], "responses": '["a"]'}, *rows[1:]], "question 0 of nearer"),
    "a question that is no object": (lambda rows: [*rows[:7], {**rows[7], "doc": "3"}], "Input should be an object"),
    "metrics that are no object": (lambda rows: [*rows[:7], {**rows[7], "metrics": "[]"}], "question 7 of nearer"),
    "a metric above 1": (
        lambda rows: [*rows[:7], {**rows[7], "metrics": '{"accuracy": 7}'}], "a stored sample does not count"
    ),
    "an id below 0": (lambda rows: [*rows[:7], {**rows[7], "doc_id": -1}], "a stored sample does not count"),
    "no table": (lambda _: [], "has 0 rows"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), TAMPERED.values(), ids=TAMPERED)
def test_tables_that_are_not_the_evaluations_are_refused(
    tmp_path: Path, change: Callable[[Rows], Rows], words: str
) -> None:
    """Rescoring is refused if the tables do not match the digests: untrusted accounts can write details repos."""
    evaluation = stored(tmp_path, plain())
    table = pq.read_table(tmp_path / "nearer.parquet")
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), schema=table.schema), tmp_path / "nearer.parquet")
    with pytest.raises(RescoringRefused, match=words):
        evaluation.rescored(plain(errata=ERRATA))


def test_results_without_a_report_are_refused(tmp_path: Path) -> None:
    """Rescoring is refused if the results file has no report of an evaluator."""
    evaluation = stored(tmp_path, plain())
    data = json.loads(evaluation.data)
    del data["evaluator"]
    with pytest.raises(RescoringRefused, match="no report of an evaluator"):
        StoredEvaluation(plain(), json.dumps(data).encode(), tmp_path).rescored(plain(errata=ERRATA))


def test_a_stored_sample_is_the_one_that_the_evaluator_left(tmp_path: Path) -> None:
    """Samples read back from a table equal those that the evaluator wrote, with any characters, metrics and errors."""
    lines = [
        line(number, output=text, prompt=text, error=error, metrics={"accuracy": 0.5, "count": 3.0})
        for number, (text, error) in enumerate([("a\nb\u2028\x85\r", ""), ('"é😀"', "late"), ("", "")])
    ]
    evaluation = stored(tmp_path, plain(max_errors=1), lines)
    asked = read_results(evaluation.data, evaluation.suite).block.digests.tasks["nearer"].asked  # type: ignore[union-attr]
    collector = TaskSamples("nearer", evaluation.suite.benchmarks[0])
    write_stored_samples(tmp_path / "nearer.parquet", collector, tmp_path / "again", asked, with_questions=True)
    again = (tmp_path / "again").read_bytes().split(b"\n")[:-1]
    assert [EvaluatorSample.model_validate_json(each) for each in again] == [
        EvaluatorSample.model_validate_json(each) for each in lines
    ]
