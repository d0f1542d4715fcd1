"""Every kind of weights that runs on a CPU, through a real worker: scores are those of the whole model."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pyarrow.parquet as pq
import pytest

from leaderboard.attempts import Outcome
from leaderboard.details import table_path
from tests.support.models import adapters_and_deltas
from tests.support.workers.real_worker import PATIENCE, RealStand

BASE = "ada/base"
NAMES = ("base", "adapter", "merged", "delta", "summed")


@pytest.fixture(scope="module")
def stand(real_worker: RealStand) -> RealStand:
    """A worker with its Hub and queue."""
    return real_worker


@pytest.fixture(scope="module")
def revisions(stand: RealStand) -> dict[str, str]:
    """Model → commit, of the base model and of all that are made from it; the base model has moved on since."""
    found = {name: stand.upload(f"ada/{name}", getattr(adapters_and_deltas, name)()) for name in NAMES}
    stand.upload(BASE, adapters_and_deltas.merged())
    return found


@pytest.fixture(scope="module")
def outcomes(stand: RealStand, revisions: dict[str, str]) -> dict[str, Outcome]:
    """How the evaluation of each ended."""
    asks: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    based = {"base_model": BASE, "base_revision": revisions["base"]}
    asks["adapter"] = {"weight_type": "Adapter", **based}
    asks["delta"] = {"weight_type": "Delta", **based}
    jobs = [stand.job(f"ada/{name}", revisions[name], **asks[name]) for name in NAMES]
    return dict(zip(NAMES, stand.run(*jobs), strict=True))


def rows(stand: RealStand, outcome: Outcome, task: str = "quick_choose") -> list[dict[str, Any]]:
    """What was asked and answered in one task."""
    assert outcome.details is not None, outcome.failure
    time = outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    table = pq.read_table(io.BytesIO(stand.read(outcome, table_path(task, time))))
    return table.to_pylist()


def likelihoods(stand: RealStand, outcome: Outcome) -> list[float]:
    """The log-likelihood of every choice."""
    return [float(answer[0]) for row in rows(stand, outcome) for answer in json.loads(row["answers"])]


@pytest.mark.parametrize(("change", "whole"), [("adapter", "merged"), ("delta", "summed")])
def test_scores_are_those_of_the_whole_model(
    stand: RealStand, outcomes: dict[str, Outcome], change: str, whole: str
) -> None:
    """An adapter on its base is the merged model; a delta on its base is their sum."""
    found, expected = stand.results(outcomes[change]), stand.results(outcomes[whole])
    assert found["results"] == expected["results"]
    assert likelihoods(stand, outcomes[change]) == pytest.approx(likelihoods(stand, outcomes[whole]), abs=1e-4)


@pytest.mark.parametrize("change", ["adapter", "delta"])
def test_the_change_is_not_without_effect(stand: RealStand, outcomes: dict[str, Outcome], change: str) -> None:
    """The comparison would prove little if the base model answered the same."""
    assert likelihoods(stand, outcomes[change]) != pytest.approx(likelihoods(stand, outcomes["base"]), abs=1e-2)


def test_a_sum_is_exact(stand: RealStand, outcomes: dict[str, Outcome]) -> None:
    """Each tensor is added once, in the model's own dtype: the answers are those of the sum, digit for digit."""
    for task in ("quick_choose", "quick_write"):
        assert rows(stand, outcomes["delta"], task) == rows(stand, outcomes["summed"], task)


def test_the_same_model_twice_is_equal_bit_for_bit(
    stand: RealStand, outcomes: dict[str, Outcome], revisions: dict[str, str]
) -> None:
    """Every log-likelihood and every text, and so every score."""
    (again,) = stand.run(stand.job(BASE, revisions["base"], 2))
    assert stand.results(again)["results"] == stand.results(outcomes["base"])["results"]
    for task in ("quick_choose", "quick_write"):
        assert rows(stand, again, task) == rows(stand, outcomes["base"], task)


def test_results_say_what_was_changed(
    stand: RealStand, outcomes: dict[str, Outcome], revisions: dict[str, str]
) -> None:
    """Base model and its commit, the one that admission saw, stand in our block and in the harness's words."""
    found = stand.results(outcomes["adapter"])
    block, told = found["steward"], found["config"]["model_args"]
    assert (block["weight_type"], block["base_model"]) == ("Adapter", BASE)
    assert block["base_revision"] == told["revision"] == revisions["base"]
    assert told["peft"] == f"ada/adapter@{revisions['adapter']}"


def verified(stand: RealStand, attempt: str) -> tuple[int, dict[str, Any]]:
    """What `steward verify` says, and its exit status. It finds the model by the request's path."""
    done = subprocess.run(
        [sys.executable, "-m", "steward.cli", "verify", attempt, "--json"],
        env=stand.settings(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout, done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout)


def test_a_published_evaluation_is_verified_sample_by_sample(stand: RealStand, outcomes: dict[str, Outcome]) -> None:
    """Run again as recorded: at the base model's commit of then, though its newest is another."""
    outcome = outcomes["adapter"]
    stand.upload("trial/requests", {outcome.path: b"{}", "README.md": b"# requests"}, "dataset")
    status, said = verified(stand, outcome.attempt)
    assert (status, said["equal"], said["versions"]) == (0, True, {})
    assert [(task["task"], task["samples"], task["equal"]) for task in said["tasks"]] == [
        ("quick_choose", 11, 11),
        ("quick_write", 11, 11),
    ]


def test_half_precision_and_the_chat_template_run_too(stand: RealStand, revisions: dict[str, str]) -> None:
    """Each is told to the harness, and shows in what it writes."""
    asks: list[dict[str, Any]] = [{"precision": "bfloat16"}, {"precision": "float16", "use_chat_template": True}]
    ended = stand.run(*(stand.job(BASE, revisions["base"], **ask) for ask in asks))
    brain, half = (stand.results(outcome) for outcome in ended)
    assert brain["config"]["model_args"]["dtype"] == brain["steward"]["precision"] == "bfloat16"
    assert half["config"]["model_dtype"].endswith("float16")
    assert half["steward"]["use_chat_template"] is True
    assert rows(stand, ended[1])[0]["prompt"].startswith("user: ")


@pytest.mark.parametrize(
    ("name", "kind", "files", "base", "cause"),
    [
        ("no-base", "Adapter", adapters_and_deltas.adapter, "ada/nowhere", "base-model-missing"),
        ("half-adapter", "Adapter", lambda: adapters_and_deltas.adapter(without="v_proj"), BASE, "adapter-unusable"),
        ("half-delta", "Delta", lambda: adapters_and_deltas.delta(without="model.norm.weight"), BASE, "delta-unusable"),
        ("no-quantiser", "Original", adapters_and_deltas.base, "", "library-missing"),
        ("not-quantised", "Original", adapters_and_deltas.base, "", "quantisation-unusable"),
    ],
)
def test_what_cannot_be_run_ends_in_its_cause(
    stand: RealStand, name: str, kind: str, files: Any, base: str, cause: str
) -> None:
    """Whatever is missing is found, and never filled in by random numbers or loaded as something else."""
    precision = {"no-quantiser": "8bit", "not-quantised": "GPTQ"}.get(name, "float32")
    revision = stand.upload(f"ada/{name}", files())
    asked = stand.job(f"ada/{name}", revision, weight_type=kind, precision=precision, base_model=base)
    (outcome,) = stand.run(asked)
    assert outcome.failure is not None
    assert outcome.failure.cause == cause, outcome.failure
