"""A model whose name is too long for the usual name of its details repo is evaluated like any other."""

from __future__ import annotations

import pytest
from huggingface_hub import CommitOperationAdd

from redis_state.jobs import EvaluationJob
from steward.testing.board import CONFIG, BoardDriver
from tests.support.board.published_details import publish

MODEL = f"ada/m{'x' * 95}"


@pytest.fixture
def started(stand: BoardDriver) -> EvaluationJob:
    """The job of a running evaluation of a model with a long name."""
    stand.ada.create_repo(MODEL)
    files = {"README.md": "# A model\n", "config.json": CONFIG, "model.safetensors": "x"}
    operations = [CommitOperationAdd(path, content.encode()) for path, content in files.items()]
    stand.ada.create_commit(MODEL, operations, commit_message="Add")
    return stand.started(MODEL)


def test_a_model_with_a_long_name_gets_its_results(stand: BoardDriver, started: EvaluationJob) -> None:
    """A worker publishes a model with a long name to a repo with a shorter name, and the bot copies the results."""
    details = publish(stand.hub.url, started, stand.context.suite)
    stand.end(started, details=details)
    file = stand.file(started.path)
    assert (file["status"], file["steward"]["results"].startswith(MODEL)) == ("FINISHED", True)
    assert f"/datasets/{details.repo}" in stand.threads()[0].events[0].content


def test_a_model_with_a_long_name_is_tried_again_when_its_worker_is_lost(
    stand: BoardDriver, started: EvaluationJob
) -> None:
    """When the worker of a model with a long name is lost, the bot sets the request to RERUN, and parks nothing."""
    stand.time += 3600
    stand.tick()
    stand.settle()
    file = stand.file(started.path)
    assert (file["status"], file["steward"]["attempt"]) == ("RERUN", 2)
    assert stand.context.parking.all() == []
