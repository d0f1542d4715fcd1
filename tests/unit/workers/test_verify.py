"""`steward verify`: the comparison of a new run with the published one, and the questions of the new run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.records import Repo
from leaderboard.engines import EngineUse
from tests.support.units.details_samples import STARTER, results, sample
from workers.common.hub_access import HubAccess
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.recorded_attempt import CannotVerify, RecordedAttempt, describe_engine, gateway_as_recorded
from workers.jobs.sample_comparison import EngineTolerance, TaskComparison, compare_task
from workers.jobs.verification import Verification
from workers.publication.details import SampleRow, sample_row

REPO = STARTER.datasets[0].repo
HUB = HubAccess("http://127.0.0.1:9", None)


def rows(*lines: bytes) -> list[SampleRow]:
    """Samples of the harness as rows of a table."""
    return [sample_row(line, ("acc_norm",)) for line in lines]


@pytest.mark.parametrize(
    ("again", "equal", "first"),
    [
        ([sample(doc_id=0), sample(doc_id=1), sample(doc_id=2)], 3, None),
        ([sample(doc_id=0), sample(doc_id=1, filtered_resps=[["-0.4", "True"]]), sample(doc_id=2)], 2, 1),
        ([sample(doc_id=0), sample(doc_id=1)], 2, 2),
        ([sample(doc_id=0), sample(doc_id=1), sample(doc_id=2, doc={"input": "Another?"})], 2, 2),
    ],
)
def test_each_sample_is_compared(again: list[bytes], equal: int, first: int | None) -> None:
    """Questions, prompts, answers and metrics are compared; the first difference is reported."""
    comparison = compare_task("task", rows(*(sample(doc_id=i) for i in range(3))), rows(*again), None)
    assert (comparison.samples, comparison.equal, comparison.agreeing, comparison.first) == (3, equal, equal, first)


def responses(*log_likelihoods: float) -> list[list[list[str]]]:
    """A sample's responses, of which the first is the most likely one."""
    return [[[str(value), str(number == 0)]] for number, value in enumerate(log_likelihoods)]


@pytest.mark.parametrize(
    ("changes", "agrees"),
    [
        ({"resps": responses(-0.50009, -1.5)}, True),
        ({"resps": responses(-0.5002, -1.5)}, False),
        ({"resps": responses(-0.5, -1.5, -2.0)}, False),
        ({"resps": [[["-0.5", "False"]], [["-1.5", "False"]]]}, False),
        ({"resps": responses(-0.5, float("nan"))}, False),
        ({"resps": [["a text"]]}, False),
        ({"doc": {"input": "Another?"}}, False),
        ({"acc_norm": 0.0}, False),
        ({"acc_norm": 0.99995}, True),
    ],
)
def test_two_engines_agree_within_the_tolerance(changes: dict[str, Any], agrees: bool) -> None:
    """In float32 each log-likelihood and metric is near the published one, and the same answers are most likely."""
    here = sample(**changes)
    comparison = compare_task("task", rows(sample()), rows(here), EngineTolerance("torch.float32"))
    assert (comparison.equal, comparison.agreeing, comparison.first) == (0, int(agrees), None if agrees else 7)
    assert compare_task("task", rows(sample()), rows(here), None).agreeing == 0


def test_a_text_may_differ_between_engines_if_its_score_is_the_same() -> None:
    """A text that differs at the same score agrees and is counted; a text with another score does not agree."""
    published = [sample(doc_id=i, resps=[["Yes."]]) for i in range(3)]
    here = [published[0], sample(doc_id=1, resps=[["Yes!"]]), sample(doc_id=2, resps=[["No"]], acc_norm=0.0)]
    comparison = compare_task("task", rows(*published), rows(*here), EngineTolerance("float32"))
    assert (comparison.equal, comparison.agreeing, comparison.texts, comparison.first) == (1, 2, 1, 2)


