"""All weight types that run on a CPU, evaluated by a real worker: scores equal those of the complete model.

`make test` evaluates an adapter and half precision; `make long` also deltas, compares engines, and verifies.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest

from leaderboard.attempts import Outcome
from leaderboard.details import table_path
from leaderboard.engines import EngineName
from leaderboard.steward_block import engine_use
from tests.support.models import adapters_and_deltas
from tests.support.workers import evaluation_script
from tests.support.workers.child_runs import evaluate_by_prefix, write_model
from tests.support.workers.real_worker import PATIENCE, RealWorker
from workers.jobs.sample_comparison import EngineTolerance, compare_task
from workers.publication.details import write_samples

BASE = "ada/base"
NAMES = ("base", "adapter", "merged", "delta", "summed")


@pytest.fixture(scope="module")
def stand(real_worker: RealWorker) -> RealWorker:
    """A worker with its Hub and queue."""
    return real_worker


@pytest.fixture(scope="module")
def revisions(stand: RealWorker) -> dict[str, str]:
    """Model → commit of the base model and of the models made from it; the base model has a later commit."""
    uploaded = {name: stand.upload(f"ada/{name}", getattr(adapters_and_deltas, name)()) for name in NAMES}
    stand.upload(BASE, adapters_and_deltas.merged())
    return uploaded


@pytest.fixture(scope="module")
def outcomes(stand: RealWorker, revisions: dict[str, str]) -> dict[str, Outcome]:
    """The outcomes of all evaluations."""
    asks: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    based = {"base_model": BASE, "base_revision": revisions["base"]}
    asks |= {name: {"weight_type": name.title(), **based} for name in NAMES if name in ("adapter", "delta")}
    jobs = [stand.job(f"ada/{name}", revisions[name], **asks[name]) for name in NAMES]
    return dict(zip(NAMES, stand.run(*jobs), strict=True))


def rows(stand: RealWorker, outcome: Outcome, task: str = "quick_choose") -> list[dict[str, Any]]:
    """The rows of one task's details."""
    assert outcome.details is not None, outcome.failure
    time = outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    table = pq.read_table(io.BytesIO(stand.read(outcome, table_path(task, time))))
    return table.to_pylist()


def likelihoods(stand: RealWorker, outcome: Outcome) -> list[float]:
    """The log-likelihoods of all choices."""
    return [float(answer[0]) for row in rows(stand, outcome) for answer in json.loads(row["answers"])]


@pytest.mark.parametrize(("change", "whole"), [("adapter", "merged"), ("delta", "summed")])
def test_scores_are_those_of_the_whole_model(
    stand: RealWorker, outcomes: dict[str, Outcome], change: str, whole: str
) -> None:
    """An adapter gets the scores of the merged model, and a delta those of the sum with its base model."""
    changed, expected = stand.results(outcomes[change]), stand.results(outcomes[whole])
    assert changed["results"] == expected["results"]
    assert likelihoods(stand, outcomes[change]) == pytest.approx(likelihoods(stand, outcomes[whole]), abs=1e-4)


@pytest.mark.parametrize("change", ["adapter", "delta"])
def test_the_change_is_not_without_effect(stand: RealWorker, outcomes: dict[str, Outcome], change: str) -> None:
    """An adapter or a delta changes the base model's answers, so that the comparison of scores is meaningful."""
    assert likelihoods(stand, outcomes[change]) != pytest.approx(likelihoods(stand, outcomes["base"]), abs=1e-2)


@pytest.mark.long("two evaluations more")
def test_a_sum_is_exact(stand: RealWorker, outcomes: dict[str, Outcome]) -> None:
    """A delta's answers equal those of the summed model digit for digit."""
    for task in ("quick_choose", "quick_write"):
        assert rows(stand, outcomes["delta"], task) == rows(stand, outcomes["summed"], task)


@pytest.mark.long("one evaluation more")
def test_the_same_model_twice_is_equal_bit_for_bit(
    stand: RealWorker, outcomes: dict[str, Outcome], revisions: dict[str, str]
) -> None:
    """Two evaluations of the same model are equal bit for bit."""
    (again,) = stand.run(stand.job(BASE, revisions["base"], 2))
    assert stand.results(again)["results"] == stand.results(outcomes["base"])["results"]
    for task in ("quick_choose", "quick_write"):
        assert rows(stand, again, task) == rows(stand, outcomes["base"], task)


