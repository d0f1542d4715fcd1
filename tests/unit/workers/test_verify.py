"""Verification: the comparison, and the questions for the new run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.records import Repo
from tests.support.units.details_samples import STARTER, results, sample
from workers.common.hub_access import HubAccess
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.verification import CannotVerify, RecordedAttempt, Verification, _compare_task, gateway_as_recorded
from workers.publication.details import write_samples

CHOOSE = STARTER.benchmarks[0]
REPO = STARTER.datasets[0].repo
HUB = HubAccess("http://127.0.0.1:9", None)


def samples(folder: Path, *lines: bytes) -> Path:
    """A file of samples as the harness writes it."""
    file = folder / "samples.jsonl"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    return file


@pytest.mark.parametrize(
    ("again", "equal", "first"),
    [
        ([sample(doc_id=0), sample(doc_id=1), sample(doc_id=2)], 3, None),
        ([sample(doc_id=0), sample(doc_id=1, filtered_resps=[["-0.4", "True"]]), sample(doc_id=2)], 2, 1),
        ([sample(doc_id=0), sample(doc_id=1)], 2, 2),
        ([sample(doc_id=0), sample(doc_id=1), sample(doc_id=2, doc={"input": "Another?"})], 2, 2),
    ],
)
def test_each_sample_is_compared(tmp_path: Path, again: list[bytes], equal: int, first: int | None) -> None:
    """Questions, prompts, answers and metrics are compared; the first difference is reported."""
    then = tmp_path / "then.parquet"
    write_samples(samples(tmp_path, *(sample(doc_id=i) for i in range(3))), then, CHOOSE.metrics)
    found = _compare_task("task", CHOOSE, then, samples(tmp_path, *again), tmp_path / "now.parquet")
    assert (found.samples, found.equal, found.first) == (3, equal, first)


def recorded(datasets: dict[str, str]) -> RecordedAttempt:
    """A recorded attempt with questions at these commits."""
    found = results()
    block = found.block.model_copy(update={"datasets": datasets})
    return RecordedAttempt(
        Repo("dataset", "board/details"), "c" * 40, type(found)(block, found.scores, found.data), "t"
    )


def test_questions_are_those_of_then(tmp_path: Path) -> None:
    """The new run uses the recorded repos and commits of the questions, even if the board now uses others."""
    hub_gateway = TokenHubGateway(HUB, STARTER, tmp_path)
    assert gateway_as_recorded(hub_gateway, recorded({REPO: "1" * 40})).moved == {REPO: f"{REPO}@{'1' * 40}"}
    elsewhere = gateway_as_recorded(hub_gateway, recorded({"board/questions": "2" * 40}))
    assert elsewhere.moved == {REPO: f"board/questions@{'2' * 40}"}
    with pytest.raises(CannotVerify, match="do not record the commit"):
        gateway_as_recorded(hub_gateway, recorded({}))


def test_it_is_equal_only_where_scores_are_too() -> None:
    """A verification is equal only if samples and unrounded scores are equal."""
    block = results().block
    same: dict[str, Any] = {"versions": {}, "hardware": ("cpu", "cpu")}
    assert Verification(block, (), {"Navigation": (50.0, 50.0)}, **same).equal
    assert not Verification(block, (), {"Navigation": (50.0, 50.0 + 1e-9)}, **same).equal
    assert json.dumps(block.datasets) == "{}"