@pytest.mark.parametrize(("shift", "agrees"), [(0.01, True), (-0.01, True), (0.1, False)])
def test_half_precision_is_judged_by_all_log_likelihoods_together(shift: float, agrees: bool) -> None:
    """In half precision single log-likelihoods may differ more than in float32, but not all in the same direction."""
    tolerance = EngineTolerance("torch.bfloat16")
    published, here = (
        rows(*(sample(resps=responses(-1.0 - number + by, -9.0)) for number in range(5))) for by in (0.0, shift)
    )
    assert compare_task("task", published, here, tolerance).agreeing == 5
    assert tolerance.largest_difference == pytest.approx(abs(shift))
    assert (tolerance.disagreement() == "") is agrees


def recorded(datasets: dict[str, str]) -> RecordedAttempt:
    """A recorded attempt with questions at these commits."""
    published = results()
    block = published.block.model_copy(update={"datasets": datasets})
    return RecordedAttempt(
        Repo("dataset", "board/details"), "c" * 40, type(published)(block, published.scores, published.data), "t"
    )


def test_a_verification_asks_the_recorded_questions(tmp_path: Path) -> None:
    """The new run uses the recorded repos and commits of the questions, even if the board now uses others."""
    hub_gateway = TokenHubGateway(HUB, STARTER, tmp_path)
    assert gateway_as_recorded(hub_gateway, recorded({REPO: "1" * 40})).moved == {REPO: f"{REPO}@{'1' * 40}"}
    elsewhere = gateway_as_recorded(hub_gateway, recorded({"board/questions": "2" * 40}))
    assert elsewhere.moved == {REPO: f"board/questions@{'2' * 40}"}
    with pytest.raises(CannotVerify, match="do not record the commit"):
        gateway_as_recorded(hub_gateway, recorded({}))


def test_a_verification_is_equal_only_if_its_scores_are() -> None:
    """A verification is equal only if samples and unrounded scores are equal; two engines need the same scores, too."""
    block = results().block
    same: dict[str, Any] = {"versions": {}, "hardware": ("cpu", "cpu")}
    assert Verification(block, (), {"Navigation": (50.0, 50.0)}, **same).equal
    other = Verification(block, (), {"Navigation": (50.0, 50.0 + 1e-9)}, **same)
    assert not other.equal
    assert not other.agrees
    assert json.dumps(block.datasets) == "{}"


def test_scores_agree_as_far_as_metrics_explain() -> None:
    """Scores of two engines agree only if they differ by no more than the metrics, and all samples agree."""
    task = TaskComparison("task", 2, 1, 2, None, metric_difference=1e-5)
    scores = {"Navigation": (50.0, 50.0009)}
    verification = Verification(results().block, (task,), scores, {}, ("cpu", "cpu"))
    assert (verification.equal, verification.agrees) == (False, True)
    for changed in (
        replace(verification, scores={"Navigation": (50.0, 50.01)}),
        replace(verification, disagreement="by 3"),
    ):
        assert not changed.agrees
    assert not replace(verification, tasks=(replace(task, metric_difference=0.0),)).agrees
    assert not replace(verification, tasks=(replace(task, agreeing=1),)).agrees


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (None, "harness"),
        ({"engine": "shared-prefix"}, "shared-prefix 2"),
        ({"engine": "harness", "reason": "it has an encoder"}, "harness"),
        ({"engine": "harness", "generation": {"answers": 3, "compared": 3}}, "harness (texts: shared-prefix 2)"),
        ({"engine": "shared-prefix", "generation": {"answers": 3, "compared": 3}}, "shared-prefix 2"),
        ({"engine": "shared-prefix", "generation": {"answers": 0, "compared": 0}}, "shared-prefix 2 (texts: harness)"),
    ],
)
def test_an_engine_has_a_name_and_a_version(use: dict[str, Any] | None, words: str) -> None:
    """The description has the engine and its version, and the engine of texts if that is another one."""
    record = use and EngineUse.model_validate({"version": 2, "compared": 0, "largest_difference": 0, **use})
    assert describe_engine(record) == words
