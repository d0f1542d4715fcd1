"""The bot publishes results only if the samples that the worker uploaded beside them give the same values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.sample_tables import sample_tables
from bot.evaluations import samples
from bot.evaluations.published_files import LATE_SECONDS
from bot.evaluations.recomputing import OFF
from bot.threads.maintainers_list import DAY_SECONDS
from leaderboard.attempts import Details, Outcome
from leaderboard.details import table_path
from leaderboard.scores import normalise
from leaderboard.suites import Suite
from redis_state.heartbeats import WorkerCard
from redis_state.jobs import EvaluationJob
from steward.testing.board import BoardDriver
from tests.support.board.discussion import digests
from tests.support.board.published_details import publish

TIME = "2026-11-24T12-00-00.000000"
TASK = "starter_navigation"
TABLE = table_path(TASK, TIME)
Forge = Callable[[BoardDriver, dict[str, bytes]], None]


def values(suite: Suite, **changes: float) -> dict[str, dict[str, float]]:
    """Return the values that `publish` publishes, with `changes` for some tasks."""
    raw = {task: {"acc_norm,none": 0.75, "exact_match,answer": 0.5} for task in suite.tasks}
    return {task: {**raw[task], "acc_norm,none": changes.get(task, 0.75)} for task in suite.tasks}


def with_samples(stand: BoardDriver, files: dict[str, bytes], value: float) -> None:
    """Replace the samples of TASK by samples with this mean."""
    files[TABLE] = sample_tables(stand.context.suite, values(stand.context.suite, **{TASK: value}), TIME)[TABLE]


def forge_aggregate(stand: BoardDriver, files: dict[str, bytes]) -> None:
    """Raise a value of the harness, and all scores that follow from it."""
    name = f"results_{TIME}.json"
    results = json.loads(files[name])
    results["results"][TASK]["acc_norm,none"] = 0.95
    block = results["steward"]
    block["raw"]["Navigation"], block["benchmarks"]["Navigation"] = 0.95, normalise(0.95, 0.5)
    block["average"] = sum(block["benchmarks"].values()) / len(block["benchmarks"])
    files[name] = json.dumps(results).encode()


def forge_sample(stand: BoardDriver, files: dict[str, bytes]) -> None:
    """Change the metric of a sample."""
    with_samples(stand, files, 0.25)


def forge_count(stand: BoardDriver, files: dict[str, bytes]) -> None:
    """Name more questions than there are samples."""
    name = f"results_{TIME}.json"
    results = json.loads(files[name])
    results["n-samples"] = {TASK: {"original": 500, "effective": 500}}
    files[name] = json.dumps(results).encode()


def leave_out(stand: BoardDriver, files: dict[str, bytes]) -> None:
    """Publish no samples of a task."""
    del files[TABLE]


def no_table(stand: BoardDriver, files: dict[str, bytes]) -> None:
    """Publish something else in the place of samples."""
    files[TABLE] = b"PAR1 is how a table begins. PAR1"


def other_digits(stand: BoardDriver, files: dict[str, bytes]) -> None:
    """Publish samples whose mean differs in the last digits, as with 32-bit floats."""
    with_samples(stand, files, 0.7500003)


def published(stand: BoardDriver, job: EvaluationJob, forge: Forge | None = None) -> Details:
    """Publish results of `job` as its worker, changed by `forge` if given; return their details."""
    change: Any = (lambda files: forge(stand, files)) if forge is not None else (lambda _: None)
    return publish(stand.hub.url, job, stand.context.suite, forge=change)


def results_in(stand: BoardDriver) -> list[str]:
    """The results files of the board."""
    files = stand.form.list_repo_files("board/results", repo_type="dataset")
    return [name for name in files if name.endswith(".json")]


def told(stand: BoardDriver) -> list[str]:
    """Return the comments in the maintainers' thread that say that a worker is set aside."""
    return [comment for comments in digests(stand) for comment in comments if "is set aside" in comment]


def checked(stand: BoardDriver, path: str) -> Any:
    """What the results of the request at `path` say about their check."""
    data = stand.context.hub.read_file(stand.context.results, stand.file(path)["steward"]["results"]).data
    return json.loads(data)["steward"]["checked"]


@pytest.mark.parametrize(
    ("forge", "named"),
    [
        (forge_aggregate, "is 0.950000, and the samples give 0.750000"),
        (forge_sample, "the samples give 0.250000"),
        (forge_count, "has 1 samples, and 500 by the results"),
        (no_table, "is no table of samples"),
    ],
)
def test_a_worker_whose_samples_contradict_its_scores_is_set_aside(
    stand: BoardDriver, forge: Forge, named: str
) -> None:
    """The bot publishes nothing, sets the worker aside, and reruns the request as a fault of the board."""
    job = stand.started()
    stand.end(job, details=published(stand, job, forge))
    file = stand.file(job.path)
    failure = file["steward"]["failure"]
    assert (file["status"], failure["cause"], failure["fault"]) == ("RERUN", "samples-differ", "us")
    assert named in failure["message"]
    assert results_in(stand) == []
    assert stand.context.set_aside.includes("w")