def test_results_say_what_was_changed(
    stand: RealWorker, outcomes: dict[str, Outcome], revisions: dict[str, str]
) -> None:
    """The results name the base model and the commit that admission recorded."""
    results = stand.results(outcomes["adapter"])
    block, arguments = results["steward"], results["config"]["model_args"]
    assert (block["weight_type"], block["base_model"]) == ("Adapter", BASE)
    assert block["base_revision"] == arguments["revision"] == revisions["base"]
    assert arguments["peft"] == f"ada/adapter@{revisions['adapter']}"


def verified(stand: RealWorker, attempt: str, *options: str) -> tuple[int, dict[str, Any]]:
    """The output of `steward verify`, which finds the model by the request's path, and its exit status."""
    process = subprocess.run(
        [sys.executable, "-m", "steward.cli", "verify", attempt, "--json", *options],
        env=stand.settings(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.stdout, process.stderr[-2000:]
    return process.returncode, json.loads(process.stdout)


@pytest.mark.long("the harness is imported once more; test_verify compares samples")
def test_a_published_evaluation_is_verified_sample_by_sample(stand: RealWorker, outcomes: dict[str, Outcome]) -> None:
    """`steward verify` uses the recorded commit of the base model, although its head is another."""
    outcome = outcomes["adapter"]
    stand.upload("trial/requests", {outcome.path: b"{}", "README.md": b"# requests"}, "dataset")
    status, report = verified(stand, outcome.attempt)
    assert (status, report["equal"], report["versions"]) == (0, True, {})
    assert report["engines"] == ["harness (texts: shared-prefix 1)"] * 2  # a dozen questions are not worth a comparison
    assert [(task["task"], task["samples"], task["equal"]) for task in report["tasks"]] == [
        ("quick_choose", 11, 11),
        ("quick_write", 11, 11),
    ]


@pytest.fixture(scope="module")
def halves(stand: RealWorker, revisions: dict[str, str]) -> list[Outcome]:
    """The outcomes of two evaluations of the base model: in bfloat16, and in float16 with the chat template."""
    asks: list[dict[str, Any]] = [{"precision": "bfloat16"}, {"precision": "float16", "use_chat_template": True}]
    return stand.run(*(stand.job(BASE, revisions["base"], **ask) for ask in asks))


@pytest.mark.long("the harness is imported for each; test_verify verifies too")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_harness_verifies_what_the_default_engine_published(
    stand: RealWorker, outcomes: dict[str, Outcome], halves: list[Outcome], precision: str
) -> None:
    """`steward verify --engine harness` computes all answers with the harness alone, and finds the same scores."""
    outcome = {"float32": outcomes["base"], "bfloat16": halves[0]}[precision]
    assert stand.results(outcome)["steward"]["engine"]["generation"]["answers"] == 11
    stand.upload("trial/requests", {outcome.path: b"{}"}, "dataset")
    status, report = verified(stand, outcome.attempt, "--engine", "harness")
    assert (status, report["agrees"], report["disagreement"]) == (0, True, "")
    assert report["engines"] == ["harness (texts: shared-prefix 1)", "harness"]
    assert all(published == here for published, here in report["scores"].values())


def test_half_precision_and_the_chat_template_run_too(stand: RealWorker, halves: list[Outcome]) -> None:
    """Half precision and the chat template reach the harness, and its results show them."""
    brain, half = (stand.results(outcome) for outcome in halves)
    assert brain["config"]["model_args"]["dtype"] == brain["steward"]["precision"] == "bfloat16"
    assert half["config"]["model_dtype"].endswith("float16")
    assert half["steward"]["use_chat_template"] is True
    assert rows(stand, halves[1])[0]["prompt"].startswith("user: ")


UNUSABLE = [
    ("no-base", "Adapter", adapters_and_deltas.adapter, "ada/nowhere", "base-model-missing"),
    ("half-adapter", "Adapter", lambda: adapters_and_deltas.adapter(without="v_proj"), BASE, "adapter-unusable"),
    ("not-quantised", "Original", adapters_and_deltas.base, "", "quantisation-unusable"),
    (
        "circle",
        "Adapter",
        lambda: adapters_and_deltas.adapter(base_model="ada/circle"),
        "ada/circle",
        "base-model-missing",
    ),
    ("half-delta", "Delta", lambda: adapters_and_deltas.delta(without="model.norm.weight"), BASE, "delta-unusable"),
    ("no-quantiser", "Original", adapters_and_deltas.base, "", "library-missing"),
]


@pytest.mark.parametrize(("name", "kind", "files", "base", "cause"), UNUSABLE)
def test_what_cannot_be_run_ends_in_its_cause(
    stand: RealWorker, name: str, kind: str, files: Any, base: str, cause: str
) -> None:
    """Missing or unusable weights end the attempt with their cause."""
    precision = {"no-quantiser": "8bit", "not-quantised": "GPTQ"}.get(name, "float32")
    stand.upload(BASE, adapters_and_deltas.base())
    revision = stand.upload(f"ada/{name}", files())
    asked = stand.job(f"ada/{name}", revision, weight_type=kind, precision=precision, base_model=base)
    (outcome,) = stand.run(asked)
    assert outcome.failure is not None
    assert outcome.failure.cause == cause, outcome.failure


KINDS: dict[str, dict[str, Any]] = {
    "adapter": {"weight_type": "Adapter"},
    "prompt": {"weight_type": "Adapter"},
    "delta": {"weight_type": "Delta"},
    "float16": {"dtype": "float16"},
    "bfloat16": {"dtype": "bfloat16"},
}
METRICS = ("acc_norm,none", "exact_match,answer")
ASIDE = {"prompt": "its adapter adds tokens to the prompt"}


@pytest.mark.long("two children each; test_shared_prefix_harness is quick")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", KINDS)
def test_the_engine_gives_the_results_of_the_harness(name: str, tmp_path: Path) -> None:
    """Both engines give the same results for adapters, deltas and half precision, or the results say why not.

    The samples of one agree with those of the other, as `steward verify --engine` compares them.
    """
    changes = KINDS[name]
    if "weight_type" in changes:
        base, change = (
            write_model(tmp_path / "weights" / kind, getattr(adapters_and_deltas, kind)()) for kind in ("base", name)
        )
        changes = {**changes, "model_path": change, "base_path": base, "base_model": BASE, "base_revision": "1" * 40}
    both = {engine: {**changes, "engine": engine} for engine in get_args(EngineName)}
    spools = evaluate_by_prefix(tmp_path, (evaluation_script.__file__,), **both)
    harness, engine = (json.loads((spools[way] / "results.json").read_text()) for way in get_args(EngineName))
    use = engine_use(engine)
    expected = ("harness", ASIDE[name]) if name in ASIDE else ("shared-prefix", "")
    assert use and (use.engine, use.reason) == expected
    one_question = 1 / 40 if name == "bfloat16" else 0  # in which answers tie
    for task, scores in harness["results"].items():
        computed = engine["results"][task]
        assert computed.keys() == scores.keys()
        assert [computed[metric] for metric in METRICS if metric in scores] == pytest.approx(
            [scores[metric] for metric in METRICS if metric in scores], abs=one_question + 1e-9
        )
    tolerance = EngineTolerance(harness["config"]["model_dtype"])
    assert (tolerance.epsilon is not None) == name.endswith("float16")
    for task in (file.stem for file in (spools["harness"] / "samples").iterdir()):
        tables = [tmp_path / f"{task}-{way}.parquet" for way in get_args(EngineName)]
        for table, way in zip(tables, get_args(EngineName), strict=True):
            write_samples(spools[way] / "samples" / f"{task}.jsonl", table, ())
        published, here = (pq.read_table(table).to_pylist() for table in tables)
        compared = compare_task(task, published, here, tolerance)
        assert compared.samples - compared.agreeing <= (name == "bfloat16")  # a tie that is decided otherwise
    assert tolerance.disagreement() == ""
    assert (tolerance.largest_difference > 0) == (name not in ASIDE)
