"""A board on which other people's workers evaluate, and methods that act for these workers."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from huggingface_hub import CommitOperationAdd, HfApi

from bot.probe import Probe
from leaderboard.attempts import Details
from leaderboard.cross_checks import CheckedQuestion, CrossCheckReport, QuestionVerdict, WorkerPolicy, report_path
from localhub.testing import HubWorld
from redis_state import jobs
from redis_state.heartbeats import WorkerCard
from redis_state.jobs import EvaluationJob
from steward.testing.board import BoardDriver
from steward.testing.hub import board_world, open_board
from tests.support.board.published_details import publish

OTHERS = {"second": "hf_second", "third": "hf_third"}
CLAIMER = "gpu"
"""The account whose worker evaluates."""
POLICY = WorkerPolicy.model_validate({"owned": [], "check": {"questions": 4}})
rarely = pytest.mark.long("plays a whole cross-check, like the tests that `make test` has")


def world_of_workers() -> HubWorld:
    """The world of the board's tests, with two more accounts that write to details repos."""
    world = board_world().users(OTHERS)
    for org in world["orgs"]:
        if org["name"] == "board-details":
            org["members"].update(dict.fromkeys(OTHERS, "write"))
    return world


class CheckedBoard(BoardDriver):
    """A board whose policy says that the operator owns no worker; worker `w` is of the account CLAIMER."""

    alive: Collection[str] = ()
    """Other accounts that have a worker, which has the account's name."""

    def use(self, policy: WorkerPolicy = POLICY) -> None:
        """Give the board this policy."""
        self.context.board = self.context.board.model_copy(update={"workers": policy})

    def worker(self, doing: str = "") -> None:
        """Announce all workers."""
        for name, account in (("w", CLAIMER), *((name, name) for name in self.alive)):
            card = WorkerCard(name=name, tiers=("all",), since=self.time, beat=self.time, account=account, doing=doing)
            self.context.workers.announce(card)

    def pass_time(self, seconds: float = 61.0) -> None:
        """Advance the clock; the workers send heartbeats, and the bot syncs."""
        self.time += seconds
        self.worker()
        self.tick()
        self.settle()

    def evaluate(self, job: EvaluationJob, number: int = 0) -> Details:
        """Publish an evaluation as the worker `w`, with one question of each task, and report its end."""
        counts = {task: {"original": 1, "effective": 1} for task in self.context.suite.tasks}
        details = publish(self.hub.url, job, self.context.suite, number=number, harness={"n-samples": counts})
        self.end(job, details=details)
        return details

    def orders(self, *workers: str) -> list[EvaluationJob]:
        """Return the jobs in the queues of these workers, by default of all."""
        names = [self.context.keys.worker_queue(name) for name in workers or ("w", *OTHERS)]
        queues = [jobs.queue(self.context.redis, name) for name in names]
        return [jobs.parse(job.kwargs["message"]) for queue in queues for job in queue.jobs]

    def order(self, worker: str) -> EvaluationJob:
        """Take the one job in the worker's queue."""
        (job,) = self.orders(worker)
        assert jobs.recall(self.context.redis, self.context.keys.worker_queue(worker), job.attempt)
        return job

    def report(
        self,
        job: EvaluationJob,
        account: str,
        differing: Iterable[CheckedQuestion] = (),
        *,
        wakes: bool = True,
        **changes: Any,
    ) -> None:
        """Commit the account's report about the order in `job`, and wake the bot."""
        order, wrong = job.cross_check, set(differing)
        assert order is not None
        report = CrossCheckReport(
            check=job.attempt,
            attempt=order.attempt,
            commit=order.details.commit,
            nonce=order.nonce,
            answers=tuple(_verdict(question, question in wrong) for question in order.questions),
        ).model_copy(update=changes)
        HfApi(self.hub.url, token={CLAIMER: "hf_worker", **OTHERS}[account]).create_commit(
            order.details.repo,
            [CommitOperationAdd(report_path(job.attempt), report.model_dump_json().encode())],
            commit_message="Compare answers",
            repo_type="dataset",
        )
        if wakes:
            self.context.mark(f"request:{job.path}")
            self.settle()

    def cross_check(self, path: str) -> dict[str, Any]:
        """Return the record of the cross-check in the results of the request at `path`."""
        return dict(self.block(path)["checked"]["again"])

    def block(self, path: str) -> dict[str, Any]:
        """The `steward` block of the results of the request at `path`."""
        return self.block_at(self.file(path)["steward"]["results"])

    def block_at(self, results: str) -> dict[str, Any]:
        """The `steward` block of a results file."""
        return dict(json.loads(self.context.hub.read_file(self.context.results, results).data)["steward"])

    def published(self) -> list[str]:
        """The results files of the board."""
        files = self.form.list_repo_files("board/results", repo_type="dataset")
        return [name for name in files if name.endswith(".json")]


@contextmanager
def checked_board(folder: Path, connection: redis.Redis, probe: Probe) -> Iterator[CheckedBoard]:
    """The board on its own Hub, with workers of three accounts, none of them the operator's."""
    with open_board(world_of_workers(), folder, connection, probe, CheckedBoard) as board:
        board.use()
        board.alive = ("second", "third")
        yield board


def claimed(stand: CheckedBoard, number: int = 0) -> EvaluationJob:
    """The job of an evaluation of ada/good by the worker of CLAIMER, whose answers wait for their check."""
    job = stand.started()
    stand.evaluate(job, number)
    assert (stand.file(job.path)["status"], stand.published()) == ("RUNNING", [])
    return job


def _verdict(question: CheckedQuestion, differs: bool) -> QuestionVerdict:
    verdict, reason = ("differs", "a log-likelihood is -1.000000 instead of -2.000000") if differs else ("agrees", "")
    return QuestionVerdict.model_validate(
        {"task": question.task, "number": question.number, "verdict": verdict, "reason": reason}
    )
