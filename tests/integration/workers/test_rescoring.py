"""Rescoring equals a full evaluation with the new suite, in every score and in every sample's metrics."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaderboard.results import dump, read_results
from tests.support.workers import rescoring_cases as cases
from tests.support.workers.child_runs import CHILD, evaluate_by_prefix
from tests.support.workers.evaluation_inputs import STARTER, publication
from tests.support.workers.rescoring_cases import SuiteVersion
from workers.errors import RescoringRefused
from workers.publication.details import CUT, MAX_TEXT, write_samples
from workers.publication.spool import read_spool
from workers.rescoring.process import RescoringProcess

pytestmark = pytest.mark.timeout(200)
LARGE = pytest.mark.long("two evaluations and a rescoring for each case")
PAIRS = {"starter": cases.starter_pair, "open-llm-v1": cases.v1_pair, "open-llm-v2": cases.v2_pair}
OWN_RUN = ("date", "total_evaluation_time_seconds", "start_time", "end_time", "model_name", "configs", "steward")
"""Fields that differ in every evaluation, and fields that `check_same` compares separately."""


@dataclass(frozen=True)
class EvaluatedPair:
    """The same answers, evaluated in full by two versions of a suite."""

    old: SuiteVersion
    new: SuiteVersion
    by_old: Path
    by_new: Path


def evaluated(name: str, folder: Path, patch: pytest.MonkeyPatch) -> EvaluatedPair:
    """Evaluate the same answers by the two versions of this suite."""
    patch.setenv("NLTK_DATA", str(cases.nltk_data(folder)))
    old, new = PAIRS[name](folder)
    return EvaluatedPair(old, new, *cases.evaluate(folder, old, new))


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluatedPair]:
    """The evaluations by the two versions of the starter suite."""
    with pytest.MonkeyPatch.context() as patch:
        yield evaluated("starter", tmp_path_factory.mktemp("starter"), patch)


@pytest.fixture(scope="module")
def process(starter: EvaluatedPair) -> Iterator[RescoringProcess]:
    """A process that scores by the newer starter suite."""
    with RescoringProcess(starter.new.text, 2) as started:
        yield started


def check_same(pair: EvaluatedPair, out: Path) -> None:
    """Check that the results file and each question's metrics equal those of the full evaluation."""
    wanted, rescored = (json.loads((folder / "results.json").read_text()) for folder in (pair.by_new, out))
    assert {name: value for name, value in rescored.items() if name not in OWN_RUN} == {
        name: value for name, value in wanted.items() if name not in OWN_RUN
    }
    assert wanted["results"] != json.loads((pair.by_old / "results.json").read_text())["results"]
    for task, config in wanted["configs"].items():
        assert _without_metadata(rescored["configs"][task]) == _without_metadata(config)
    assert {**rescored["steward"], "rescored_from": None} == wanted["steward"]
    for task in pair.new.suite.tasks:
        withdrawn = pair.new.suite.withdrawn(task)
        metrics = cases.metrics_of(pair.by_new / "samples" / f"{task}.jsonl")
        counting = {(question, name): each for (question, name), each in metrics.items() if question not in withdrawn}
        assert cases.metrics_of(out / "samples" / f"{task}.jsonl") == counting


def _without_metadata(config: dict[str, Any]) -> dict[str, Any]:
    """A task's configuration, without addresses of functions, which differ in each process."""
    return {
        name: re.sub(r" at 0x[0-9a-f]+", "", json.dumps(value)) for name, value in config.items() if name != "metadata"
    }


@pytest.mark.long("six seconds of a processor")
def test_own_tasks_get_the_scores_of_a_full_evaluation(
    starter: EvaluatedPair, process: RescoringProcess, tmp_path: Path
) -> None:
    """Rescoring with new metrics, filters and errata equals a full evaluation, and names the source of the answers."""
    outcome = cases.rescore(starter.by_old, starter.new, tmp_path, process=process)
    check_same(starter, tmp_path)
    assert (outcome.answers, outcome.timed_out) == (6 * 40 - 2, ())
    origin = read_results((tmp_path / "results.json").read_bytes(), starter.new.suite).block.rescored_from
    assert origin is not None
    assert (origin.results, origin.suite_digest, origin.at) == (cases.SOURCE, starter.old.suite.digest, cases.AT)
    assert origin.versions["lm-eval"]


