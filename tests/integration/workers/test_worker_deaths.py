"""kill -9, signals and loss of Redis in each phase: no process is left running, and the attempt's state is right.

`make test` kills each kind of process in one phase, `make long` in all four.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from leaderboard.attempts import Outcome
from redis_state.attempts import LOST
from redis_state.heartbeats import WorkerRegistry
from redis_state.jobs import EvaluationJob
from redis_state.keys import Keys
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.long import long_except
from tests.support.workers.child_runs import write_model
from tests.support.workers.recorded_failures import record_outcome
from tests.support.workers.worker_process import BOARD, AttemptQueue, WorkerProcess, job, runs
from workers.common.folders import remove_folder
from workers.jobs.outbox import store_outcome
from workers.models.tiny_model import model

Start = Callable[..., WorkerProcess]
Phases = Callable[..., tuple[EvaluationJob, WorkerProcess]]
PHASES = ["claim", "download", "evaluate", "publish"]
ANOTHER_PHASE = "killed in another phase"


@dataclass
class Survivor:
    """A worker that several tests share because they do not end it. No other worker takes jobs meanwhile."""

    folder: Path
    url: str
    worker: WorkerProcess | None = None

    def running(self) -> WorkerProcess:
        """Return the worker, which is started if necessary."""
        if self.worker is None:
            self.worker = WorkerProcess(self.folder, self.url)
        assert self.worker.process.poll() is None, self.worker.log()
        return self.worker

    def end(self) -> None:
        """End it, if it runs."""
        if self.worker is not None:
            print(self.worker.describe())
            self.worker.end()
            self.worker = None


@pytest.fixture(scope="module")
def survivor(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survivor]:
    """One shared worker for tests that follow each other; Redis is emptied before each of them."""
    survivor = Survivor(tmp_path_factory.mktemp("survivor"), valkey.url)
    yield survivor
    survivor.end()


@pytest.fixture
def start_worker(start_worker: Start, survivor: Survivor, connection: redis.Redis) -> Start:
    """Starts workers that end with the test, after it has ended the shared one."""

    def start(*arguments: Any, **options: Any) -> WorkerProcess:
        if survivor.worker is not None:
            survivor.end()
            connection.flushall()  # its heartbeats
        return start_worker(*arguments, **options)

    return start


@pytest.fixture
def bring(bot: AttemptQueue, start_worker: Start, survivor: Survivor) -> Iterator[Phases]:
    """Brings an attempt of a worker into a phase: claim, download, evaluate or publish.

    `survives`: the test leaves the worker alive and idle, so that the next one may use it. `grace`: seconds that a
    stopped worker gives the attempt.
    """

    def to(phase: str, *, survives: bool = False, grace: int = 2) -> tuple[EvaluationJob, WorkerProcess]:
        asked = job("fine" if phase == "publish" else "slow")
        seconds = {phase: 60}
        if survives and phase in ("claim", "evaluate"):
            worker = survivor.running()
        else:
            worker = start_worker(
                download=seconds.get("download", 0),
                publication=seconds.get("publish", 0),
                STEWARD_GRACE_SECONDS=str(grace),
            )
        bot.enqueue(asked)
        bot.reaches(asked, "taken")
        if phase != "claim":
            bot.grant(asked)
            bot.running(asked, phase)
        if phase == "evaluate":
            wait_until(worker.busy_child)
        worker.processes()
        return asked, worker

    yield to
    if survivor.worker is not None:
        wait_until(lambda: survivor.worker is None or not survivor.worker.pids("job"))


@pytest.mark.parametrize("phase", long_except({"download"}, PHASES, ANOTHER_PHASE))
def test_a_killed_worker_leaves_nothing_and_its_attempt_falls_silent(
    bot: AttemptQueue, bring: Phases, phase: str
) -> None:
    """After kill -9 of a worker all processes that it started end, and its attempt counts as lost after a while."""
    asked, worker = bring(phase)
    worker.kill("worker")
    assert worker.nothing_left()
    state = bot.attempts.read(asked.attempt)
    assert state and state.state in ("taken", "running")
    assert asked.attempt in bot.attempts.lost(now=state.beat + LOST + 1)


@pytest.mark.long("the harness is imported twice")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_while_the_engine_computes_leaves_nothing(
    bot: AttemptQueue, start_worker: Start, tmp_path: Path, number: signal.Signals
) -> None:
    """kill -9 and SIGTERM of a worker end the child that computes; only after SIGTERM the attempt is handed back."""
    write_model(tmp_path / "w" / "model", model())
    settings = {"STEWARD_HARNESS": "engine_trial_harness", "STEWARD_GRACE_SECONDS": "2"}
    worker, asked = start_worker(engine="shared-prefix", **settings), job("shared-prefix-running-hanging")
    bot.enqueue(asked)
    bot.reaches(asked, "taken", seconds=150)
    bot.attempts.answer_claim(asked.attempt, granted=True)
    bot.running(asked)
    wait_until(worker.busy_child)
    worker.processes()
    worker.process.send_signal(number)
    worker.process.wait(30)
    assert worker.nothing_left()
    assert bot.state(asked) == ("running" if number == signal.SIGKILL else "handed-back")


@pytest.mark.parametrize("phase", long_except({"evaluate"}, PHASES, ANOTHER_PHASE))
def test_a_killed_job_ends_its_child_and_its_attempt(bot: AttemptQueue, bring: Phases, phase: str) -> None:
    """After kill -9 of the job's process its child ends, the attempt ends as lost, and the worker goes on."""
    asked, worker = bring(phase, survives=True)
    remains = set(worker.pids("job") + worker.pids("child") + worker.pids("zygote"))
    worker.kill("job")
    outcome, log = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == "worker-lost" and "SIGKILL" in log
    assert outcome.phase == phase
    wait_until(lambda: bot.dirty(asked))  # the outcome is reported before the request is marked
    record_outcome(f"kill -9 of the job's process in {phase}", outcome)
    wait_until(lambda: not [pid for pid in remains if runs(pid)])
    following = job("fine", 2)
    bot.enqueue(following)
    bot.grant(following, granted=False)


