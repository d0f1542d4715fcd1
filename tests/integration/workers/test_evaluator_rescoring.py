"""An evaluator scores its stored answers again, in the sandbox of a process without tokens.

`make test` rescores once; `make long` also with each faulty evaluator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leaderboard.result_digests import combine
from leaderboard.results import dump, read_results
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, digest_parts, scores_in_block, with_block
from leaderboard.suites import Suite
from tests.support.evaluators.suites import REPO, scoring, write_questions
from tests.unit.leaderboard.test_evaluator_needs import BLOCK
from workers.errors import RescoringRefused
from workers.evaluation.evaluator_process import SAMPLES
from workers.jobs.evaluator_trial import MODEL, EvaluatorTrial
from workers.publication.details import write_samples
from workers.publication.evaluator_results import evaluator_row
from workers.rescoring.process import RescoringProcess

pytestmark = pytest.mark.timeout(200)


@dataclass(frozen=True)
class StoredEvaluation:
    """A results file, and the folder of its tables."""

    data: bytes
    folder: Path

    def rescored(self, process: RescoringProcess) -> dict[str, Any]:
        """Rescore the evaluation, and return the new results."""
        old, new = self.folder / "old.json", self.folder / "new.json"
        old.write_bytes(self.data)
        process.rescore(old, self.folder, new, source="results", at="now")
        contents: dict[str, Any] = json.loads(new.read_bytes())
        return contents


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredEvaluation]:
    """A real evaluation of a tiny model, as it is published."""
    folder, of = tmp_path_factory.mktemp("evaluated"), scoring("good")
    questions = write_questions(tmp_path_factory.mktemp("pairs") / "files")
    with EvaluatorTrial.opened(of, tmp_path_factory.mktemp("trial"), {REPO: questions}) as trial:
        run = trial.run(seconds=60.0)
        assert run.results is not None, run.words
        lines = trial.slot.spool / SAMPLES / "nearer.jsonl"
        write_samples(lines, folder / "nearer.parquet", ("accuracy",), as_row=evaluator_row)
    parts = digest_parts(run.results)
    assert parts is not None
    facts = {
        "evaluator": run.results["steward"]["evaluator"], "digests": combine(parts, of), "suite_digest": of.digest,
        **scores_in_block(score(run.results["results"], of)), "model": MODEL[0], "revision": MODEL[1],
    }  # fmt: skip
    block = StewardBlock.model_validate({**BLOCK, **facts})
    yield StoredEvaluation(dump(with_block(run.results, block)), folder)


def by(suite: Suite) -> RescoringProcess:
    """The process that scores for a suite."""
    return RescoringProcess(suite.model_dump_json())


def test_an_evaluator_scores_its_stored_answers_otherwise(
    evaluation: StoredEvaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer version of the evaluator scores stored answers by new metrics, without the withdrawn question."""
    monkeypatch.setenv("STEWARD_WORKER_TOKEN", "secret")
    errata = [{"task": "nearer", "question": 0, "reason": "Wrong."}]
    newer = scoring("good", version="1.1", options={"inverted": True})
    newer = Suite.model_validate({**newer.model_dump(mode="json"), "errata": errata})
    with by(newer) as process:
        rescored = evaluation.rescored(process)
    results, before = read_results(dump(rescored), newer), json.loads(evaluation.data)
    total = 24 * before["results"]["nearer"]["accuracy"]
    assert round(23 * rescored["results"]["nearer"]["accuracy"]) in (24 - total, 23 - total)
    assert results.block.digests is not None and results.block.rescored_from is not None
    assert results.block.digests.asked == before["steward"]["digests"]["asked"]
    assert results.block.digests.scored != before["steward"]["digests"]["scored"]
    assert results.block.evaluator is not None and results.block.evaluator.version == "1.1"
    assert results.block.rescored_from.versions.keys() == {"python"}


FAULTS = {
    "other-output": "question 0 of nearer has another output than the stored sample",
    "other-prompt": "question 3 of nearer has another prompt",
    "forgetful": "did not score question 23 of nearer",
    "inventive": "scored question 1000 of nearer, which it was not given",
    "missing": "the evaluator did not score it: evaluator-ended",
}


@pytest.mark.long("five processes more")
@pytest.mark.parametrize("fault", FAULTS)
def test_answers_that_the_evaluator_changes_are_refused(evaluation: StoredEvaluation, fault: str) -> None:
    """Rescoring is refused if the evaluator changes, omits or adds answers, or fails."""
    with by(scoring(fault, version="1.1")) as process, pytest.raises(RescoringRefused, match=FAULTS[fault]):
        evaluation.rescored(process)


@pytest.mark.long("another process")
def test_a_missing_evaluator_is_reported(evaluation: StoredEvaluation) -> None:
    """If the evaluator is not installed, the error says to run the command where workers run."""
    newer = scoring("good", version="1.1", command=["./nowhere/pairs"])
    with by(newer) as process, pytest.raises(RescoringRefused, match="run this where workers run"):
        evaluation.rescored(process)
