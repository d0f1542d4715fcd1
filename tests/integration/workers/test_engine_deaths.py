"""kill -9, cancellation, stall and lack of memory have the same ends with the shared-prefix engine as with the harness.

A real worker runs real children, whose model misbehaves while the requests are compared, or while the engine runs.
`make long` runs all, and the same with the harness alone. In `make test`, `test_resume` kills a worker whose engine
computes, and unit tests let the engine run out of memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from leaderboard.attempts import Outcome
from leaderboard.failures import diagnose
from redis_state.jobs import EvaluationJob
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.workers.child_runs import write_model
from tests.support.workers.recorded_failures import record_outcome
from tests.support.workers.worker_process import AttemptQueue, WorkerProcess, job, runs
from workers.models.tiny_model import model

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.long("a worker that imports the harness, and half a dozen evaluations"),
]
SECONDS = 350.0
"""The longest wait for an end: a worker imports the harness first."""
PLACES = ["shared-prefix-running", "shared-prefix-comparing", "harness-running"]
AGAIN = "it ran out of memory with batch size 2; it runs again with 1"
SETTINGS: dict[str, Any] = {
    "STEWARD_HARNESS": "engine_trial_harness",
    "STEWARD_BATCH_SIZE": "2",
    "STEWARD_STALL_SECONDS": "20",
    "STEWARD_MEMORY_BYTES": str(2 << 30),
    "STEWARD_GRACE_SECONDS": "2",
}


@pytest.fixture(scope="module")
def shared_worker(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker for the tests of this module; tests that end a worker are in `test_worker_deaths`."""
    folder = tmp_path_factory.mktemp("engine")
    write_model(folder / "model", model())
    worker = WorkerProcess(folder, valkey.url, engine="shared-prefix", **SETTINGS)
    yield worker
    print(worker.describe())
    worker.end()


@pytest.fixture
def worker(bot: AttemptQueue, shared_worker: WorkerProcess) -> Iterator[WorkerProcess]:
    """The shared worker, before any call to the Hub."""
    assert shared_worker.process.poll() is None, shared_worker.log()
    for name in ("hub.log", "published.json", "published.log"):
        (shared_worker.folder / name).unlink(missing_ok=True)
    yield shared_worker
    wait_until(lambda: bot.is_over(shared_worker))


def run(bot: AttemptQueue, name: str, number: int = 1) -> tuple[Outcome, str]:
    """Run the trial `name` from the queue to its end; return its outcome and log."""
    asked = job(name, number)
    bot.enqueue(asked)
    bot.reaches(asked, "taken", seconds=SECONDS)
    bot.attempts.answer_claim(asked.attempt, granted=True)
    return bot.outcome(asked, seconds=SECONDS)


def reach_trouble(bot: AttemptQueue, worker: WorkerProcess, place: str) -> EvaluationJob:
    """Bring an attempt to the step in which its model hangs; return its job."""
    asked = job(f"{place}-hanging")
    bot.enqueue(asked)
    bot.reaches(asked, "taken", seconds=SECONDS)
    bot.attempts.answer_claim(asked.attempt, granted=True)
    wait_until(worker.busy_child, seconds=SECONDS)
    bot.running(asked)
    return asked


def published(worker: WorkerProcess) -> dict[str, Any]:
    """The results of the last attempt that was published."""
    results: dict[str, Any] = json.loads((worker.folder / "published.json").read_text())
    return results


@pytest.fixture(scope="module")
def answers(valkey: Valkey, shared_worker: WorkerProcess) -> list[Any]:
    """The harness's answers in an undisturbed evaluation."""
    with redis.Redis.from_url(valkey.url) as connection:
        outcome, log = run(AttemptQueue(connection), "harness-running-nothing", 9)
    assert outcome.ok, log
    recorded: list[Any] = published(shared_worker)["answers"]
    return recorded


