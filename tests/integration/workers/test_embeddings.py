"""The evaluator of text embeddings, run by a real worker with a local Hub and a queue."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pyarrow.parquet as pq
import pytest
import yaml

from bot.core.context import BoardContext
from bot.evaluations.samples import compare_with_samples
from hub.client import Hub
from hub.records import Repo
from leaderboard.details import table_path
from leaderboard.results import read_results
from leaderboard.suites import parse_suite
from steward.testing.probe import shared_probe
from tests.support.evaluators.embeddings import PAIRS, REPO, SUITE, TRIPLES, question_files
from tests.support.workers.real_worker import RealWorker, running_worker
from workers.models.tiny_model import model as tiny_model
from workers.rescoring.process import RescoringProcess

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.long("ten seconds of processor time for each; test_evaluator_tasks has an evaluator without torch"),
]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """A worker whose suite uses the embeddings evaluator; the questions are on its Hub."""
    with running_worker(tmp_path_factory.mktemp("embeddings"), SUITE) as stand:
        stand.upload(REPO, question_files(), kind="dataset")
        stand.start_worker()
        yield stand


def test_a_model_is_evaluated_by_its_embeddings(stand: RealWorker) -> None:
    """The worker publishes results, answers, digests and standard errors in files that the bot accepts."""
    (outcome,) = stand.run(stand.job("trial/good", stand.upload("trial/good", tiny_model())))
    assert outcome.details is not None, (outcome.failure, stand.log)
    results = read_results(stand.read(outcome, outcome.details.results_path), stand.suite)
    block, raw = results.block, results.data["results"]
    assert block.evaluator is not None and (block.evaluator.name, block.evaluator.version) == ("embeddings", "1")
    assert raw["triples"]["accuracy"] * 8 == pytest.approx(round(raw["triples"]["accuracy"] * 8))
    assert results.scores.by_name["Similar"] == pytest.approx(100 * raw["pairs"]["spearman"])
    assert set(block.versions) == {"steward", "python", "transformers", "torch"}
    assert block.digests is not None and block.digests.tasks["triples"].asked.questions == len(TRIPLES)
    assert block.digests.tasks["triples"].asked.dataset.startswith(f"{REPO}@")
    assert set(block.errors) == {"Nearer"}, "a score that is not a mean of samples has no standard error"

    with Hub(stand.hub.url, "hf_worker") as hub:
        context = SimpleNamespace(suite=stand.suite, hub=hub, probe=shared_probe())
        repo = Repo("dataset", outcome.details.repo)
        checked = compare_with_samples(cast(BoardContext, context), "trial/good", repo, outcome.details, results)
    assert checked.samples == len(TRIPLES) + len(PAIRS)
    assert checked.unchecked == ("pairs: spearman: its aggregation is not known to be the mean",)

    time = outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    table = pq.read_table(io.BytesIO(stand.read(outcome, table_path("triples", time)))).to_pylist()
    assert [json.loads(row["doc"]) for row in table] == TRIPLES
    assert sum(row["score"] for row in table) == pytest.approx(8 * raw["triples"]["accuracy"])


def test_a_broken_model_ends_with_its_true_cause(stand: RealWorker) -> None:
    """An evaluation of truncated weights fails as the submission's fault, with a message that says what is wrong."""
    files = tiny_model()
    broken = {**files, "model.safetensors": files["model.safetensors"][:-100]}
    (failed,) = stand.run(stand.job("trial/cut", stand.upload("trial/cut", broken)))
    assert failed.failure is not None, stand.log
    assert (failed.failure.cause, failed.failure.fault) == ("evaluator-refused-model", "submission")
    assert "transformers cannot load it" in failed.failure.message


def test_stored_similarities_are_scored_and_evaluated_again(stand: RealWorker, tmp_path: Path) -> None:
    """Rescoring leaves out withdrawn questions, and `steward reproduce` computes the same answers again."""
    from workers.evaluators.embeddings import spearman  # torch: two seconds of each process that collects tests

    (outcome,) = stand.run(stand.job("trial/good", stand.upload("trial/good", tiny_model()), 3))
    assert outcome.details is not None, (outcome.failure, stand.log)
    path = outcome.details.results_path
    (tmp_path / "old.json").write_bytes(stand.read(outcome, path))
    time = path.removeprefix("results_").removesuffix(".json")
    for task in ("triples", "pairs"):
        (tmp_path / f"{task}.parquet").write_bytes(stand.read(outcome, table_path(task, time)))
    errata = [{"task": "pairs", "question": 2, "reason": "Wrong."}, {"task": "triples", "question": 0, "reason": "-"}]
    now = parse_suite(yaml.safe_dump({**SUITE, "errata": errata}))
    with RescoringProcess(now.model_dump_json()) as process:
        process.rescore(tmp_path / "old.json", tmp_path, tmp_path / "new.json", source=path, at="now")

    raw = read_results((tmp_path / "new.json").read_bytes(), now).data["results"]
    rows = pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    similarities = [json.loads(row["metrics"])["similarity"] for row in rows if row["doc_id"] != 2]
    scores = [pair["score"] for number, pair in enumerate(PAIRS) if number != 2]
    assert raw["pairs"]["spearman"] == pytest.approx(spearman(similarities, cast(list[float], scores)))
    assert raw["triples"]["accuracy"] * 7 == pytest.approx(round(raw["triples"]["accuracy"] * 7))
    status, report = stand.steward("reproduce", outcome.attempt, "--model", "trial/good")
    assert (status, report["verdict"], report["samples"]) == (0, "same", len(PAIRS) + len(TRIPLES))