@pytest.mark.parametrize("left", ["a locked home", "nothing"])
def test_a_job_killed_while_it_prepares_its_folders_stops_no_later_one(
    bot: AttemptQueue, bring: Phases, left: str
) -> None:
    """If the killed job left no home for children, or one that they cannot enter, the worker takes the next job."""
    asked, worker = bring("claim", survives=True)
    home = worker.folder / "work" / "slots" / "0" / "home"
    remove_folder(home)
    if left == "a locked home":
        home.mkdir(mode=0)
    worker.kill("job")
    bot.outcome(asked)
    following = job("fine", 2)
    bot.enqueue(following)
    bot.grant(following)
    assert bot.outcome(following)[0].ok


@pytest.mark.parametrize("kind", ["zygote", pytest.param("child", marks=pytest.mark.long("a full disk kills one too"))])
def test_a_killed_child_or_zygote_is_a_failure_and_the_worker_goes_on(
    bot: AttemptQueue, bring: Phases, kind: str
) -> None:
    """After kill -9 of the child or of the zygote the attempt fails with that cause, and the next attempt runs."""
    asked, worker = bring("evaluate", survives=True)
    worker.kill(kind)
    outcome, _ = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == {"child": "killed-by-kernel", "zygote": "worker-lost"}[kind]
    record_outcome(f"kill -9 of the {kind}", outcome)
    following = job("fine", 2)
    bot.enqueue(following)
    bot.grant(following)
    assert bot.outcome(following)[0].ok


def test_an_emptied_redis_learns_of_the_end(bot: AttemptQueue, bring: Phases) -> None:
    """After Redis loses its data, heartbeats write the attempt again, and its outcome arrives."""
    asked, worker = bring("evaluate", survives=True)
    bot.connection.flushall()
    bot.running(asked)
    bot.attempts.cancel(asked.attempt)
    outcome, _ = bot.outcome(asked)
    assert outcome.failure and outcome.failure.cause == "cancelled"
    following = job("fine", 2)
    bot.enqueue(following)
    bot.grant(following)
    assert bot.outcome(following)[0].ok and worker.process.poll() is None


def test_an_outcome_that_a_full_disk_does_not_hold_is_sent(bot: AttemptQueue, bring: Phases) -> None:
    """If the disk has no space for an attempt's outcome, the bot gets it all the same, and the next attempt runs."""
    asked, worker = bring("evaluate", survives=True)
    (worker.folder / "work/slots/0/attempt/outcome.json.new").symlink_to("/dev/full")
    worker.kill("child")
    outcome, log = bot.outcome(asked)
    assert outcome.failure is not None and outcome.failure.cause == "killed-by-kernel"
    assert "claim granted" in log
    following = job("fine", 2)
    bot.enqueue(following)
    bot.grant(following)
    assert bot.outcome(following)[0].ok


@pytest.mark.parametrize("phase", long_except({"publish"}, PHASES, ANOTHER_PHASE))
def test_sigterm_hands_the_attempt_back(bot: AttemptQueue, bring: Phases, phase: str) -> None:
    """After SIGTERM a worker ends within ten seconds and hands its attempt back, which can be queued again."""
    asked, worker = bring(phase)
    bot.clean()
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(10) == 0 and worker.nothing_left()
    assert bot.state(asked) == "handed-back" and bot.dirty(asked)
    assert bot.attempts.outcome(asked.attempt) is None and not bot.in_rq(asked)
    assert bot.connection.zcard(bot.keys.attempts) == 0
    assert WorkerRegistry(bot.connection, Keys(BOARD)).alive(now=time.time()) == []
    assert bot.enqueue(asked)


