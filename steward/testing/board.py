"""A board on its own local Hub, with methods that do what people, workers and the timer do."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import redis
from huggingface_hub import CommitOperationAdd, HfApi

from bot.core.context import BoardContext
from bot.probe import Probe
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from hub.client import Hub
from leaderboard.attempts import Details, Failure, Outcome
from leaderboard.boards import Board, parse_board
from leaderboard.request_paths import RequestPath
from leaderboard.suites import Suite, find_suite
from localhub.testing import LocalHub
from redis_state import clock, jobs
from redis_state.attempts import AttemptProgress
from redis_state.heartbeats import WorkerCard
from steward.testing.probe import shared_probe

SECRET, OLD_SECRET = "s3cret", "0ld"
BOARD = """
name: demo
title: Demo
suite: starter
threads: always
effects: on
# The models of these tests are a config and a letter: what is asked of real ones is tested with real ones.
admission:
  off: [python-files, causal, headers, layers, size, honest-precision, half-precision, tokenizer-loads, chat-template,
        vocabulary, special-tokens, base-declared, licence, model-card, category, merge, duplicate, copy,
        quota-submitter, quota-organisation]
repos: {requests: board/requests, results: board/results, logs: board/logs, community: board/space,
        details_namespace: board-details}
"""
"""A board file. `SECRET` is its webhook's secret, and `OLD_SECRET` the one before."""
BOT, FORM, WORKER, ADA, BOB = "hf_bot", "hf_form", "hf_worker", "hf_ada", "hf_bob"
REQUESTS = "board/requests"
CONFIG = json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})


@cache
def board_and_suite() -> tuple[Board, Suite]:
    """The board of the tests and its suite; neither changes, and most tests need both."""
    return parse_board(BOARD), find_suite("starter")


