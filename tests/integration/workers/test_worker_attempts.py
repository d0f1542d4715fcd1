"""Attempts through a real worker: states, publication, and causes of failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leaderboard.failures import diagnose
from redis_state.canaries import Canaries
from redis_state.heartbeats import WorkerRegistry
from redis_state.jobs import queue
from redis_state.keys import Keys
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.workers.recorded_failures import record_outcome
from tests.support.workers.worker_process import BOARD, TIER, AttemptQueue, WorkerProcess, job


@pytest.fixture(scope="module")
def shared_worker(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker for the tests of this module; Redis is emptied under it before each of them."""
    worker = WorkerProcess(
        tmp_path_factory.mktemp("shared"),
        valkey.url,
        STEWARD_STALL_SECONDS="3",
        STEWARD_MEMORY_BYTES=str(320 << 20),  # more than its temporary folder can hold
        STEWARD_CLAIM_PATIENCE="0.5",
        STEWARD_MAX_PROCESSES="200",
    )
    yield worker
    worker.end()


@pytest.fixture
def worker(bot: AttemptQueue, shared_worker: WorkerProcess) -> Iterator[WorkerProcess]:
    """The shared worker, before any call to the Hub."""
    assert shared_worker.process.poll() is None, shared_worker.log()
    (shared_worker.folder / "hub.log").unlink(missing_ok=True)
    yield shared_worker
    wait_until(lambda: bot.is_over(shared_worker))


