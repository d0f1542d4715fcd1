"""Front ends read what Steward wrote, in every state of a board."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from huggingface_hub import CommitOperationAdd

import tests.support.board.front_end_readers as fronts
from bot.probe import Probe
from bot.queue import rulings
from bot.setup.adopting import adopt
from leaderboard.adoption import FORMER_RECORD, RECORD
from leaderboard.attempts import Failure, attempt_id
from leaderboard.holds import FORMER_PAUSES, PAUSES
from leaderboard.removals import FORMER_ARCHIVE, original_path
from redis_state.jobs import EvaluationJob
from steward.testing.board import REQUESTS
from tests.support.board.contents_table import board_with_table, data, look, snapshot
from tests.support.board.flags import AppealThread, FlagBoardDriver
from tests.support.board.published_details import publish
from workers.common.run_plan import RunPlan

RESULTS = "board/results"


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with flags and a table."""
    with board_with_table(tmp_path, connection, probe) as driver:
        yield driver


def ask(stand: FlagBoardDriver, model: str, **changes: Any) -> str:
    """Commit a request for `model` with all fields that front ends write; return its path."""
    fields = {
        "base_model": "",
        "revision": "main",
        "precision": "float32",
        "params": 0.1,
        "architectures": "GPT2LMHeadModel",
        "weight_type": "Original",
        "submitted_time": "2026-11-20T10:00:00Z",
        "model_type": "🔶 : 🔶 fine-tuned on domain-specific datasets",
        "job_id": -1,
        "job_start_time": None,
        "use_chat_template": False,
        "sender": "ada",
    }
    return stand.submit(model, **{**fields, **changes})


def start(stand: FlagBoardDriver, model: str) -> EvaluationJob:
    """Start an evaluation of `model`, after the wait that the budget of commits requires; return its job."""
    stand.time += 900
    stand.tick()
    stand.worker()
    ask(stand, model)
    stand.settle()
    (job,) = stand.queued()
    assert stand.take(job) is True
    return job


def harness_part(model: str, revision: str) -> dict[str, Any]:
    """The configuration in the results of a model: the harness's description of the model, as a worker writes it."""
    arguments = {"pretrained": model, "revision": revision, "dtype": "float32"}
    said = {"model": "hf", "model_name": model, "model_args": arguments, "model_dtype": "torch.float32"}
    return {"config": said, "configs": {}}


def finish(stand: FlagBoardDriver, model: str) -> str:
    """Evaluate a model to its end; return the path of its request."""
    job = start(stand, model)
    harness_data = harness_part(job.model, job.revision)
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite, harness=harness_data))
    assert stand.file(job.path)["status"] == "FINISHED"
    return job.path


def later(stand: FlagBoardDriver) -> None:
    """Let the bot commit what is staged, once the budget of commits allows it."""
    stand.settle()
    stand.time += 900
    stand.settle()


def queue_of(stand: FlagBoardDriver, into: Path) -> dict[str, list[str]]:
    """The queue page: list → models. The submit check reads the same files."""
    requests = snapshot(stand, REQUESTS, into)
    assert fronts.submitted(requests)
    return {name: sorted(line.split()[0] for line in shown) for name, shown in fronts.queue_page(requests).items()}


def board_in_every_state(stand: FlagBoardDriver) -> None:
    """Adopt the board, and give it requests in each status and a removed model."""
    ask(stand, "ada/tuned", status="FINISHED")
    adopt(stand.context)
    stand.settle()
    finish(stand, "ada/good")
    finish(stand, "ada/plain")
    look(stand)
    AppealThread(stand, "My model", "Hello.").say("/remove ada/plain the weights were wrong", stand.form)
    look(stand)
    job = start(stand, "ada/half")
    stand.end(job, failure=Failure(cause="weights-corrupted", fault="submission", message="Cut off."))
    start(stand, "ada/loud")
    ask(stand, "ada/quiet")
    stand.settle()


QUEUE = {"pending": ["ada/quiet"], "running": ["ada/loud"], "finished": ["ada/good", "ada/tuned"]}


