"""Steward's sync process and simulated workers on a simulated clock: hours of a board in minutes."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

BOT, POLLER, FORM, GPU = "hf_bot", "hf_poller", "hf_form", "hf_gpu"
REQUESTS, RESULTS, LOGS = "board/requests", "board/results", "board/logs"
DETAILS = "board-details/details_ada__model"
MODEL = "ada/model"
KEPT_RULES = ("revision", "renamed", "flagged", "opt-out")
BEAT = 30.0
"""Maximal simulated seconds between two steps."""


def path_of(number: int) -> str:
    """Return the path of one request: all are for one model, each at another precision."""
    return f"{MODEL}_eval_request_False_p{number}_Original.json"


def fails(number: int) -> bool:
    """Whether evaluation `number` fails: one in ten."""
    return number % 10 == 9


def results_name(number: int) -> str:
    """Return the path of an evaluation's results in the details repo; the name contains a made-up time."""
    return f"results_2026-11-24T{number // 3600:02}-{number // 60 % 60:02}-{number % 60:02}.000000.json"


@dataclass
class Job:
    """A running evaluation."""

    attempt: str
    number: int
    claimed: bool = False
    ends: float = float("inf")


class SimulatedBoard:
    """Steward's sync process and simulated workers on a simulated clock."""

    def __init__(self, hub: Any, redis_url: str, options: argparse.Namespace, folder: Path) -> None:
        from bot.core.context import BoardContext
        from bot.processes.schedule import Schedule
        from bot.processes.sync_loop import SyncLoop
        from hub.client import Hub
        from leaderboard.suites import find_suite
        from redis_state.redis import connect

        self.time, self.options, self.hub_url = time.time(), options, hub.url
        self.context = BoardContext(
            board_of(options),
            find_suite("starter"),
            Hub(hub.url, BOT),
            connect(redis_url),
            now=lambda: self.time,
            mirrors=folder / "mirrors",
        )
        self.loop, self.schedule = SyncLoop(self.context), Schedule(self.context)
        self.running: dict[str, Job] = {}
        self.commit = ""
        self.ended = 0

    def close(self) -> None:
        """Close the probe and the connections."""
        self.context.probe.close()
        self.context.hub.close()
        self.context.redis.close()

    def publish(self) -> None:
        """Publish all details at once, because they are not measured."""
        from huggingface_hub import CommitOperationAdd, HfApi

        from benchmarks.sample_tables import sample_tables

        gpu = HfApi(self.hub_url, token=GPU)
        sha = str(gpu.model_info(MODEL).sha)
        numbers = [number for number in range(self.options.attempts) if not fails(number)]
        files = [CommitOperationAdd(results_name(number), self.results(number, sha)) for number in numbers]
        for number in numbers:
            at = results_name(number).removeprefix("results_").removesuffix(".json")
            tables = sample_tables(self.context.suite, self.raw(), at)
            files += [CommitOperationAdd(path, data) for path, data in tables.items()]
        self.commit = gpu.create_commit(DETAILS, files, commit_message="Publish", repo_type="dataset").oid

    def raw(self) -> dict[str, dict[str, float]]:
        """Return the harness's metrics, which are the same for every evaluation."""
        suite = self.context.suite
        return {task: {"acc_norm,none": 0.75, "exact_match,answer": 0.5} for task in (*suite.tasks, *suite.run)}

    def results(self, number: int, sha: str) -> bytes:
        """Return the results of an evaluation."""
        from leaderboard.attempts import attempt_id
        from leaderboard.results import dump
        from leaderboard.scores import score
        from leaderboard.steward_block import StewardBlock, scores_in_block, with_block

        suite, path, raw = self.context.suite, path_of(number), self.raw()
        block = StewardBlock(
            attempt=attempt_id(self.context.board.name, path, sha, 1),
            request=path,
            model=MODEL,
            revision=sha,
            precision=f"p{number}",
            suite=suite.name,
            suite_digest=suite.digest,
            started="",
            ended="",
            **scores_in_block(score(raw, suite)),
        )
        return dump(with_block({"results": raw}, block))

    def run(self) -> float:
        """Work until every request has ended, and return the simulated hours."""
        began = self.time
        self.schedule.tick()
        self.work()
        while self.open():
            self.time = self.next_moment()
            self.beat()
            self.schedule.tick()
            self.work()
        return (self.time - began) / 3600

    def open(self) -> bool:
        """Whether any work is left."""
        return bool(
            self.running
            or self.context.index.count_waiting()
            or self.context.index.busy()
            or self.context.index.unjudged()
        ) or bool(self.context.ledger.edits.repos())

    def next_moment(self) -> float:
        """Return the time of the next event."""
        marks: list[Any] = self.context.redis.zrange(self.context.keys.dirty, 0, -1, withscores=True)
        due = [float(score) % 1e12 for _, score in marks]
        moments = [*due, *(job.ends for job in self.running.values())]
        return min([self.time + BEAT, *(moment for moment in moments if moment > self.time)])

    def beat(self) -> None:
        """Send the workers' heartbeats, and report finished attempts."""
        from redis_state.attempts import AttemptProgress
        from redis_state.heartbeats import WorkerCard

        for number in range(self.options.workers):
            card = WorkerCard(name=f"w{number}", tiers=("all",), since=self.time, beat=self.time)
            self.context.workers.announce(card)
        for job in list(self.running.values()):
            path = path_of(job.number)
            if job.claimed:
                self.context.attempts.beat(
                    job.attempt, AttemptProgress("evaluate"), now=self.time, worker="w", path=path
                )
            else:
                self.context.attempts.take(job.attempt, path, "w", now=self.time)
            if job.ends <= self.time:
                self.end(job)

    def work(self) -> None:
        """Sync, and let idle workers take jobs, until no work is left at this moment."""
        while True:
            while self.loop.step():
                pass
            if not self.begin() and not self.take():
                return

    def take(self) -> bool:
        """Let an idle worker take the next job, and return whether one did."""
        from redis_state import jobs

        queues = [jobs.queue(self.context.redis, name) for name in self.context.queues]
        waiting_jobs = [job for queue in queues for job in queue.jobs]
        if len(self.running) >= self.options.workers or not waiting_jobs:
            return False
        message = jobs.parse(waiting_jobs[0].kwargs["message"])
        waiting_jobs[0].delete()
        number = int(message.precision.removeprefix("p"))
        self.running[message.attempt] = Job(message.attempt, number)
        self.context.attempts.take(message.attempt, message.path, "w", now=self.time)
        self.context.mark(f"request:{message.path}")
        return True

    def begin(self) -> bool:
        """Start evaluations with a confirmed claim, and return whether one started."""
        begun = False
        for job in self.running.values():
            state = self.context.attempts.read(job.attempt)
            if not job.claimed and state is not None and state.state == "claimed":
                job.claimed, job.ends, begun = True, self.time + 60 * self.options.minutes, True
        return begun

    def end(self, job: Job) -> None:
        """Report the outcome of an attempt as its worker does."""
        from leaderboard.attempts import Details, Failure, Outcome

        failure = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.")
        details = Details(repo=DETAILS, commit=self.commit, results_path=results_name(job.number))
        outcome = Outcome(
            attempt=job.attempt,
            path=path_of(job.number),
            revision=self.context.index.get(path_of(job.number)).sha or "",
            suite=self.context.suite.name,
            suite_digest=self.context.suite.digest,
            started=self.time,
            ended=self.time,
            phase="evaluate",
            failure=failure if fails(job.number) else None,
            details=None if fails(job.number) else details,
        )
        self.context.attempts.end(outcome, "The log.\n", worker="w")
        self.context.mark(f"request:{outcome.path}")
        del self.running[job.attempt]

    def check(self) -> None:
        """Raise SystemExit if a request did not end as expected, because the figures would be wrong."""
        expected = ["FAILED" if fails(number) else "FINISHED" for number in range(self.options.attempts)]
        statuses = [self.status(number) for number in range(self.options.attempts)]
        if statuses != expected:
            raise SystemExit(f"Not every attempt ended as expected: {Counter(statuses)}.")

    def status(self, number: int) -> str:
        """Return the status in the request file, read anonymously."""
        from hub.client import Hub

        with Hub(self.hub_url, None) as hub:
            return str(json.loads(hub.read_file(self.context.requests, path_of(number)).data)["status"])

    def busiest(self) -> int:
        """Return the most commits that any repo had within a simulated hour of the last day."""
        from hub.records import Repo

        most = 0
        for repo in (REQUESTS, RESULTS, LOGS):
            times = self.context.ledger.budget.recorded(Repo("dataset", repo))
            most = max([most, *(len([t for t in times if at - 3600 < t <= at]) for at in times)])
        return most


def board_of(options: argparse.Namespace) -> Any:
    """Return the board."""
    from leaderboard.boards import Board
    from leaderboard.policy import Switchable

    repos = {"requests": REQUESTS, "results": RESULTS, "logs": LOGS, "community": "board/space"}
    return Board.model_validate(
        {
            "name": "bench",
            "title": "Bench",
            "suite": "starter",
            "threads": options.threads,
            "effects": "on",
            "repos": {**repos, "details_namespace": "board-details"},
            # The one model has only a config and weights of one letter: benchmarks.admission measures admission.
            "admission": {"off": [rule for rule in get_args(Switchable) if rule not in KEPT_RULES]},
            "precisions": [f"p{number}" for number in range(options.attempts)],
        }
    )