def test_rescored_results_are_scored_again_from_the_same_answers(
    starter: EvaluatedPair, process: RescoringProcess, tmp_path: Path
) -> None:
    """Rescoring a file that was rescored already gives the same file, which names the original evaluation."""
    cases.rescore(starter.by_old, starter.new, tmp_path / "once", process=process)
    cases.rescore(tmp_path / "once", starter.new, tmp_path / "twice", tables=starter.by_old / "tables", process=process)
    once, twice = ((tmp_path / name / "results.json").read_bytes() for name in ("once", "twice"))
    assert once == twice


@LARGE
@pytest.mark.parametrize("name", ["open-llm-v1", "open-llm-v2"])
def test_tasks_of_the_harness_get_the_scores_of_a_full_evaluation(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For tasks that lm-eval ships, rescoring with changed task files equals a full evaluation with them."""
    pair = evaluated(name, tmp_path, monkeypatch)
    cases.rescore(pair.by_old, pair.new, tmp_path / "out")
    check_same(pair, tmp_path / "out")


@LARGE
def test_a_real_evaluation_by_a_worker_is_scored_again(tmp_path: Path) -> None:
    """If questions are withdrawn, rescoring a real evaluation gives the scores of an evaluation without them."""
    errata = [{"task": name, "question": 3, "reason": "wrong"} for name in STARTER.tasks[:5:2]]
    new = cases.own(tmp_path / "tasks-new", {}, errata)
    withdrawn = {task: tuple(new.suite.withdrawn(task)) for task in STARTER.tasks}
    spools = evaluate_by_prefix(tmp_path, [str(CHILD)], plain={}, withdrawn={"withdrawn": withdrawn})
    (tmp_path / "tables").mkdir()
    for task in STARTER.tasks:
        write_samples(spools["plain"] / f"samples/{task}.jsonl", tmp_path / f"tables/{task}.parquet", ())
    earlier = read_spool(publication(spools["plain"]))
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "results.json").write_bytes(dump(earlier.data))
    cases.rescore(tmp_path / "earlier", new, tmp_path / "out", tables=tmp_path / "tables")
    rescored = json.loads((tmp_path / "out/results.json").read_text())
    wanted = read_spool(publication(spools["withdrawn"], suite=new.suite))
    assert rescored["results"] == wanted.data["results"] != earlier.data["results"]
    assert rescored["n-samples"] == wanted.data["n-samples"]
    digests = read_results((tmp_path / "out/results.json").read_bytes(), new.suite).block.digests
    assert digests == wanted.block.digests != earlier.block.digests
    for task in STARTER.tasks:
        plain, other = (cases.metrics_of(spools[name] / f"samples/{task}.jsonl") for name in ("plain", "withdrawn"))
        assert plain == other


Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
TASK = "starter_object_counting"


def changed(number: int, **fields: Any) -> Change:
    """Return a change that sets `fields` in the table's row of this question."""
    return lambda rows: [{**row, **fields} if row["doc_id"] == number else row for row in rows]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(5, responses="[[" + "x" * MAX_TEXT + CUT), f"question 5 of {TASK}: its answer was cut after 200,000"),
        (changed(7, doc='{"input": "Q"}'), f"question 7 of {TASK}: its metrics cannot be computed (UndefinedError"),
        (changed(8, responses="[]"), f"question 8 of {TASK}: it is not as the harness writes it"),
        (lambda rows: rows[:-1], f"39 answers to {TASK} are stored, and 40 questions were asked"),
        (
            lambda rows: [{"doc_id": row["doc_id"]} for row in rows],
            "another layout: it lacks the columns doc, responses",
        ),
        (None, f"there is no table of the answers to {TASK}"),
    ],
    ids=["cut", "field missing", "no answer", "row missing", "older layout", "no table"],
)
def test_answers_that_cannot_be_scored_end_the_rescoring(
    starter: EvaluatedPair, process: RescoringProcess, tmp_path: Path, change: Change | None, words: str
) -> None:
    """The refusal names the question and what is wrong with it; no results file is written."""
    tables = tmp_path / "tables"
    shutil.copytree(starter.by_old / "tables", tables)
    rows = pq.read_table(tables / f"{TASK}.parquet").to_pylist()
    if change is None:
        (tables / f"{TASK}.parquet").unlink()
    else:
        pq.write_table(pa.Table.from_pylist(change(rows)), tables / f"{TASK}.parquet")
    with pytest.raises(RescoringRefused) as refused:
        cases.rescore(starter.by_old, starter.new, tmp_path / "out", tables=tables, process=process)
    assert words in str(refused.value)
    assert not (tmp_path / "out" / "results.json").exists()


