"""`steward rescore` on a board whose suite names an evaluator: by the stored metrics, and by the evaluator itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.results.details_reader import read_details
from leaderboard.cross_checks import WorkerPolicy
from leaderboard.evaluator_contract import question_digest
from leaderboard.results import ResultsFile, read_results
from leaderboard.steward_block import StewardBlock
from leaderboard.suites import parse_suite
from redis_state.board.messages import DetailsQuestion
from redis_state.jobs import EvaluationJob
from steward.testing.board import BoardDriver
from tests.support.board.operator_commands import Command, finish_evaluation, operator_command, use_suite
from tests.support.evaluators.suites import QUESTIONS, scoring

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.long("a board, a sandbox and an evaluator, ten seconds"),
]
ERRATA = [{"task": "nearer", "question": 0, "reason": "Both are near."}]


@pytest.fixture
def command(stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`steward rescore --json`."""
    return operator_command("rescore", stand, valkey_url, tmp_path, monkeypatch)


def text(errata: list[dict[str, Any]] | None = None, **evaluator: Any) -> str:
    """The suite file of the evaluator that can score again."""
    fields = scoring("good", **evaluator).model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump({**fields, "errata": errata or []})


def leave_results(spool: Path, job: EvaluationJob) -> None:
    """Write the files that the evaluator would leave: six answers, four of which are right."""
    (spool / "samples").mkdir(parents=True)
    lines = []
    for number, question in enumerate(QUESTIONS[:6]):
        right = number >= 2
        sample = {"id": number, "question_digest": question_digest(question), "question": question}
        sample |= {"prompt": question["text"], "output": str(question["answer"] if right else 7)}
        lines.append(json.dumps({**sample, "metrics": {"accuracy": float(right)}}) + "\n")
    (spool / "samples" / "nearer.jsonl").write_text("".join(lines))
    results = {"contract": 1, "evaluator": {"name": "pairs", "version": "1.0"}, "versions": {"python": "3"}}
    results |= {"model": job.model, "revision": job.revision}
    report = {"questions": 6, "metrics": {"accuracy": 4 / 6}}
    (spool / "results.json").write_text(json.dumps({**results, "tasks": {"nearer": report}}))


def rescored(command: Command) -> Any:
    """Run the command, which scores five answers of the only evaluation; return its report on this evaluation."""
    status, report = command()
    (evaluation,) = report["evaluations"]
    assert (status, evaluation["refused"], evaluation["answers"]) == (0, None, 5)
    return evaluation


def published(stand: BoardDriver, path: str, suite: str) -> ResultsFile:
    """The results file at `path`, read with this suite."""
    return read_results(stand.context.hub.read_file(stand.context.results, path).data, parse_suite(suite))


def test_stored_answers_get_the_scores_of_newer_suites(stand: BoardDriver, tmp_path: Path, command: Command) -> None:
    """A withdrawn question, and then an inverted metric, change the results, the shown answers and the request.

    The worker is not the board's own: all results say that its answers were not compared.
    """
    stand.context.board = stand.context.board.model_copy(update={"workers": WorkerPolicy()})
    use_suite(stand, text(), tmp_path)
    spool = tmp_path / "spool"
    path = finish_evaluation(stand, spool, lambda job: leave_results(spool, job)).path
    first = stand.file(path)["steward"]["results"]

    use_suite(stand, text(ERRATA), tmp_path)
    assert rescored(command)["details_refused"] is None
    second = stand.file(path)["steward"]["results"]
    assert published(stand, second, text(ERRATA)).data["results"]["nearer"]["accuracy"] == 4 / 5

    newest = text(ERRATA, version="1.1", options={"inverted": True})
    use_suite(stand, newest, tmp_path)
    rescored(command)
    facts = stand.file(path)["steward"]
    results = published(stand, facts["results"], newest)
    assert results.data["results"]["nearer"]["accuracy"] == 1 / 5
    assert facts["rescored_from"] == first
    part = read_details(stand.context, DetailsQuestion(path=path, task="nearer"))
    (rescoring,) = part.rescorings
    assert rescoring is not None and rescoring.is_shown and part.counts["all"] == 5
    first_block = StewardBlock.model_validate(
        json.loads(stand.context.hub.read_file(stand.context.results, first).data)["steward"]
    )
    assert first_block.again is not None and first_block.again.status == "not-compared"
    assert results.block.again == first_block.again
    stand.settle()
    assert "only those of lm-eval are" in stand.context.scores.find([path])[path].note

    use_suite(stand, text(ERRATA, version="2.0", scores_again={"versions": ["1.9"]}), tmp_path)
    status, report = command()
    (evaluation,) = report["evaluations"]
    assert status == 1 and "2.0 scores answers of that version" in evaluation["refused"]
    assert stand.file(path)["steward"]["results"] == facts["results"]