@pytest.mark.long("a board with samples for one more kind of them")
def test_another_worker_evaluates_the_model_again(stand: BoardDriver) -> None:
    """The worker that was set aside gets no claim, another one finishes, and maintainers get a single comment."""
    job = stand.started()
    stand.end(job, details=published(stand, job, forge_sample))
    stand.time += 3_600
    stand.worker()
    stand.tick()
    stand.settle()
    assert stand.queued() == [], "a job is queued although no worker takes jobs"
    stand.context.workers.announce(WorkerCard(name="v", tiers=("all",), since=stand.time, beat=stand.time))
    stand.tick()
    stand.settle()
    (again,) = stand.queued()
    assert (again.path, again.attempt) != (job.path, job.attempt)
    assert not stand.take(again)
    (again,) = stand.queued()
    stand.context.attempts.take(again.attempt, again.path, "v", now=stand.time)
    stand.context.mark(f"request:{again.path}")
    stand.settle()
    assert stand.context.attempts.wait_for_claim(again.attempt, seconds=1, worker="v") is True
    fields = {name: getattr(again, name) for name in ("attempt", "path", "revision", "suite", "suite_digest")}
    details = published(stand, again)
    outcome = Outcome(**fields, started=stand.time, ended=stand.time, phase="publish", details=details)
    stand.context.attempts.end(outcome, "", worker="v")
    stand.context.mark(f"request:{again.path}")
    for _ in range(2):
        stand.settle()
        stand.time += DAY_SECONDS
        stand.tick()
    file = stand.file(again.path)
    assert (file["status"], file["steward"]["attempt"]) == ("FINISHED", 2)
    assert checked(stand, again.path) == {"samples": 6, "unchecked": [], "recomputed": 0, "not_recomputed": OFF}
    (comment,) = told(stand)
    assert "`w` is set aside" in comment
    assert "the samples give 0.250000" in comment


@pytest.mark.long("a board with samples for one more kind of them")
def test_other_last_digits_are_no_forgery(stand: BoardDriver) -> None:
    """The bot accepts a mean that differs only in its last digits, as from another order of summation."""
    job = stand.started()
    stand.end(job, details=published(stand, job, other_digits))
    assert stand.file(job.path)["status"] == "FINISHED"
    assert stand.context.set_aside.all() == []


@pytest.mark.long("a board with samples for one more kind of them")
def test_samples_that_the_hub_does_not_show_yet_are_read_again(stand: BoardDriver) -> None:
    """Because the Hub may show uploads late, the bot reads missing samples again before it rejects results."""
    job = stand.started()
    stand.end(job, details=published(stand, job, leave_out))
    assert stand.file(job.path)["status"] == "RUNNING"
    assert stand.context.set_aside.all() == []
    stand.time += LATE_SECONDS
    stand.work()
    assert stand.file(job.path)["steward"]["failure"]["cause"] == "samples-differ"


def test_a_hub_that_is_away_is_no_forgery(stand: BoardDriver) -> None:
    """While the Hub cannot serve the samples, the results wait, and no worker is set aside."""
    job = stand.started()
    fault = stand.hub.state.faults.fail("GET */resolve/*.parquet", status=503, error="Away.", times=None)
    stand.end(job, details=published(stand, job))
    assert (stand.file(job.path)["status"], results_in(stand)) == ("RUNNING", [])
    stand.hub.state.faults.clear()
    stand.time += 600
    stand.tick()
    stand.settle()
    assert stand.file(job.path)["status"] == "FINISHED", fault
    assert stand.context.set_aside.all() == []


@pytest.mark.long("a board with samples for one more kind of them")
def test_large_tables_are_read_in_parts(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot reads the end of a large table, then only the columns that it needs, and reads each table once."""
    monkeypatch.setattr(samples, "WHOLE", 100)
    monkeypatch.setattr(samples, "TAIL", 300)
    job = stand.started()
    calls = len(stand.calls)
    stand.end(job, details=published(stand, job))
    assert stand.file(job.path)["status"] == "FINISHED"
    reads = [route for _, route in stand.calls[calls:] if route == "resolve"]
    assert checked(stand, job.path)["samples"] == 6
    assert len(reads) < 2 * 6 * 3 + 10, "each part costs two calls, as the Hub redirects downloads"


def test_a_bot_without_the_library_says_that_it_compared_nothing(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boards without the extra `contents` publish as before, and their results say which checks were left out."""
    monkeypatch.setattr(samples, "can_write", lambda: False)
    job = stand.started()
    stand.end(job, details=published(stand, job, forge_sample))
    assert stand.file(job.path)["status"] == "FINISHED"
    facts = checked(stand, job.path)
    assert facts["samples"] == 0
    assert all("pyarrow" in line for line in facts["unchecked"])
