"""Two lower bounds for Steward's times: a job queue without a board, and a web route that ignores deliveries."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

from rq import Queue

from redis_state.redis import Redis
from simulations.peers.environment import EPOCH, Activity, Environment, Machines, Timetable

ROUNDS = 3


class BareQueue:
    """Each submission goes directly into one RQ queue, and the next idle machine takes it. There is no board.

    There are no checks, no notifications and no retries; lost jobs stay lost. The waiting times come from the number of
    machines alone.
    """

    accounts: tuple[str, ...] = ()

    def __init__(self, environment: Environment, board: str, redis: Redis) -> None:
        self.environment = environment
        self.name = self.board = board
        self.machines = Machines(environment.scenario)
        self.queue = Queue("bare", connection=redis)
        self.table = Timetable()
        self.busy = self.to_come = 0
        self.enqueued: list[float] = []
        """The seconds of each `enqueue`."""
        for submission in environment.scenario.submissions:
            self.to_come += 1
            self.table.add(self._submit(submission.path), EPOCH + submission.at)

    def next_moment(self) -> float:
        """Return the time of the next event."""
        return self.table.next_moment()

    def act(self) -> None:
        """Do everything that is due, and let idle machines take the next jobs."""
        while self.table.continue_due(self.environment.now) or self._take():
            pass

    def has_ended(self) -> bool:
        """Whether every job has ended."""
        return not (self.to_come or self.busy or self.queue.count)

    def close(self) -> None:
        """Delete the jobs."""
        self.queue.delete(delete_jobs=True)

    def _submit(self, path: str) -> Activity:
        started = time.perf_counter()
        self.queue.enqueue("no.such.function", path)
        self.enqueued.append(time.perf_counter() - started)
        self.to_come -= 1
        yield 0.0

    def _take(self) -> bool:
        if self.busy >= self.environment.scenario.machines or self.queue.is_empty():
            return False
        job = self.queue.fetch_job(str(self.queue.pop_job_id()))
        assert job is not None
        self.busy += 1
        self.table.add(self._run(str(job.args[0])), self.environment.now)
        return True

    def _run(self, path: str) -> Activity:
        begun = self.machines.begin(self.environment.by_path[path], self.environment.now)
        yield begun.seconds
        if begun.ending == "well":
            self.machines.publish(begun.submission, self.environment.now)
        yield begun.repair
        self.busy -= 1


def routes(folder: Path) -> dict[str, Any]:
    """Return deliveries per second, and milliseconds of single ones, of a bare route and of Steward's durable inbox."""
    from benchmarks.webhook import BARE, STEWARD, load, start_servers
    from steward.children import Children
    from steward.valkey import Valkey

    with Valkey(folder / "valkey") as valkey, Children(folder / "logs") as children:
        ports = start_servers(folder, children, valkey.url, sys.executable)
        rounds = []
        for _ in range(ROUNDS):
            rounds.append({name: (load(ports[name], 64, 2.0), load(ports[name], 1, 1.0)) for name in (BARE, STEWARD)})
            children.check()
    return {
        name: {
            "deliveries_a_second": round(statistics.median(figures[name][0]["per_second"] for figures in rounds)),
            "ms_for_one": round(statistics.median(figures[name][1]["p50_ms"] for figures in rounds), 2),
        }
        for name in (BARE, STEWARD)
    }
