"""Operators check models, and read states, reasons and logs of requests, on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from huggingface_hub import CommitOperationAdd
from typer.testing import CliRunner, Result

from bot.core.settings import BotSettings
from leaderboard.attempts import Failure
from redis_state.jobs import EvaluationJob
from steward.cli import app
from steward.testing.board import BOT, BoardDriver
from tests.support.board.check_answers import failing


@pytest.fixture
def steward(stand: BoardDriver, settings: BotSettings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `steward …` on the board of `stand`."""
    monkeypatch.setenv("STEWARD_BOARD", str(settings.board))
    monkeypatch.setenv("STEWARD_BOT_TOKEN", BOT)
    monkeypatch.setenv("HF_ENDPOINT", stand.hub.url)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    return lambda *words: CliRunner().invoke(app, list(words))


@pytest.mark.long("three seconds of a processor")
def test_an_operator_checks_a_model(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """`steward check` lists passed and failed rules with advice, as text or JSON, and exits with 1 after a failure."""
    result = steward("check", "ada/pickled", "--precision", "float32")
    assert result.exit_code == 1, result.output
    assert "ok    The model can be read" in result.output
    assert "FAIL" in result.output
    assert "→" in result.output
    assert "would not be accepted" in result.output
    for name in ("ada/nowhere", f"{stand.hub.url}/ada/nowhere"):
        missing = steward("check", name, "--precision", "float32").output
        assert "ada/nowhere would not be accepted: 1 rule fails. " in missing
        assert "could not be checked." in missing
        assert len(missing.splitlines()) <= 12
    listed = json.loads(steward("check", "ada/pickled", "--json").stdout.splitlines()[-1])
    assert (listed["accepted"], listed["access"]) == (False, "public")
    assert "safetensors" in failing(listed)
    assert stand.commits() == 1


def test_an_operator_looks_at_requests(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """`steward status` and `search` show requests without a call to the Hub, and exit with 1 if none is found."""
    refused, waits = stand.submit("ada/pickled"), stand.submit("ada/good")
    stand.settle()
    calls = len(stand.calls)
    result = steward("status", refused)
    assert result.exit_code == 0, result.output
    assert "failed (FAILED)" in result.output
    assert "pickle" in result.output
    assert "/discussions/" in result.output
    assert "ada/good" in steward("search", "goo").output
    hits = json.loads(steward("search", "ada;", "Precision:", "float32", "--json").stdout)["hits"]
    assert {hit["path"] for hit in hits} == {refused, waits}
    assert steward("search", "nowhere").exit_code == 1
    listed = json.loads(steward("status", "ADA/good", "--json").stdout.splitlines()[-1])["requests"]
    assert [request["path"] for request in listed] == [waits]
    if listed[0]["state"] == "waiting":
        assert listed[0]["place"]["position"] == 1
    assert steward("status", "ada/nothing").exit_code == 1
    assert len(stand.calls) == calls
    secret = stand.context.index.get(refused)
    hidden = secret.standing.model_copy(update={"access": "private"})
    stand.context.index.put(secret.model_copy(update={"standing": hidden}))
    assert "pickle" in steward("status", refused).output


LOG = "loading\n\tshard 1\x1b[2J\nSafetensorError: Error while deserializing header: MetadataIncompleteBuffer\n"


def failed(stand: BoardDriver) -> EvaluationJob:
    """Let an evaluation fail whose log is on the Hub; return its job."""
    job = stand.started()
    log = CommitOperationAdd(f"ada/good/{job.attempt}/log.txt", LOG.encode())
    stand.form.create_commit("board/logs", [log], commit_message="Add", repo_type="dataset")
    cause = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.", advice="Upload.")
    stand.end(job, failure=cause)
    return job


def test_an_operator_hears_why_and_reads_the_log(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """`steward why` prints reason and decisive lines of the log, `steward logs` the log without escape characters."""
    job = failed(stand)
    result = steward("why", "ada/good")
    assert result.exit_code == 0, result.output
    assert "The weights are cut off." in result.stdout
    assert "| SafetensorError: Error while deserializing header" in result.stdout
    (explained,) = json.loads(steward("why", job.path, "--json").stdout.splitlines()[-1])["requests"]
    assert (explained["path"], explained["failure"]["cause"]) == (job.path, "weights-corrupted")
    assert any("SafetensorError" in line for line in explained["lines"])
    log = steward("logs", job.path)
    assert log.exit_code == 0, log.output
    assert log.stdout.splitlines() == ["loading", "        shard 1[2J", LOG.splitlines()[-1]]


def test_where_there_is_no_log_it_says_so(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """`steward logs` exits with 1 and an error message if there is no request, no log, or more than one request."""
    waiting = stand.submit("ada/good")
    stand.settle()
    for what, message in (("ada/nothing", "There is no request"), (waiting, "There is no log")):
        result = steward("logs", what)
        assert (result.exit_code, result.stdout, message in result.stderr) == (1, "", True)
    other = stand.submit("ada/good", path=waiting.replace("float32", "float16"), precision="float16")
    stand.settle()
    result = steward("logs", "ada/good")
    assert (result.exit_code, waiting in result.stderr, other in result.stderr) == (1, True, True)


def test_a_log_is_waited_for(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """`steward logs -f` prints the state on standard error, and the log once the evaluation has ended."""
    job = stand.started()
    log = CommitOperationAdd(f"ada/good/{job.attempt}/log.txt", LOG.encode())
    stand.form.create_commit("board/logs", [log], commit_message="Add", repo_type="dataset")
    cause = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.", advice="Upload.")
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(steward, "logs", "-f", "--every", "0.2", job.path)
        stand.end(job, failure=cause)
        result = following.result(timeout=30)
    assert result.exit_code == 0, result.output
    assert "shard 1" in result.stdout
    assert "failed (FAILED)" in result.stderr