def test_every_reader_reads_a_board_in_every_state(stand: FlagBoardDriver, tmp_path: Path) -> None:
    """All front ends read a board with requests in each status, also while it is paused and after it was resumed."""
    board_in_every_state(stand)
    states = {path: stand.file(path)["status"] for path in stand.context.index.paths()}
    assert sorted(states.values()) == ["CANCELLED", "FAILED", "FINISHED", "FINISHED", "PENDING", "RUNNING"]
    for number, change in enumerate((None, rulings.pause, rulings.resume)):
        if change is rulings.pause:
            assert rulings.pause(stand.context, "board", "The machines are moved.", "maya").done
        elif change is rulings.resume:
            assert rulings.resume(stand.context, "board").done
        later(stand)
        assert queue_of(stand, tmp_path / str(number)) == QUEUE
    assert stand.file(PAUSES) == {"board": None}
    assert stand.file(RECORD)["board"] == stand.context.board.name
    (row,) = fronts.react_leaderboard(data(stand))
    assert (row["name"], row["metadata"]["co2_cost"]) == ("ada/good", 0.0)
    requests, results = (snapshot(stand, repo, tmp_path / "last") for repo in (REQUESTS, RESULTS))
    assert fronts.results_v1(results) == {"ada/good"}
    assert fronts.results_template(results, requests) == {"ada/good": "FINISHED"}


@pytest.mark.long("test_former_paths moves the files, and the test above has the readers")
def test_a_board_that_an_earlier_version_wrote_is_read_once_its_files_are_moved(
    stand: FlagBoardDriver, tmp_path: Path
) -> None:
    """Front ends fail on the files of an earlier version of Steward, and read them once the bot has moved them."""
    board_in_every_state(stand)
    assert rulings.pause(stand.context, "tier:large", "The machines are moved.", "maya").done
    later(stand)
    as_an_earlier_version_wrote_it(stand)
    requests, results = (snapshot(stand, repo, tmp_path / "before") for repo in (REQUESTS, RESULTS))
    with pytest.raises(KeyError, match="status"):
        fronts.queue_page(requests)
    with pytest.raises(KeyError, match="model"):
        fronts.submitted(requests)
    assert "ada/plain" in fronts.results_v1(results)
    assert "ada/plain" in fronts.results_template(results, requests)
    stand.context.mark("former-paths")
    later(stand)
    assert queue_of(stand, tmp_path / "after") == QUEUE
    requests, results = (snapshot(stand, repo, tmp_path / "last") for repo in (REQUESTS, RESULTS))
    assert fronts.results_v1(results) == {"ada/good"}
    assert fronts.results_template(results, requests) == {"ada/good": "FINISHED"}
    assert list(stand.file(PAUSES)) == ["tier:large"]


def as_an_earlier_version_wrote_it(stand: FlagBoardDriver) -> None:
    """Move Steward's own files to the paths that they had in earlier versions."""
    places = {PAUSES: FORMER_PAUSES, RECORD: FORMER_RECORD}
    for repo, board in ((REQUESTS, stand.context.requests), (RESULTS, stand.context.results)):
        there = {
            file.path: stand.context.hub.read_file(board, file.path).data
            for file in stand.context.hub.list_files(board)
        }
        moved = {path: data for path, data in there.items() if path in places or original_path(path) is not None}
        adds = [
            CommitOperationAdd(places.get(path, f"{FORMER_ARCHIVE}{original_path(path)}"), data)
            for path, data in moved.items()
        ]
        stand.form.create_commit(repo, adds, commit_message="Write", repo_type="dataset")
        for path in moved:
            stand.form.delete_file(path, repo, repo_type="dataset")


@pytest.mark.long("five seconds to import the harness")
def test_the_harness_describes_a_model_as_these_boards_do(tmp_path: Path) -> None:
    """The results of these boards have what the harness writes about a model in a worker's results."""
    from lm_eval.loggers import EvaluationTracker

    from workers.evaluation import harness

    plan = RunPlan(
        attempt=attempt_id("demo", "ada/good.json", "1" * 40, 1),
        model="ada/good",
        revision="1" * 40,
        model_path=tmp_path,
        tasks=("task",),
        datasets=tmp_path,
        spool=tmp_path,
        suite="suite",
        suite_digest="digest",
    )
    described: dict[str, Any] = {"config": {"model": "watched", "model_dtype": "torch.float32"}, "configs": {}}
    harness._describe(plan, described, EvaluationTracker())
    expected = harness_part(plan.model, plan.revision)
    assert {name: described["config"][name] for name in expected["config"]} == expected["config"]
    assert described["configs"] == expected["configs"]


def test_the_template_fails_on_results_without_a_model_name(tmp_path: Path) -> None:
    """Results without `config.model_name`, which earlier versions wrote, end the reader with an AttributeError."""
    folder = tmp_path / "ada" / "good"
    folder.mkdir(parents=True)
    config = {"model_args": {"pretrained": "ada/good"}, "model_dtype": "torch.float32"}
    (folder / "results_2026-11-24T12-00-00.json").write_text(json.dumps({"config": config}))
    with pytest.raises(AttributeError):
        fronts.results_template(tmp_path, tmp_path)
