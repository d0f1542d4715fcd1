"""`open-llm-v1` for real: the first leaderboard's six benchmarks with their shots, by a worker and by the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from leaderboard.attempts import Outcome
from leaderboard.details import table_path
from leaderboard.suites import find_suite, parse_suite
from tests.support.models import suite_v1_datasets
from tests.support.models.suite_v1_datasets import MMLU
from tests.support.models.suite_v2_datasets import files
from tests.support.workers.real_worker import WORLD, RealWorker, running_worker
from tests.support.workers.reference_scores import ReferenceScores
from workers.models.tiny_model import model

V1 = find_suite("open-llm-v1")
Answers = list[tuple[int, Any]]
"""Number of the question, and the log-likelihoods or the text that the model answered with."""


@dataclass(frozen=True)
class Compared:
    """The results and answers of a tiny model, as a worker published them and as the command wrote them."""

    ours: dict[str, Any]
    theirs: dict[str, Any]
    our_answers: dict[str, Answers]
    their_answers: dict[str, Answers]


@pytest.fixture(scope="module")
def compared(reference: ReferenceScores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    """Both at the same time."""
    named = {repo.split("/")[0] for repo in suite_v1_datasets.REPOS}
    orgs = [*WORLD["orgs"], *({"name": name, "members": {"ada": "admin"}} for name in named)]
    folder = tmp_path_factory.mktemp("v1")
    with running_worker(folder, suite_v1_datasets.suite(), world={**WORLD, "orgs": orgs}) as stand:
        stand.start_worker(STEWARD_BATCH_SIZE="8")
        for repo, rows in suite_v1_datasets.REPOS.items():
            stand.upload(repo, files(rows()), "dataset")
        revision = stand.upload("ada/tiny", model())
        (outcome,) = stand.run(stand.job("ada/tiny", revision))
        published = {task: published_answers(stand, outcome, task) for task in stand.suite.tasks}
        told = {task: told_answers(reference.of("first"), task) for task in stand.suite.tasks}
        yield Compared(stand.results(outcome), reference.results("first"), published, told)


def published_answers(stand: RealWorker, outcome: Outcome, task: str) -> Answers:
    """The answers in the details of `outcome`."""
    assert outcome.details is not None, outcome.failure
    time = outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    table = pq.read_table(BytesIO(stand.read(outcome, table_path(task, time))))
    return sorted((row["doc_id"], json.loads(row["responses"])) for row in table.to_pylist())


def told_answers(folder: Path, task: str) -> Answers:
    """Those that the command left in `folder`."""
    (samples,) = folder.glob(f"samples_{task}_*.jsonl")
    return sorted((line["doc_id"], line["resps"]) for line in map(json.loads, samples.read_text().splitlines()))


@pytest.fixture
def results(compared: Compared) -> dict[str, Any]:
    """The results file that the worker published."""
    return compared.ours


def test_all_scores_are_those_of_the_command(compared: Compared) -> None:
    """All scores equal those of the command digit for digit, with the same hashes of the prompts."""
    ours, theirs = compared.ours, compared.theirs
    assert ours["results"] == {task: scores for task, scores in theirs["results"].items() if task != "first"}
    assert ours["task_hashes"] == theirs["task_hashes"]
    assert set(ours["results"]) == set(compared.our_answers)


def test_all_answers_are_those_of_the_command(compared: Compared) -> None:
    """Each answer has the command's log-likelihoods or text, and no two tasks have equal ones."""
    assert compared.our_answers == compared.their_answers
    assert len({str(answers) for answers in compared.our_answers.values()}) == len(compared.our_answers)


def test_each_benchmark_is_asked_with_its_shots(results: dict[str, Any]) -> None:
    """25 for ARC, 10 for HellaSwag, 5 for MMLU, Winogrande and GSM8K, none for TruthfulQA."""
    expected = parse_suite(yaml.safe_dump(suite_v1_datasets.suite())).shots
    assert {task: results["n-shot"][task] for task in expected} == expected
    assert expected["arc_challenge"] == 25


def test_scores_are_the_raw_ones(results: dict[str, Any]) -> None:
    """Scores are the raw ones times 100; MMLU is the unweighted mean of its subjects."""
    found, raw = results["steward"]["benchmarks"], results["results"]
    assert found["ARC"] == pytest.approx(100 * raw["arc_challenge"]["acc_norm,none"])
    assert found["GSM8K"] == pytest.approx(100 * raw["gsm8k"]["exact_match,strict-match"])
    assert found["MMLU"] == pytest.approx(100 * sum(raw[name]["acc,none"] for name in MMLU) / len(MMLU))
    assert results["steward"]["average"] == pytest.approx(sum(found.values()) / 6)


def test_the_suite_names_all_subjects_of_the_harness() -> None:
    """The suite names all 57 subjects, and a dataset config for each."""
    found = find_spec("lm_eval")
    assert found is not None
    shipped = Path(found.origin or "").parent / "tasks/mmlu/default"
    names = {file.stem for file in shipped.glob("mmlu_*.yaml")}
    assert set(V1.benchmarks[2].tasks) and {task.name for task in V1.benchmarks[2].tasks} == names
    assert {f"mmlu_{config}" for config in V1.datasets[2].configs} == names
