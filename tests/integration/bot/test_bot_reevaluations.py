"""After a change of the board's suite a command has requests with results of the earlier suite evaluated again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bot.requests.request import sync_request
from bot.setup.adopting import adopt
from bot.setup.reevaluating import put_back, survey
from bot.web.board import BoardReader
from bot.web.pages.threads import DecisionsQuery, decisions
from hub.budget import Commits
from leaderboard.attempts import Failure
from leaderboard.effects import Effects
from leaderboard.request_paths import RequestPath
from leaderboard.suites import Suite, parse_suite
from localhub.git.changes import Author, SetFile
from redis_state import clock
from redis_state.jobs import recall
from steward.cli import app
from steward.testing.board import BOARD, BOT, REQUESTS, BoardDriver
from tests.support.board.published_details import publish

STARTER = (Path(__file__).parents[3] / "leaderboard/suites/starter.yaml").read_text()
NEWER = yaml.safe_dump({**yaml.safe_load(STARTER), "version": 2})
LONG_AGO = "2024-06-12T10:00:00Z"
THEIRS = Failure(cause="weights-not-finite", fault="submission", message="Weights are NaN.")


def path_of(precision: str) -> str:
    """Return the path of the request for `ada/good` in `precision`."""
    return str(RequestPath("ada", "good", private=False, precision=precision, weight_type="Original"))


def evaluate(stand: BoardDriver, path: str, number: int, failure: Failure | None = None) -> None:
    """Have a worker take the job of `path`, and end with results or with `failure`."""
    stand.worker()
    stand.tick()
    stand.settle()
    (job,) = [job for job in stand.queued() if job.path == path]
    assert stand.take(job) is True
    details = publish(stand.hub.url, job, stand.context.suite, number=number) if failure is None else None
    stand.end(job, failure=failure, details=details)
    stand.settle()


def finish(stand: BoardDriver, precision: str, number: int) -> str:
    """Submit a request for `ada/good`, have it evaluated by the present suite, and return its path."""
    path = stand.submit("ada/good", path=path_of(precision))
    stand.settle()
    evaluate(stand, path, number)
    assert stand.file(path)["status"] == "FINISHED"
    return path


def change_suite(stand: BoardDriver) -> Suite:
    """Give the board a new version of its suite, and stop the earlier worker."""
    stand.context.suite = parse_suite(NEWER)
    stand.context.workers.leave("w")
    return stand.context.suite


@pytest.mark.long("a board of evaluations under two versions of its suite; the kept tests of this file have one, too")
@pytest.mark.parametrize("is_reported", [True, False], ids=["told", "its worker was lost"])
def test_what_ended_while_the_suite_got_a_new_version_is_evaluated_once_more(
    stand: BoardDriver, is_reported: bool
) -> None:
    """If the suite changes during an evaluation, the bot drops its results and queues an attempt with the new one."""
    job = stand.started()
    details = publish(stand.hub.url, job, stand.context.suite)
    change_suite(stand)
    if is_reported:
        stand.end(job, details=details)
    else:
        stand.time += 100
        stand.tick()
        stand.settle()
    file = stand.file(job.path)
    assert (file["status"], file["steward"]["attempt"]) == ("RERUN", 2)
    assert file["steward"]["failure"]["cause"] == ("suite-changed" if is_reported else "worker-lost")
    stand.worker()
    stand.tick()
    stand.settle()
    (again,) = stand.queued()
    assert again.suite_digest == stand.context.suite.digest != job.suite_digest


@pytest.mark.long("a second of a processor")
def test_what_waits_is_evaluated_by_the_new_version_at_once(stand: BoardDriver) -> None:
    """The bot replaces jobs for the earlier version, in RQ or not, before a worker gets one: no attempt fails."""
    paths = [stand.submit("ada/good", path=path_of(precision)) for precision in ("float32", "float16", "bfloat16")]
    stand.settle()
    stand.worker()
    stand.tick()
    stand.settle()
    before = stand.queued()
    assert 0 < len(before) < len(paths)
    change_suite(stand)
    for number, _ in enumerate(paths):
        stand.worker()
        stand.tick()
        stand.settle()
        jobs = stand.queued()
        assert {job.suite_digest for job in jobs} == {stand.context.suite.digest} != {before[0].suite_digest}
        assert stand.take(jobs[0]) is True
        stand.end(jobs[0], details=publish(stand.hub.url, jobs[0], stand.context.suite, number=number + 1))
        stand.time += 60  # the ledger's commits follow each other with some time between them
        stand.settle()
    files = [stand.file(path) for path in paths]
    assert [(file["status"], file["steward"]["attempt"]) for file in files] == [("FINISHED", 1)] * 3


def test_an_earlier_job_that_a_worker_took_is_not_claimed(stand: BoardDriver) -> None:
    """The bot refuses the claim of a worker that took its job before the change, and queues a job for the new suite."""
    path = stand.submit("ada/good")
    stand.settle()
    stand.worker()
    stand.tick()
    stand.settle()
    (job,) = stand.queued()
    change_suite(stand)
    stand.worker()
    assert any(recall(stand.context.redis, name, job.attempt) for name in stand.context.queues)
    stand.context.attempts.take(job.attempt, path, "w", now=stand.time)
    sync_request(stand.context, path)
    assert stand.answer(job) is False
    stand.tick()
    stand.settle()
    (again,) = stand.queued()
    assert again.suite_digest == stand.context.suite.digest
    assert stand.take(again) is True


@pytest.fixture
def shell(stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on the board with the newer suite, and the syncs after it; returns status and output."""
    (tmp_path / "suite.yaml").write_text(NEWER)
    (tmp_path / "board.yaml").write_text(BOARD.replace("suite: starter", f"suite: {tmp_path / 'suite.yaml'}"))
    for name, value in {
        "HF_ENDPOINT": stand.hub.url,
        "REDIS_URL": valkey_url,
        "STEWARD_BOARD": str(tmp_path / "board.yaml"),
        "STEWARD_BOT_TOKEN": BOT,
        "STEWARD_MIRRORS": os.fspath(tmp_path / "mirrors"),
    }.items():
        monkeypatch.setenv(name, value)
    stand.context.ledger.budget.limits = Commits(at_once=60, first_wait=0.0)

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words))
        stand.time = clock.now() + 1  # the command has a clock of its own
        stand.settle()
        return result.exit_code, result.output

    return run