def check_answers(worker: WorkerProcess, expected: list[Any], engine: str) -> dict[str, Any]:
    """Check that answers are the harness's, and all reported once; return the engine's record."""
    results = published(worker)
    assert [value for value, _ in results["answers"]] == pytest.approx([value for value, _ in expected], abs=1e-4)
    assert [greedy for _, greedy in results["answers"]] == [greedy for _, greedy in expected]
    assert results["done"] == results["total"] == len(expected)
    record: dict[str, Any] = results["engine"] or {"engine": "harness"}
    assert record["engine"] == engine
    return record


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_child_is_a_failure_and_the_queue_goes_on(
    bot: AttemptQueue, worker: WorkerProcess, place: str, answers: list[Any]
) -> None:
    """After two kills of its child an attempt fails with the cause, nothing is published, and the next attempt runs.

    The kernel also kills for lack of memory, so the worker retries with half the batch size after the first kill.
    """
    asked = reach_trouble(bot, worker, place)
    first = worker.pids("child")
    worker.kill("child")
    wait_until(lambda: not any(map(runs, first)), seconds=SECONDS)
    wait_until(worker.busy_child, seconds=SECONDS)
    worker.kill("child")
    outcome, log = bot.outcome(asked, seconds=SECONDS)
    assert outcome.failure and outcome.failure.cause == "killed-by-kernel" and outcome.phase == "evaluate", log
    assert AGAIN in log
    record_outcome(f"kill -9 of the child: {place}", outcome)
    assert "publish" not in worker.hub_verbs()
    outcome, log = run(bot, "shared-prefix-running-nothing", 2)
    assert outcome.ok, log
    assert check_answers(worker, answers, "shared-prefix")["compared"] >= 64


@pytest.mark.parametrize("kind", ["job", "zygote"])
def test_a_killed_job_or_zygote_ends_the_attempt(bot: AttemptQueue, worker: WorkerProcess, kind: str) -> None:
    """After kill -9 of the job or of the zygote inside a step, the child ends too, and the attempt ends as lost."""
    asked = reach_trouble(bot, worker, PLACES[0])
    remains = worker.pids("child") + worker.pids(kind)
    worker.kill(kind)
    outcome, log = bot.outcome(asked, seconds=SECONDS)
    assert outcome.failure and outcome.failure.cause == "worker-lost" and outcome.phase == "evaluate", log
    wait_until(lambda: not [pid for pid in remains if runs(pid)])


@pytest.mark.parametrize("place", PLACES)
def test_a_cancelled_attempt_is_stopped(bot: AttemptQueue, worker: WorkerProcess, place: str) -> None:
    """A cancellation stops the child inside a step; the attempt ends as cancelled."""
    asked = reach_trouble(bot, worker, place)
    bot.attempts.cancel(asked.attempt)
    outcome, log = bot.outcome(asked, seconds=SECONDS)
    assert outcome.failure and outcome.failure.cause == "cancelled" and outcome.phase == "evaluate", log
    wait_until(lambda: worker.pids("child") == [])


@pytest.mark.parametrize("place", PLACES)
def test_a_model_that_hangs_inside_a_step_has_stalled(bot: AttemptQueue, worker: WorkerProcess, place: str) -> None:
    """If no answer is reported for longer than the worker allows, the child is stopped; the attempt ends as stalled."""
    outcome, log = run(bot, f"{place}-hanging")
    assert outcome.failure and outcome.failure.cause == "stalled" and outcome.phase == "evaluate", log
    assert outcome.evidence and diagnose(outcome.evidence).code == "stalled"
    record_outcome(f"a model that hangs: {place}", outcome)
    wait_until(lambda: worker.pids("child") == [])


@pytest.mark.parametrize("place", PLACES[:2])
def test_a_slow_model_has_not_stalled(bot: AttemptQueue, worker: WorkerProcess, place: str, answers: list[Any]) -> None:
    """Slow steps that together take longer than the stall limit still end in results."""
    outcome, log = run(bot, f"{place}-slow")
    assert outcome.ok, log
    check_answers(worker, answers, "shared-prefix")


OUT_OF_MEMORY = [
    ("shared-prefix-running", "failing", "shared-prefix", "out of memory: the rest is computed with"),
    ("shared-prefix-running", "dying", "harness", AGAIN),
    ("shared-prefix-comparing", "dying", "harness", AGAIN),
    ("shared-prefix-running", "growing", "harness", AGAIN),
    ("harness-running", "dying", "harness", AGAIN),
]


@pytest.mark.parametrize(("place", "trouble", "engine", "line"), OUT_OF_MEMORY, ids=lambda word: word[:23])
def test_out_of_memory_ends_in_the_same_answers(
    bot: AttemptQueue, worker: WorkerProcess, place: str, trouble: str, engine: str, line: str, answers: list[Any]
) -> None:
    """If memory runs out in a step, in the engine or in the child, less is computed at once, with the same answers."""
    outcome, log = run(bot, f"{place}-{trouble}")
    assert outcome.ok, log
    assert line in (worker.folder / "published.log").read_text()
    check_answers(worker, answers, engine)