class BoardDriver:
    """A board on its own local Hub, with the bot's context, sync loop and timer, and the accounts of its users."""

    def __init__(self, hub: LocalHub, connection: redis.Redis, probe: Probe | None = None) -> None:
        self.hub = hub
        self.time = clock.now()
        board, suite = board_and_suite()
        self.calls: list[tuple[str, str]] = []
        hub_client = Hub(hub.url, BOT, on_call=lambda method, route: self.calls.append((method, route)))
        self.context = BoardContext(
            board,
            suite,
            hub_client,
            connection,
            now=lambda: self.time,
            probe=probe or shared_probe(),
            mirrors=hub.state.data / "mirrors",
        )
        self.loop = SyncLoop(self.context)
        self.schedule = Schedule(self.context)
        self.ada, self.form, self.bob = (HfApi(hub.url, token=token) for token in (ADA, FORM, BOB))

    def tick(self) -> None:
        """Run the timer once, as if its previous run was just now."""
        self.context.redis.set(self.context.keys.ticked, self.time)
        self.schedule.tick()

    def settle(self) -> None:
        """Sync the requests repo, and then every key that this marks."""
        self.context.mark("requests")
        self.work()

    def work(self) -> None:
        """Sync until no key is dirty and due."""
        while (claim := self.context.dirty.claim(now=self.time, lease=60)) is not None:
            self.loop.sync(claim)

    def submit(self, model: str, /, *, path: str | None = None, raw: bytes | None = None, **changes: Any) -> str:
        """Commit a request for `model` as the form does; return its path."""
        org, name = model.split("/")
        path = path or str(RequestPath(org, name, private=False, precision="float32", weight_type="Original"))
        fields = {"model": model, "status": "PENDING", "revision": "main", "mystery": [1, "é"], **changes}
        self.put(path, json.dumps(fields).encode() if raw is None else raw)
        return path

    def put(self, path: str, content: bytes) -> None:
        """Commit a file to the requests repo as the form does."""
        operations = [CommitOperationAdd(path, content)]
        self.form.create_commit(REQUESTS, operations, commit_message="Add", repo_type="dataset")

    def file(self, path: str) -> dict[str, Any]:
        """Return the request file on the Hub, parsed."""
        fields: dict[str, Any] = json.loads(self.context.hub.read_file(self.context.requests, path).data)
        return fields

    def read(self, path: str) -> bytes:
        """Return the bytes of a file of the requests repo on the Hub."""
        return self.context.hub.read_file(self.context.requests, path).data

    def threads(self) -> list[Any]:
        """All threads of the requests repo, with their comments."""
        listed = list(self.form.get_repo_discussions(REQUESTS, repo_type="dataset"))
        return [self.form.get_discussion_details(REQUESTS, thread.num, repo_type="dataset") for thread in listed]

    def commits(self) -> int:
        """Return the number of commits in the requests repo."""
        return len(self.form.list_repo_commits(REQUESTS, repo_type="dataset"))

    def worker(self) -> None:
        """Announce the worker `w`."""
        card = WorkerCard(name="w", tiers=("all",), since=self.time, beat=self.time)
        self.context.workers.announce(card)

    def queued(self) -> list[jobs.EvaluationJob]:
        """Return the evaluations in the RQ queues."""
        queues = [jobs.queue(self.context.redis, name) for name in self.context.queues]
        return [jobs.parse(job.kwargs["message"]) for queue in queues for job in queue.jobs]

    def take(self, job: jobs.EvaluationJob) -> bool | None:
        """Take `job` as the worker, ask for the claim, and sync; return the answer."""
        assert any(jobs.recall(self.context.redis, name, job.attempt) for name in self.context.queues)
        self.context.attempts.take(job.attempt, job.path, "w", now=self.time)
        self.context.mark(f"request:{job.path}")
        self.settle()
        return self.answer(job)

    def answer(self, job: jobs.EvaluationJob) -> bool | None:
        """Whether the worker is granted the claim of `job`; None if it has no answer yet."""
        return self.context.attempts.wait_for_claim(job.attempt, seconds=1, worker="w")

    def beat(self, job: jobs.EvaluationJob, done: int = 1, total: int = 2) -> bool:
        """Report the worker's progress with `job`; return whether it should go on."""
        progress = AttemptProgress("evaluate", done, total)
        return self.context.attempts.beat(job.attempt, progress, now=self.time, worker="w", path=job.path)

    def hand_back(self, job: jobs.EvaluationJob) -> None:
        """Hand `job` back as a worker does that stops before its end."""
        self.context.attempts.hand_back(job.attempt, worker="w")

    def end(self, job: jobs.EvaluationJob, *, failure: Failure | None = None, details: Details | None = None) -> None:
        """Report the end of `job` as the worker does, and sync."""
        outcome = Outcome(
            attempt=job.attempt,
            path=job.path,
            revision=job.revision,
            suite=job.suite,
            suite_digest=job.suite_digest,
            started=self.time - 10,
            ended=self.time,
            phase="evaluate",
            failure=failure,
            details=details,
        )
        self.context.attempts.end(outcome, "the last line of the log", worker="w")
        self.context.mark(f"request:{job.path}")
        self.settle()

    def failed(self, failure: Failure, **changes: Any) -> str:
        """Submit ada/good, let its evaluation fail so that it is not tried again, and return the request's path."""
        path = self.submit("ada/good", **changes)
        self.settle()
        self.fail_next(failure)
        assert self.file(path)["status"] == "FAILED"
        return path

    def fail_next(self, failure: Failure) -> None:
        """Take the one queued job as a worker, and let its evaluation fail."""
        self.worker()
        self.context.mark("queue")
        self.settle()
        (job,) = self.queued()
        self.take(job)
        self.end(job, failure=failure)
        self.settle()

    def started(self, model: str = "ada/good", **fields: Any) -> jobs.EvaluationJob:
        """Submit `model` with these `fields`, and let a worker take its job; return the job."""
        self.tick()
        self.worker()
        self.submit(model, **fields)
        self.settle()
        (job,) = self.queued()
        assert self.take(job) is True
        return job