def check_decision(stand: BoardDriver, paths: list[str], suite: Suite) -> None:
    """Check that the list and the logs repo hold one decision, with the bot, the requests and the suite."""
    (decided,) = decisions(BoardReader(stand.context), DecisionsQuery()).decisions
    assert (decided.verb, decided.person, decided.thread_url) == ("reevaluate", "steward-bot", "")
    assert sorted(decided.requests) == sorted(paths)
    (decision,) = [
        file for file in stand.context.hub.list_files(stand.context.logs) if file.path.startswith("decisions/")
    ]
    assert (
        json.loads(stand.context.hub.read_file(stand.context.logs, decision.path).data)["arguments"]["digest"]
        == suite.digest
    )


def evaluate_again(stand: BoardDriver, paths: list[str], before: dict[str, Any]) -> None:
    """Check that the first request gets newer results, and the second fails and keeps its earlier ones."""
    evaluate(stand, paths[0], 3)
    newer = stand.file(paths[0])["steward"]
    assert newer["results"] != before[paths[0]]["steward"]["results"]
    assert newer["revision"] == before[paths[0]]["steward"]["revision"]
    assert not {"kept", "priority"} & newer.keys()
    evaluate(stand, paths[1], 4, THEIRS)
    back = stand.file(paths[1])
    assert (back["status"], back["steward"]["results"]) == ("FINISHED", before[paths[1]]["steward"]["results"])
    (post_text,) = [post for thread in stand.threads() if paths[1] in (post := thread.events[0].content)]
    assert "The leaderboard's benchmarks changed" in post_text
    assert "stays" in post_text


def test_finished_requests_wait_for_the_new_suite_on_command_and_once(stand: BoardDriver, shell: Any) -> None:
    """`steward reevaluate` shows the plan; `--yes` does it in one commit, records a decision, and never repeats it."""
    stand.tick()
    paths = [finish(stand, precision, i) for i, precision in enumerate(("float32", "bfloat16"))]
    before = {path: stand.file(path) for path in paths}
    suite = change_suite(stand)
    current = finish(stand, "float16", 2)
    stand.context.workers.leave("w")
    commits = stand.commits()

    code, output = shell("reevaluate")
    assert (code, "2 finished requests need a new evaluation." in output) == (0, True), output
    assert "1 have results of this suite." in output
    assert "Nothing was changed." in output
    assert stand.commits() == commits

    code, output = shell("reevaluate", "--yes")
    assert (code, "2 of them are queued" in output) == (0, True), output
    assert stand.commits() == commits + 1
    for path in paths:
        file = stand.file(path)
        assert (file["status"], file["steward"]["priority"]) == ("PENDING_NEW_EVAL", "low")
        assert file["steward"]["kept"]["results"] == before[path]["steward"]["results"]
        assert file["mystery"] == before[path]["mystery"]
    assert stand.file(current)["status"] == "FINISHED"
    assert {entry.path: entry.rank for entry in stand.context.index.waiting()} == dict.fromkeys(paths, 2)

    check_decision(stand, paths, suite)
    commits = stand.commits()
    code, output = shell("reevaluate", "--yes")
    assert (code, "There is nothing to do." in output) == (0, True), output
    assert (stand.commits(), len(decisions(BoardReader(stand.context), DecisionsQuery()).decisions)) == (commits, 1)

    evaluate_again(stand, paths, before)
    code, output = shell("reevaluate", "--yes")
    assert (code, "1 were queued for this suite once" in output) == (0, True), output
    assert "2 have results of this suite." in output
    assert "There is nothing to do." in output


