"""Steward's real syncs, ledger and schedule on the simulated clock, with simulated workers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from benchmarks.sample_tables import sample_tables
from benchmarks.simulated_board import BEAT, KEPT_RULES
from bot.core.context import BoardContext
from bot.intake.deliveries import read_delivery
from bot.intake.inbox import Delivery, Inbox, connect_inbox
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from hub.client import Hub
from hub.retries import Retries
from leaderboard.attempts import Details, Outcome
from leaderboard.boards import Board
from leaderboard.failures import cause
from leaderboard.policy import Switchable
from leaderboard.results import dump
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from leaderboard.suites import find_suite
from localhub.repos.events import HubEvent
from localhub.webhooks.payloads import payload
from redis_state import jobs
from redis_state.attempts import AttemptProgress
from redis_state.heartbeats import WorkerCard
from redis_state.redis import Redis
from simulations.peers.environment import EPOCH, Activity, Environment, EvaluationTry, Machines, Timetable

DEATHS = {"broken": "weights-truncated", "disk full": "disk-full"}
ASK, PUBLISH_AGAIN = 1.0, 60.0
"""Seconds between a worker's checks for its confirmed claim, and between its tries to publish in an outage."""


class Steward:
    """A board run by Steward."""

    def __init__(
        self, environment: Environment, board: str, tokens: tuple[str, str], redis: Redis, redis_url: str, folder: Path
    ) -> None:
        self.environment = environment
        self.name = self.board = board
        self.accounts = (board, f"{board}-worker")
        self.machines = Machines(environment.scenario)
        # Without retries: their waits would use the real clock. The sync retries later.
        client = Hub(environment.hub.url, tokens[0], retries=Retries(attempts=1))
        self.context = BoardContext(
            board_of(board),
            find_suite("starter"),
            client,
            redis,
            now=lambda: environment.now,
            mirrors=folder / "mirrors",
        )
        self.loop, self.schedule = SyncLoop(self.context), Schedule(self.context)
        self.worker = HfApi(environment.hub.url, token=tokens[1])
        self.table = Timetable()
        self.names = [f"w{number}" for number in range(environment.scenario.machines)]
        self.doing: dict[str, str] = {}
        """The attempt of each worker; empty during a repair."""
        self.beats = EPOCH
        self.deliveries: list[bytes] = []
        """Bodies of webhooks that the inbox has not received yet."""
        self.redis_url, self.received = redis_url, 0
        environment.hub.state.subscribe(self._deliver)

    def next_moment(self) -> float:
        """Return the time of the next event."""
        marks: list[Any] = self.context.redis.zrange(self.context.keys.dirty, 0, -1, withscores=True)
        due = [float(at) % 1e12 for _, at in marks]
        later = [moment for moment in due if moment > self.environment.now]
        return min([self.beats, self.table.next_moment(), *later])

    def act(self) -> None:
        """Do all work that is due."""
        if self.beats <= self.environment.now:
            self._beat()
            self.schedule.tick()
            self.beats = self.environment.now + BEAT
        while self.table.continue_due(self.environment.now) or self._receive() or self._sync() or self._take():
            pass

    def has_ended(self) -> bool:
        """Whether no work is left."""
        index = self.context.index
        waits = index.count_waiting() or index.busy() or index.unjudged() or self.context.ledger.edits.repos()
        return not (self.doing or waits)

    def close(self) -> None:
        """Close the probe and the Hub's client."""
        self.context.probe.close()
        self.context.hub.close()

    def _deliver(self, event: HubEvent) -> None:
        """Record the delivery of an event in a repo that the webhook of `hub_setup.world` watches."""
        watched = (self.context.requests.id, self.context.results.id, self.context.community.id)
        if event.repo.full_name in watched and event.kind.partition(".")[0] in ("repo", "discussion"):
            self.deliveries.append(json.dumps(payload(event, self.environment.hub.url)).encode())

    def _receive(self) -> bool:
        """Let Steward's inbox receive the deliveries, and return whether there were any."""
        if not self.deliveries:
            return False
        bodies, self.deliveries = self.deliveries, []
        asyncio.run(self._store(bodies))
        return True

    async def _store(self, bodies: list[bytes]) -> None:
        redis = connect_inbox(self.redis_url)
        inbox = Inbox(redis, self.context.keys)
        for body in bodies:
            self.received += 1
            delivery = Delivery(f"delivery-{self.received}", body, self.environment.now)
            await inbox.receive(delivery, read_delivery(body, self.context.board))
        await redis.aclose()

    def _sync(self) -> bool:
        return self.loop._may_ask() and self.loop.step()

    # --- the workers

    def _beat(self) -> None:
        now = self.environment.now
        for name in self.names:
            if self.doing.get(name) != "":
                self.context.workers.announce(WorkerCard(name=name, tiers=("all",), since=now, beat=now))
        for name, attempt in self.doing.items():
            state = self.context.attempts.read(attempt) if attempt else None
            if state is not None and state.state in ("claimed", "running"):
                self.context.attempts.beat(attempt, AttemptProgress("evaluate"), now=now, worker=name, path=state.path)
            elif state is not None and state.state == "taken":
                self.context.attempts.take(attempt, state.path, state.worker, now=now)

    def _take(self) -> bool:
        """Let an idle worker take the next job, and return whether one did."""
        idle = [name for name in self.names if name not in self.doing]
        jobs_waiting = [job for name in self.context.queues for job in jobs.queue(self.context.redis, name).jobs]
        if not idle or not jobs_waiting:
            return False
        message = jobs.parse(jobs_waiting[0].kwargs["message"])
        jobs_waiting[0].delete()
        if self.context.attempts.take(message.attempt, message.path, idle[0], now=self.environment.now):
            self.doing[idle[0]] = message.attempt
            self.table.add(self._evaluate(idle[0], message), self.environment.now)
            self.context.mark(f"request:{message.path}")
        return True

    def _evaluate(self, name: str, job: jobs.EvaluationJob) -> Activity:
        yield 0.0
        while (state := self.context.attempts.read(job.attempt)) is not None and state.state == "taken":
            yield ASK
        if state is None or state.state != "claimed":
            del self.doing[name]
            return
        begun = self.machines.begin(self.environment.by_path[job.path], self.environment.now, name)
        started = self.environment.now
        yield begun.seconds
        if begun.ending == "killed":
            self.doing[name] = ""
            yield begun.repair
        elif begun.ending == "well":
            while (details := self._publish(job)) is None:
                yield PUBLISH_AGAIN  # the worker keeps its spool until the Hub accepts the commit
            self._end(name, job, begun, started, details)
        else:
            self._end(name, job, begun, started, None)
        del self.doing[name]

    def _publish(self, job: jobs.EvaluationJob) -> Details | None:
        """Make the worker's one commit; None in an outage. The scores are the same for all peers."""
        repo = self.context.board.repos.details(job.model)
        time = datetime.fromtimestamp(self.environment.now, UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
        path = f"results_{time}.json"
        files = {**sample_tables(self.context.suite, raw_scores(self.context), time), path: results(self.context, job)}
        adds = [CommitOperationAdd(name, data) for name, data in files.items()]
        try:
            self.worker.create_repo(repo, repo_type="dataset", exist_ok=True)
            commit = self.worker.create_commit(repo, adds, commit_message="Publish", repo_type="dataset")
        except HfHubHTTPError:
            return None
        return Details(repo=repo, commit=commit.oid, results_path=path)

    def _end(
        self, name: str, job: jobs.EvaluationJob, begun: EvaluationTry, started: float, details: Details | None
    ) -> None:
        died = cause(DEATHS.get(begun.ending, ""))
        outcome = Outcome(
            attempt=job.attempt,
            path=job.path,
            revision=job.revision,
            suite=job.suite,
            suite_digest=job.suite_digest,
            started=started,
            ended=self.environment.now,
            phase="evaluate",
            failure=died.failure() if details is None else None,
            details=details,
        )
        self.context.attempts.end(outcome, "The log.\n", worker=name)
        self.context.mark(f"request:{outcome.path}")


def raw_scores(context: BoardContext) -> dict[str, dict[str, float]]:
    """Return the harness's metrics, which are the same for every evaluation."""
    return {
        task: {"acc_norm,none": 0.75, "exact_match,answer": 0.5} for task in (*context.suite.tasks, *context.suite.run)
    }


def results(context: BoardContext, job: jobs.EvaluationJob) -> bytes:
    """Return the results of an evaluation."""
    raw = raw_scores(context)
    block = StewardBlock(
        attempt=job.attempt,
        request=job.path,
        model=job.model,
        revision=job.revision,
        precision=job.precision,
        suite=context.suite.name,
        suite_digest=context.suite.digest,
        started="",
        ended="",
        **scores_in_block(score(raw, context.suite)),
    )
    return dump(with_block({"results": raw}, block))


def board_of(board: str) -> Board:
    """Return the board."""
    return Board.model_validate(
        {
            "name": board,
            "title": "Steward",
            "suite": "starter",
            "threads": "failures",
            "effects": "on",
            "repos": {
                **{name: f"{board}/{name}" for name in ("requests", "results", "logs")},
                "community": f"{board}/space",
                "details_namespace": f"{board}-details",
            },
            # Its models have only a config and weights of one letter, and the other peers check no models.
            "admission": {"off": [rule for rule in get_args(Switchable) if rule not in KEPT_RULES]},
        }
    )
