"""Private and gated models: evaluated if the board accepts them, and never mentioned in public."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from bot.model_facts.checking import GATED, as_request
from bot.pulls.checks import verdict_on
from hub.records import Repo, WriteFile
from leaderboard.attempts import Failure
from leaderboard.request_paths import RequestPath
from leaderboard.requests import Request
from redis_state.board.entry import IndexEntry
from redis_state.jobs import EvaluationJob
from steward.testing.board import CONFIG, BoardDriver

Kind = Literal["gated", "private"]
BROKEN = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.")


def model(stand: BoardDriver, kind: str) -> str:
    """Create a model of the bot's own account, which its token may read, and return the model's id."""
    repo = Repo("model", f"steward-bot/{kind}")
    stand.context.hub.create_repo(repo, private=kind == "private")
    files = [
        WriteFile("config.json", CONFIG.encode()),
        WriteFile("model.safetensors", b"x"),
        WriteFile("README.md", b"# A model"),
    ]
    stand.context.hub.commit(repo, files, "Add it", regular=[file.path for file in files])
    if kind == "gated":
        stand.context.hub.gate(repo)
    return repo.id


@pytest.fixture
def taking(stand: BoardDriver) -> BoardDriver:
    """A board that takes private and gated models, and opens threads for everything."""
    policy = stand.context.board.admission.model_copy(update={"private_models": True, "gated_models": True})
    stand.context.board = stand.context.board.model_copy(update={"admission": policy, "threads": "always"})
    return stand


def started(stand: BoardDriver, kind: Kind) -> EvaluationJob:
    """Start an evaluation of such a model, and return its job."""
    return stand.started(model(stand, kind))


def path_of(kind: str) -> str:
    """Return the path of the request for such a model."""
    return str(RequestPath("steward-bot", kind, private=False, precision="float32", weight_type="Original"))


def logs(stand: BoardDriver) -> list[str]:
    """Return the paths of the logs repo, without the files that every repo begins with."""
    return [file.path for file in stand.context.hub.list_files(stand.context.logs) if "/" in file.path]


@pytest.mark.parametrize("kind", ["gated", "private"])
def test_a_model_that_not_all_may_see_is_evaluated_without_thread_or_public_log(
    taking: BoardDriver, kind: Kind
) -> None:
    """For a private or gated model the bot asks for private details, opens no thread, and makes the log private."""
    job = started(taking, kind)
    assert job.private is True
    taking.end(job, failure=BROKEN)
    file = taking.file(path_of(kind))
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("FAILED", "weights-corrupted")
    assert file["steward"]["access"] == kind
    assert "/board/logs-private/" in file["steward"]["log"]
    assert (taking.threads(), logs(taking)) == ([], [])
    hub, private = taking.context.hub, taking.context.private_logs
    assert len([entry for entry in hub.list_files(private) if "/" in entry.path]) == 2
    assert hub.is_private(private)


def test_a_repo_for_private_logs_that_is_public_holds_none(taking: BoardDriver) -> None:
    """A public repo with the name of the private logs repo gets no log, and neither does the public logs repo."""
    taking.context.hub.create_repo(taking.context.private_logs)
    job = started(taking, "private")
    taking.end(job, failure=BROKEN)
    file = taking.file(path_of("private"))
    assert (file["status"], file["steward"].get("log"), logs(taking)) == ("FAILED", None, [])
    assert not any("/" in entry.path for entry in taking.context.hub.list_files(taking.context.private_logs))


def test_a_private_repo_of_logs_may_hold_them(taking: BoardDriver) -> None:
    """If the board's logs repo is private, the bot puts a private model's log there, and opens no thread."""
    taking.context.hub.hide(taking.context.logs)
    job = started(taking, "private")
    taking.end(job, failure=BROKEN)
    assert taking.file(path_of("private"))["steward"]["log"].endswith("/log.txt")
    assert len(logs(taking)) == 2
    assert taking.threads() == []


def test_what_was_found_out_about_access_outlives_redis(taking: BoardDriver) -> None:
    """After Redis is lost, the bot reads in the request file that the model is private, and opens no thread."""
    job = started(taking, "private")
    taking.end(job, failure=BROKEN)
    taking.context.redis.flushall()
    taking.settle()
    entry: IndexEntry = taking.context.index.get(path_of("private"))
    assert entry.standing.access == "private"
    assert entry.is_private
    assert taking.threads() == []


def test_a_board_that_takes_open_models_only_refuses_without_a_thread(stand: BoardDriver) -> None:
    """The bot refuses a private model that its token may read in the request file, and opens no thread."""
    name = model(stand, "private")
    path = stand.submit(name)
    stand.settle()
    file: dict[str, Any] = stand.file(path)
    assert (file["status"], file["steward"]["access"]) == ("FAILED", "private")
    assert stand.threads() == []


@pytest.mark.parametrize("kind", ["gated", "private"])
def test_a_pull_request_hears_no_details_of_such_a_model(taking: BoardDriver, kind: Kind) -> None:
    """A verdict on a private or gated model has codes only; the board may treat a private model as not found."""
    name = model(taking, kind)
    asked = as_request(name, revision="main", precision="1bit", weight_type="Original")
    assert isinstance(asked, Request)
    verdict = verdict_on(taking.context, asked, submitter="ada")
    assert {(reason.code, reason.message) for reason in verdict.reasons} == {("precision-unknown", GATED)}
    policy = taking.context.board.admission.model_copy(update={"private_models": False})
    taking.context.board = taking.context.board.model_copy(update={"admission": policy})
    codes = {reason.code for reason in verdict_on(taking.context, asked, submitter="ada").reasons}
    assert ("model-not-found" in codes) == (kind == "private")
    assert "model-private" not in codes


def test_an_open_model_is_told_about_as_ever(stand: BoardDriver) -> None:
    """The bot publishes the log of a failed public model and opens a thread, and writes no `access` into its file."""
    job = stand.started()
    assert job.private is False
    stand.end(job, failure=BROKEN)
    file = stand.file(job.path)
    assert "access" not in file["steward"]
    assert file["steward"]["log"]
    assert len(stand.threads()) == 1