@pytest.mark.long("a board of evaluations under two versions of its suite; the kept tests of this file have one, too")
def test_a_reevaluation_can_be_limited_to_a_model_and_a_number(stand: BoardDriver) -> None:
    """The survey lists a model's requests by path, up to the limit, and leaves out those whose edit is staged."""
    stand.tick()
    paths = sorted(finish(stand, precision, i) for i, precision in enumerate(("float32", "bfloat16")))
    change_suite(stand)
    assert survey(stand.context, model="ada/other").due == ()
    surveyed = survey(stand.context, model="ADA/good", limit=1)
    assert [request.path for request in surveyed.due] == paths[:1]
    assert (
        put_back(stand.context, surveyed.due, by=stand.context.me(), command="steward reevaluate --yes --limit 1") == 1
    )
    again = survey(stand.context)
    assert ([request.path for request in again.due], again.changing) == (paths[1:], 1)


@pytest.mark.long("a board of evaluations under two versions of its suite; the kept tests of this file have one, too")
def test_requests_whose_results_are_gone_are_reported_and_not_queued(stand: BoardDriver) -> None:
    """The survey lists a request whose results file was deleted as unknown, and not as due."""
    stand.tick()
    path = finish(stand, "float32", 0)
    stand.context.workers.leave("w")
    change_suite(stand)
    results = stand.file(path)["steward"]["results"]
    stand.form.delete_file(results, "board/results", repo_type="dataset", commit_message="Tidy up")
    surveyed = survey(stand.context)
    assert (surveyed.due, surveyed.unknown) == ((), (path,))


def fill(stand: BoardDriver, models: list[str]) -> None:
    """Commit requests for `models` that another backend finished, and adopt the board."""
    fields = {"status": "FINISHED", "revision": "main", "private": False, "job_id": -1, "submitted_time": LONG_AGO}
    repo = stand.hub.state.repos.get("dataset", REQUESTS)
    assert repo is not None
    changes = [
        SetFile(f"{model}_eval_request_False_float32_Original.json", json.dumps({"model": model, **fields}).encode())
        for model in models
    ]
    repo.git.commit("refs/heads/main", changes, None, Author("form", "form@example.com"), "Update")
    adopt(stand.context)
    stand.tick()
    stand.settle()


@pytest.mark.long("a board of evaluations under two versions of its suite; the kept tests of this file have one, too")
def test_what_was_finished_before_steward_waits_only_if_asked_for(stand: BoardDriver) -> None:
    """Requests from before the adoption are queued only with `--adopted`; after a failure they are FINISHED again."""
    fill(stand, ["ada/good"])
    path = path_of("float32")
    surveyed = survey(stand.context)
    assert (surveyed.due, surveyed.old) == ((), 1)
    asked = survey(stand.context, old=True)
    assert [request.path for request in asked.due] == [path]
    assert put_back(stand.context, asked.due, by=stand.context.me(), command="steward reevaluate --yes --adopted") == 1
    stand.settle()
    assert (stand.file(path)["status"], stand.file(path)["submitted_time"]) == ("PENDING_NEW_EVAL", LONG_AGO)
    assert stand.context.index.get(path).submitted == stand.time
    evaluate(stand, path, 0, THEIRS)
    file = stand.file(path)
    assert (file["status"], file["revision"], file["steward"]["failure"]["cause"]) == ("FINISHED", "main", THEIRS.cause)
    again = survey(stand.context, old=True)
    assert (again.due, again.tried) == ((), 1)


@pytest.mark.long("a second of a processor")
def test_many_are_put_back_by_one_commit(stand: BoardDriver) -> None:
    """The edits of forty requests land in one commit."""
    fill(stand, [f"ada/m{number}" for number in range(40)])
    due = survey(stand.context, old=True).due
    commits = stand.commits()
    assert put_back(stand.context, due, by=stand.context.me(), command="steward reevaluate --yes --adopted") == 40
    stand.context.ledger.budget.limits = Commits(at_once=60, first_wait=0.0)
    assert stand.context.effects.write(REQUESTS) is None
    assert stand.commits() == commits + 1
    assert {stand.file(request.path)["status"] for request in due} == {"PENDING_NEW_EVAL"}


@pytest.mark.long("a board of evaluations under two versions of its suite; the kept tests of this file have one, too")
def test_a_board_that_holds_relaunches_back_puts_nothing_back(stand: BoardDriver) -> None:
    """With relaunches in shadow mode the bot lists what it would do, changes no file, and records no decision."""
    stand.tick()
    path = finish(stand, "float32", 0)
    change_suite(stand)
    modes = {"edit": "on", "comment": "on", "relaunch": "shadow"}
    stand.context.board = stand.context.board.model_copy(update={"effects": Effects.model_validate(modes)})
    assert (
        put_back(stand.context, survey(stand.context).due, by=stand.context.me(), command="steward reevaluate --yes")
        == 0
    )
    stand.settle()
    assert stand.file(path)["status"] == "FINISHED"
    assert [thing.status for thing in stand.context.effects.shadow.read().things] == ["PENDING_NEW_EVAL"]
    assert decisions(BoardReader(stand.context), DecisionsQuery()).decisions == []
