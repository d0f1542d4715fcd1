"""`steward work --once`: a real worker process that evaluates one attempt and ends, with Redis and without.

`make long` runs it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.core.attempt_tokens import AttemptGrant, AttemptTokens
from bot.core.settings import BotSettings
from redis_state.jobs import EvaluationJob, recall
from steward.testing.running import client_of
from steward.testing.waiting import wait_until
from tests.support.workers import worker_process
from tests.support.workers.real_worker import PATIENCE, RealWorker, running_worker, upload_questions
from tests.support.workers.worker_process import BOARD, TIER, TOKEN
from workers.models.tiny_model import model

pytestmark = pytest.mark.timeout(400)
ALL = pytest.mark.long("real workers for a single attempt each")
SECRET = "the webhooks' secret"
SUPPORT = Path(worker_process.__file__).parent
NOWHERE = "redis://127.0.0.1:1/0"


@dataclass
class Once:
    """A Hub, a queue without a worker, and the bot's web server at `url`."""

    stand: RealWorker
    url: str
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def queue(self, number: int) -> EvaluationJob:
        """Queue the attempt `number` of a tiny model."""
        revision = self.stand.upload("ada/tiny", {**model(), "README.md": b"---\nlicense: mit\n---\n"})
        job = self.stand.job("ada/tiny", revision, number)
        self.stand.queue.enqueue(job)
        return job

    def token(self, job: EvaluationJob) -> str:
        """The token that the bot issues for the attempt."""
        grant = AttemptGrant(attempt=job.attempt, path=job.path, expires=time.time() + 600, seconds=300)
        return AttemptTokens(BOARD, [SECRET]).issue(grant)

    def start(self, job: EvaluationJob, **settings: str) -> subprocess.Popen[str]:
        """Start a worker for the attempt of `job`, with these settings."""
        return self.run([sys.executable, "-m", "steward.cli", "work", "--once", job.attempt], **settings)

    def run(self, command: list[str], **settings: str) -> subprocess.Popen[str]:
        """Start a process with the settings of a worker; it ends with the fixture at the latest."""
        process = subprocess.Popen(
            command,
            env=self.stand.settings(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.workers.append(process)
        return process

    def start_without_redis(self, job: EvaluationJob) -> subprocess.Popen[str]:
        """Start a worker with the attempt's token, and with neither Redis nor a board file."""
        return self.start(
            job,
            REDIS_URL=NOWHERE,
            STEWARD_BOARD="/no/board.yaml",
            STEWARD_BOARD_URL=self.url,
            STEWARD_ATTEMPT_TOKEN=self.token(job),
        )


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Once]:
    """A board without workers; each test starts the worker for its attempt."""
    backend = {"kind": "jobs", "namespace": "trial", "flavor": "a100-large", "image": "steward"}
    with running_worker(tmp_path_factory.mktemp("once"), backends={TIER: backend}) as stand:
        upload_questions(stand)
        settings = BotSettings(
            redis_url=stand.valkey.url,
            board=stand.folder / "board.yaml",
            webhook_secret=SECRET,  # type: ignore[arg-type]  # pydantic makes it a secret
            port=0,
        )
        with client_of(settings) as client:
            commands = Once(stand, str(client.base_url))
            yield commands
            for worker in commands.workers:  # one that a failed test left
                worker.kill()
                worker.wait()


@ALL
def test_a_worker_without_redis_evaluates_its_attempt_and_ends(once: Once) -> None:
    """Without Redis a worker gets its job from the bot's web server, publishes the results, and exits."""
    job = once.queue(1)
    worker = once.start_without_redis(job)
    outcome, log = once.stand.end_of(job)
    output = worker.communicate(timeout=PATIENCE)[0]
    assert worker.returncode == 0, output
    assert outcome.ok, (outcome.failure, log, output)
    assert once.stand.results(outcome)["results"]
    assert "claim granted" in log
    assert once.token(job) not in output
    assert not once.stand.queue.in_rq(job)


@ALL
def test_scores_are_the_same_with_redis_and_without(once: Once) -> None:
    """A worker that talks to the bot's web server computes the same scores as one with Redis."""
    first, second = once.queue(2), once.queue(3)
    workers = [once.start_without_redis(first), once.start(second)]
    outcomes = [once.stand.end_of(job)[0] for job in (first, second)]
    for worker in workers:
        assert worker.wait(PATIENCE) == 0
    scores = [json.dumps(once.stand.results(outcome)["results"], sort_keys=True) for outcome in outcomes]
    assert scores[0] == scores[1]


@ALL
def test_a_second_worker_of_the_attempt_ends_at_once(once: Once) -> None:
    """If the platform starts an attempt twice, one worker gets the job, and the other one says so and ends."""
    job = once.queue(4)
    workers = [once.start_without_redis(job), once.start_without_redis(job)]
    outcome, _ = once.stand.end_of(job)
    outputs = [worker.communicate(timeout=PATIENCE)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    assert outcome.ok
    assert sum("no job for this worker" in output for output in outputs) == 1, outputs


@ALL
@pytest.mark.parametrize("has_redis", [False, True])
def test_a_worker_that_is_asked_to_stop_hands_its_attempt_back(once: Once, has_redis: bool) -> None:
    """After SIGTERM, which a platform sends before it stops the machine, the worker hands its attempt back and ends."""
    job = once.queue(5 + has_redis)
    worker = once.start(job) if has_redis else once.start_without_redis(job)
    once.stand.queue.reaches(job, "taken", seconds=PATIENCE)
    worker.send_signal(signal.SIGTERM)
    once.stand.queue.reaches(job, "handed-back", seconds=30)
    output = worker.communicate(timeout=30)[0]
    assert worker.returncode == 0, output


@ALL
def test_a_worker_that_is_killed_leaves_an_attempt_that_goes_silent(once: Once) -> None:
    """After kill -9 of a worker none of its processes is left, and the attempt stays in the state `taken`."""
    job = once.queue(7)
    worker = once.start_without_redis(job)
    once.stand.queue.reaches(job, "taken", seconds=PATIENCE)
    worker.kill()
    worker.wait(10)
    beat = once.stand.queue.attempts.read(job.attempt)
    assert beat is not None
    assert beat.state == "taken"
    work = str(once.stand.folder / "work")
    wait_until(lambda: not any(work in environment for environment in _environments()))


@ALL
def test_a_worker_of_a_recalled_attempt_exits(once: Once) -> None:
    """If the attempt was recalled before its worker starts, the worker says so and exits with status 0."""
    job = once.queue(8)
    assert recall(once.stand.queue.connection, once.stand.queue.keys.queue(TIER), job.attempt)
    for worker in (once.start_without_redis(job), once.start(job)):
        output = worker.communicate(timeout=60)[0]
        assert worker.returncode == 0, output
        assert "recalled" in output


@ALL
def test_a_wrong_token_and_an_absent_bot_are_reported(once: Once) -> None:
    """A worker exits with 4 if the bot is away or refuses the token, and with 2 if it has no token; it says why."""
    job = once.queue(9)
    away = once.start(job, STEWARD_BOARD_URL="http://127.0.0.1:1", STEWARD_ATTEMPT_TOKEN="x")
    forged = once.start(job, STEWARD_BOARD_URL=once.url, STEWARD_ATTEMPT_TOKEN="x")
    missing = once.start(job, STEWARD_BOARD_URL=once.url)
    outputs = [(worker.communicate(timeout=60)[0], worker.returncode) for worker in (away, forged, missing)]
    assert [code for _, code in outputs] == [4, 4, 2], outputs
    assert "does not answer" in outputs[0][0]
    assert "does not accept the token" in outputs[1][0]
    assert "STEWARD_ATTEMPT_TOKEN" in outputs[2][0]
    assert once.stand.queue.in_rq(job)


@ALL
def test_the_child_of_a_run_finds_neither_token(once: Once, tmp_path: Path) -> None:
    """Neither the attempt's nor the workers' token is in the child's environment or memory, in logs, or in files."""
    asked = once.stand.job("trial/looking", "a" * 40, 10)
    once.stand.queue.enqueue(asked)
    token = once.token(asked)
    script = str(SUPPORT / "offline_worker_script.py")
    worker = once.run(
        [sys.executable, script, str(tmp_path), "0", "0", asked.attempt],
        REDIS_URL=NOWHERE,
        STEWARD_BOARD="/no/board.yaml",
        STEWARD_BOARD_URL=once.url,
        STEWARD_ATTEMPT_TOKEN=token,
        STEWARD_WORKER_TOKEN=TOKEN,
        STEWARD_HARNESS="trial_harness",
        STEWARD_PRELOAD="",
        PYTHONPATH=os.pathsep.join((str(SUPPORT), str(SUPPORT.parents[2]))),
    )
    outcome, log = once.stand.end_of(asked)
    output = worker.communicate(timeout=60)[0]
    assert outcome.ok, (log, output)
    view = json.loads((tmp_path / "published.json").read_text())
    assert view["memory"] == 0
    assert any(name.startswith("HOME=") for name in view["environ"])
    texts = [json.dumps(view), json.dumps(outcome.model_dump(mode="json")), log, output]
    files = [file.read_bytes() for file in (once.stand.folder / "work").rglob("*") if file.is_file()]
    for secret in (token, TOKEN):
        assert not [text for text in texts if secret in text]
        assert not [data for data in files if secret.encode() in data]


def _environments() -> Iterator[str]:
    """The environment of each process that this one may read."""
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            yield (process / "environ").read_text("utf-8", "replace")