@pytest.mark.long("test_sigterm_hands_the_attempt_back queues it again")
def test_a_handed_back_attempt_is_finished_by_another_worker(
    bot: AttemptQueue, bring: Phases, start_worker: Start
) -> None:
    """The bot queues the very same attempt again; the next worker carries it to its end."""
    asked, worker = bring("download")
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(10)
    again = asked.model_copy(update={"model": "trial/fine"})
    assert bot.enqueue(again)
    start_worker("second")
    bot.grant(again)
    assert bot.outcome(again)[0].ok


@pytest.mark.long("one more worker; test_sigterm_hands_the_attempt_back stops one while it publishes")
def test_a_second_signal_ends_it_at_once(bot: AttemptQueue, bring: Phases) -> None:
    """A second SIGTERM ends a worker at once, even while it publishes, which the first one does not interrupt."""
    asked, worker = bring("publish", grace=60)
    worker.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)  # no condition to wait for: the signals must arrive one after the other
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(30) == 0
    assert worker.nothing_left() and bot.state(asked) == "handed-back"


def test_an_idle_worker_stops_at_once(bot: AttemptQueue, start_worker: Start) -> None:
    """SIGTERM and SIGINT end an idle worker at once."""
    for number, name in ((signal.SIGTERM, "first"), (signal.SIGINT, "second")):
        worker = start_worker(name)
        wait_until(lambda: WorkerRegistry(bot.connection, Keys(BOARD)).alive(now=time.time()))
        worker.processes()
        worker.process.send_signal(number)
        assert worker.process.wait(10) == 0 and worker.nothing_left()


@pytest.mark.long("starts a worker, which imports the harness; the tests before and after it start others")
def test_two_workers_share_a_folder_without_sharing_a_slot(bot: AttemptQueue, start_worker: Start) -> None:
    """Two workers with one work folder hold two attempts at once; their children run one after the other."""
    first, second = job("short", 1), job("short", 2)
    start_worker("w")
    start_worker("w")
    for asked in (first, second):
        bot.enqueue(asked)
    for asked in (first, second):
        bot.reaches(asked, "taken")
    states = [bot.attempts.read(asked.attempt) for asked in (first, second)]
    assert len({state.worker for state in states if state}) == 2
    for asked in (first, second):
        bot.grant(asked)
    assert all(bot.outcome(asked)[0].ok for asked in (first, second))


def test_a_beat_that_redis_refuses_leaves_the_job_and_its_slot_alone(bot: AttemptQueue, start_worker: Start) -> None:
    """If RQ's record of the worker is damaged, the job goes on, and the worker takes no other job meanwhile."""
    worker, asked = start_worker(STEWARD_BEAT_SECONDS="1"), job("slow")
    bot.enqueue(asked)
    bot.grant(asked)
    bot.running(asked)
    running = worker.pids("job")
    for key in bot.connection.keys("rq:worker:*"):
        bot.connection.delete(key)
        bot.connection.set(key, "damaged")
    log = worker.folder / "worker.log"
    wait_until(lambda: "without RQ's beat" in log.read_text() or "the worker restarts" in log.read_text())
    assert "the worker restarts" not in log.read_text()
    assert worker.pids("job") == running


@pytest.mark.long("starts a worker, which imports the harness; the tests before and after it start others")
@pytest.mark.parametrize("dies", ["worker", "job"])
def test_an_unsent_outcome_is_sent_by_the_next_worker_of_the_slot(
    bot: AttemptQueue, start_worker: Start, dies: str
) -> None:
    """An outcome that a killed worker or job did not send is sent by the next worker of the slot."""
    asked, following = job("fine"), job("fine", 2)
    outcome = Outcome(
        attempt=asked.attempt,
        path=asked.path,
        revision=asked.revision,
        suite=asked.suite,
        suite_digest=asked.suite_digest,
        started=1,
        ended=2,
        phase="publish",
    )
    first = start_worker()
    wait_until(lambda: first.pids("zygote"))
    if dies == "worker":
        first.kill("worker")
        first.nothing_left()
    store_outcome(first.folder / "work" / "slots" / "0" / "attempt", outcome, "the log", worker="one that is gone")
    if dies == "worker":
        start_worker()
    else:
        bot.enqueue(following)
        bot.grant(following)
    reported, log = bot.outcome(asked)
    assert reported == outcome and log == "the log"
    wait_until(lambda: bot.dirty(asked))  # the outcome is reported before the request is marked


@pytest.mark.long("starts a worker, which imports the harness; the tests before and after it start others")
def test_a_zygote_that_cannot_import_its_harness_is_reported(start_worker: Start) -> None:
    """A worker whose harness cannot be imported exits with that error."""
    worker = start_worker(STEWARD_HARNESS="no_such_harness")
    assert worker.process.wait(60) == 3
    assert "no_such_harness" in worker.log() and "No evaluation can run here" in worker.log()