def test_an_attempt_from_queue_to_end(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A queued job is taken, claimed, evaluated, published once and ended, and each step marks the request dirty."""
    asked = job("fine")
    bot.enqueue(asked)
    bot.reaches(asked, "taken")
    assert wait_until(lambda: bot.dirty(asked))
    bot.clean()
    bot.attempts.answer_claim(asked.attempt, granted=True)
    outcome, log = bot.outcome(asked)
    assert outcome.ok and outcome.details and outcome.details.repo == "trial-details/details_trial__fine"
    assert (outcome.path, outcome.revision, outcome.phase) == (asked.path, asked.revision, "publish")
    assert outcome.versions["lm-eval"] and "claim granted" in log
    assert wait_until(lambda: bot.dirty(asked))
    assert worker.hub_verbs() == ["fetch", "fetched", "publish", "published"]
    assert bot.connection.zcard(bot.keys.attempts) == 0, "an ended attempt is no longer watched for beats"


def test_a_job_that_rq_has_finished_keeps_its_result_for_an_hour_at_most(
    bot: AttemptQueue, worker: WorkerProcess
) -> None:
    """A finished job returns its outcome, and RQ deletes the job within an hour."""
    asked = job("fine")
    bot.enqueue(asked)
    bot.grant(asked)
    jobs = queue(bot.connection, bot.keys.queue(TIER))
    finished = wait_until(lambda: (fetched := jobs.fetch_job(asked.attempt)) and fetched.is_finished and fetched)
    assert finished.return_value()["attempt"] == asked.attempt
    assert 0 < bot.connection.ttl(finished.key) <= 3600


def test_downloads_begin_before_the_claim_is_answered(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A worker downloads the model before its claim is answered, and evaluates only afterwards."""
    asked = job("fine")
    bot.enqueue(asked)
    wait_until(lambda: worker.hub_verbs() == ["fetch", "fetched"])
    assert bot.state(asked) == "taken" and worker.pids("child") == []
    bot.grant(asked, granted=False)


def test_a_void_claim_ends_quietly(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """An attempt whose claim is refused is neither evaluated nor published nor reported, and the next job runs."""
    unwanted, wanted = job("fine", 1), job("fine", 2)
    bot.enqueue(unwanted)
    bot.grant(unwanted, granted=False)
    bot.enqueue(wanted)
    bot.grant(wanted)
    bot.outcome(wanted)
    assert bot.attempts.outcome(unwanted.attempt) is None and bot.state(unwanted) == "void"
    assert worker.hub_verbs().count("publish") == 1 and bot.connection.zcard(bot.keys.attempts) == 0


def test_an_unanswered_claim_is_asked_again_and_stays_alive(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A worker without an answer asks again, also after Redis lost its data; its attempt stays alive as `taken`."""
    asked = job("fine")
    bot.enqueue(asked)
    bot.reaches(asked, "taken")
    wait_until(lambda: bot.dirty(asked))
    bot.clean()
    assert wait_until(lambda: bot.dirty(asked))
    assert bot.state(asked) == "taken" and bot.connection.zcard(bot.keys.attempts) == 1
    bot.connection.flushall()
    bot.grant(asked, granted=False)


def test_a_claim_that_was_overlooked_is_asked_for_anew(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """An attempt whose state is `queued` although its worker waits for an answer becomes `taken` again."""
    asked = job("fine")
    bot.enqueue(asked)
    bot.reaches(asked, "taken")
    bot.connection.hset(bot.keys.attempt(asked.attempt), "state", "queued")
    bot.reaches(asked, "taken")
    bot.grant(asked, granted=False)


def test_progress_and_doing_are_seen_while_it_runs(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """The bot reads the attempt's progress and its worker; afterwards the worker is idle."""
    asked = job("short")
    bot.enqueue(asked)
    bot.grant(asked)
    state = bot.running(asked)
    assert state.progress.total == 30 and state.worker
    workers = WorkerRegistry(bot.connection, Keys(BOARD))

    def doing() -> list[tuple[str, str]]:
        return [(card.name, card.doing) for card in workers.alive(now=state.beat)]

    assert doing() == [(state.worker, asked.attempt)]
    wait_until(lambda: (attempt := bot.attempts.read(asked.attempt)) and attempt.progress.done >= 10)
    bot.outcome(asked)
    wait_until(lambda: doing() == [(state.worker, "")])


@pytest.mark.parametrize(
    ("trial", "cause"),
    [
        ("raising", "unknown-architecture"),
        ("greedy", "out-of-memory"),
        ("grasping", "out-of-memory"),
        ("killed", "killed-by-kernel"),
        ("hanging", "stalled"),
        ("crashing", "crashed"),
        ("terminated", "child-ended"),
        ("threading", "too-many-processes"),
        ("writing", "disk-full"),
        ("exiting", "left-without-a-word"),
    ],
)
def test_a_death_is_diagnosed_and_the_queue_goes_on(
    bot: AttemptQueue, worker: WorkerProcess, trial: str, cause: str
) -> None:
    """A failed attempt ends with its cause, nothing is published, and the next job runs."""
    if trial == "writing" and not worker.has_namespaces:
        pytest.skip("no mount namespace to be had: a child has no temporary folder of its own that it could fill")
    dying, following = job(trial), job("fine")
    bot.enqueue(dying)
    bot.enqueue(following)
    bot.grant(dying)
    outcome, log = bot.outcome(dying)
    assert outcome.failure and outcome.failure.cause == cause, log
    assert outcome.evidence and diagnose(outcome.evidence).code == cause, "the stored evidence gives another diagnosis"
    record_outcome(f"a child on trial: {trial}", outcome)
    assert "publish" not in worker.hub_verbs() and outcome.phase in ("load", "evaluate")
    bot.grant(following)
    assert bot.outcome(following)[0].ok


@pytest.mark.parametrize("trial", ["flooding", "forging"])
def test_a_child_that_misbehaves_ends_in_failure(bot: AttemptQueue, worker: WorkerProcess, trial: str) -> None:
    """A child that floods or forges its stream fails with that cause, and publishes nothing."""
    asked = job(trial)
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, _ = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == "child-misbehaved" and "publish" not in worker.hub_verbs()
    record_outcome(f"a child on trial: {trial}", outcome)
    wait_until(lambda: worker.pids("child") == [])


def test_a_child_that_forks_without_end_is_gone_with_all_that_it_forked(
    bot: AttemptQueue, worker: WorkerProcess
) -> None:
    """A fork bomb is killed within its limits with all its processes, and the next attempt runs."""
    asked, following = job("bombing"), job("fine")
    bot.enqueue(asked)
    bot.enqueue(following)
    bot.grant(asked)
    outcome, log = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause in ("out-of-memory", "stalled", "too-many-processes"), log
    wait_until(lambda: worker.pids("child") == [])
    bot.grant(following)
    assert bot.outcome(following)[0].ok


def test_a_log_holds_nothing_that_acts(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A published log holds no terminal sequence, no token, and no line that imitates the worker's."""
    asked = job("painting")
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, log = bot.outcome(asked)
    published = (worker.folder / "published.log").read_text()
    assert outcome.ok and "\x1b" not in log + published and "\x07" not in log + published
    assert "a1B2" not in log and "[hidden]" in log
    assert "| [worker] details published" in log.splitlines()


def test_a_cancelled_attempt_is_stopped(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A cancellation stops the child within a heartbeat; the attempt ends as cancelled."""
    asked = job("slow")
    bot.enqueue(asked)
    bot.grant(asked)
    bot.running(asked)
    assert worker.pids("child")
    bot.attempts.cancel(asked.attempt)
    outcome, _ = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == "cancelled"
    record_outcome("a running attempt that is cancelled", outcome)
    wait_until(lambda: worker.pids("child") == [])


def test_time_is_up_when_the_job_says_so(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """The job's time limit ends the attempt with its own cause, not with RQ's exception."""
    asked = job("slow")
    bot.enqueue(asked, timeout=2)
    bot.grant(asked)
    outcome, _ = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == "time-limit"
    record_outcome("an attempt with two seconds to live", outcome)


def test_the_time_for_which_a_claim_is_waited_for_is_no_time_of_the_attempt(
    bot: AttemptQueue, worker: WorkerProcess
) -> None:
    """Waiting for the claim does not count against the attempt's time limit."""
    asked = job("fine")
    bot.enqueue(asked, timeout=8)
    for _ in range(11):  # it asks again once a second at most
        wait_until(lambda: bot.dirty(asked))
        assert bot.state(asked) == "taken"
        bot.clean()
    bot.attempts.answer_claim(asked.attempt, granted=True)
    assert bot.outcome(asked)[0].ok


def test_a_canary_that_dies_is_told_and_the_attempt_is_not_to_blame(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A requested canary runs once before the attempt; if it fails, the attempt ends as the board's fault."""
    canaries = Canaries(bot.connection, bot.keys, job("fine").suite)
    canaries.ask("harness-error")
    first, second = job("fine", 1), job("fine", 2)
    bot.enqueue(first)
    bot.grant(first)
    outcome, _ = bot.outcome(first)
    assert outcome.failure and (outcome.failure.cause, outcome.failure.fault) == ("canary-failed", "us")
    record_outcome("an attempt whose canary dies", outcome)
    verdict = canaries.verdict()
    assert verdict and verdict.cause == "harness-error" and "KeyError: 'solution'" in verdict.died_of
    assert bot.connection.zscore(bot.keys.dirty, canaries.key) is not None
    bot.enqueue(second)
    bot.grant(second)
    assert bot.outcome(second)[0].ok, "until the bot has acted on the verdict, no other canary runs"


def test_a_canary_whose_questions_cannot_be_had_counts_as_dead(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A canary whose questions cannot be downloaded counts as failed only if that is the suspected cause; otherwise the
    next worker may run it."""
    canaries = Canaries(bot.connection, bot.keys, job("fine").suite)
    for number, cause in enumerate(("harness-error", "dataset-changed"), 1):
        canaries.settle(cause, now=0)
        canaries.ask(cause)
        asked = job("questionless", number)
        bot.enqueue(asked)
        bot.grant(asked)
        outcome, _ = bot.outcome(asked)
        assert outcome.failure and (outcome.failure.cause, outcome.failure.fault) == ("dataset-changed", "us")
        verdict = canaries.verdict()
        assert (verdict is not None) == (cause == "dataset-changed")
        if verdict is None:
            assert canaries.take("the next worker") == cause
            canaries.release("the next worker")
    assert verdict and verdict.died_of.startswith("dataset-changed (")
    assert bot.connection.zscore(bot.keys.dirty, canaries.key) is not None


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """Put a file in the place of `folder` for a while."""
    if folder.exists():
        folder.rmdir()
    folder.write_text("a file where a folder should be")
    yield
    folder.unlink()


def test_a_download_that_fails_is_an_outcome(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A failed download is diagnosed once the claim is granted."""
    asked = job("fine")
    with away(worker.folder / "model"):
        bot.enqueue(asked)
        bot.grant(asked)
        outcome, log = bot.outcome(asked)
    assert outcome.failure and outcome.phase == "download" and "FileExistsError" in log


def test_a_job_for_another_suite_is_refused(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A job for another version of the suite fails with the cause `suite-differs`."""
    asked = job("fine").model_copy(update={"suite_digest": "0" * 64})
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, log = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == "suite-differs" and "publish" not in worker.hub_verbs()
    assert "this worker has starter" in log
    record_outcome("a job for another version of the suite", outcome)


def test_a_malformed_job_does_not_disturb_the_next_one(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """A job that is not an evaluation is refused, and the next one runs."""
    jobs = queue(bot.connection, bot.keys.queue(TIER))
    bad = jobs.enqueue("workers.jobs.evaluate", kwargs={"message": {"v": 1, "board": 7}})
    asked = job("fine")
    bot.enqueue(asked)
    bot.grant(asked)
    assert bot.outcome(asked)[0].ok
    assert "not an evaluation job" in bad.return_value(refresh=True)["refused"]


def test_only_evaluations_are_run(bot: AttemptQueue, worker: WorkerProcess, tmp_path: object) -> None:
    """A job that names another function, or a callback, runs nothing on the worker."""
    jobs = queue(bot.connection, bot.keys.queue(TIER))
    marks = [f"{tmp_path}/marked-{name}" for name in ("call", "callback")]
    jobs.enqueue("os.mkdir", marks[0])
    jobs.enqueue("workers.jobs.evaluate", kwargs={"message": marks[1]}, on_success="os.mkdir")
    asked = job("fine")
    bot.enqueue(asked)
    bot.grant(asked)
    assert bot.outcome(asked)[0].ok
    assert not [mark for mark in marks if worker.folder.parent.joinpath(mark).exists()]
    assert "'os.mkdir' is not run here" in worker.log()


def test_forged_jobs_disturb_neither_running_nor_waiting_attempts(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """Malformed jobs disturb neither a running attempt nor the next one, and the worker removes them from the queue."""
    running, following = job("short"), job("fine")
    bot.enqueue(running)
    bot.grant(running)
    bot.running(running)
    name = queue(bot.connection, bot.keys.queue(TIER)).key
    forged: list[dict[str, str | bytes]] = [{"data": b"x", "status": "zork"}, {"data": b"x", "timeout": "soon"}]
    forged += [{"data": b"x" * 100_000}, {"data": b"x", "created_at": "never"}, {"status": "queued"}, {"data": b"\x80"}]
    for number, fields in enumerate(forged):
        bot.connection.hset(f"rq:job:forged-{number}", mapping=dict(fields))
        bot.connection.rpush(name, f"forged-{number}")
    bot.connection.set("rq:job:forged-string", "x")
    bot.connection.rpush(name, "forged-string", "forged-nothing")
    bot.enqueue(following)
    pid = worker.process.pid
    assert bot.outcome(running)[0].ok
    bot.grant(following)
    assert bot.outcome(following)[0].ok
    assert worker.process.poll() is None and worker.process.pid == pid
    assert worker.hub_verbs().count("published") == 2
    assert bot.connection.lrange(name, 0, -1) == []


def test_a_log_without_end_is_cut_in_the_middle(bot: AttemptQueue, worker: WorkerProcess) -> None:
    """Two megabytes of output become a bounded log that says how much was cut."""
    asked = job("chatting")
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, log = bot.outcome(asked)
    assert outcome.ok and len(log) < 256 * 1024
    assert "line 0 " in log and "line 19999 " in log and "bytes were cut here" in log