def respelled(version: SuiteVersion, folder: Path, changes: dict[str, str]) -> SuiteVersion:
    """A copy of `version` with changed task files, as in another release of lm-eval; its suite is the same."""
    shutil.copytree(version.tasks, folder)
    for file in folder.iterdir():
        text = file.read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        file.write_text(text)
    assert any(file.read_text() != (version.tasks / file.name).read_text() for file in folder.iterdir())
    return SuiteVersion(version.text, folder)


@pytest.mark.long("two evaluations; test_own_tasks_get_the_scores_of_a_full_evaluation has one")
def test_tasks_that_are_configured_otherwise_and_ask_the_same_are_scored(
    starter: EvaluatedPair, tmp_path: Path
) -> None:
    """Task files that differ in spelling but give the same requests are accepted, and the scores are equal."""
    new = respelled(starter.new, tmp_path / "tasks", {"{{input}}": "{{ input }}"})
    cases.rescore(starter.by_old, new, tmp_path / "out")
    rescored, wanted = (
        json.loads((folder / "results.json").read_text()) for folder in (tmp_path / "out", starter.by_new)
    )
    assert rescored["results"] == wanted["results"]
    assert rescored["steward"]["digests"]["asked"] == wanted["steward"]["digests"]["asked"]


@LARGE
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("max_gen_toks: ", "max_gen_toks: 1", "arguments of the requests of starter_object_counting differ"),
        ("{{input}}", "{{input | upper}}", "is worded otherwise"),
        ("sampler: first_n", "sampler: default", "fewshot_config of"),
    ],
)
def test_tasks_that_are_configured_otherwise_and_ask_otherwise_are_refused(
    starter: EvaluatedPair, tmp_path: Path, old: str, new: str, words: str
) -> None:
    """Rescoring is refused if changed task files give other requests; the error says what differs."""
    with pytest.raises(RescoringRefused) as refused:
        cases.rescore(starter.by_old, respelled(starter.new, tmp_path / "tasks", {old: new}), tmp_path / "out")
    assert words in str(refused.value)


@pytest.mark.long("two evaluations; test_own_tasks_get_the_scores_of_a_full_evaluation has one")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Count the things of one kind.", "Count.", f"description of {TASK} is"),
        pytest.param(
            "shots: 3\n    generative: true\n  - name: Word",
            "shots: 2\n    generative: true\n  - name: Word",
            "num_fewshot",
            marks=LARGE,
        ),
        pytest.param("max_tokens: 3", "max_tokens: 4", f"generation_kwargs of {TASK} is", marks=LARGE),
    ],
)
def test_a_suite_that_asks_otherwise_is_refused(
    starter: EvaluatedPair, tmp_path: Path, old: str, new: str, words: str
) -> None:
    """Rescoring is refused if the suite asks with other prompts, examples or arguments; the error names the field."""
    asks = cases.own(tmp_path / "tasks", {old: new}, [])
    with pytest.raises(RescoringRefused) as refused:
        cases.rescore(starter.by_old, asks, tmp_path / "out")
    assert words in str(refused.value)
    assert "the suite asks otherwise than the evaluation did" in str(refused.value)
