"""Simulates the dispatch rule: compares its fairness with first come, first served, and measures its estimates.

    python -m benchmarks.fairness [--submitters 500] [--waiting 10000] [--workers 16] [--json]

Two workloads. In the saturated one, 500 submitters keep 10,000 requests waiting: half of them have one each, the others
up to about a hundred, and each submits another whenever one has ended. In the open one, people come at random over some
weeks, mostly with one model, sometimes with two hundred at once. Evaluations take random times by size.

`jain`, `jain_fifo`: Jain's index of mean waiting times over the submitters of the saturated workload, by the dispatch
rule and first come, first served. A wait starts when the request arrives or when the submitter's last evaluation
starts, whichever is later. 1: all submitters wait equally long, however many models they have.
`first_hours`, `first_hours_fifo`: in the open workload, the wait of a model that is its submitter's only one.
`estimate_error`: in the open workload, error of the estimate at submission, as a share of the waiting time (median).
`estimate_covered`: in the open workload, share of starts within the estimated range.
`next_ms`, `position_ms`, `estimate_ms`: with all these requests waiting in Redis, just after one of them changed: the
next request, the position of one of them, its estimate (medians). `again_ms`: the same again without a change.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from statistics import fmean, median

from benchmarks.dispatch_speed import SIZES, evaluation_seconds, speed
from leaderboard.dispatch import QueueConditions, RunningAttempt, WaitingRequest, WorkerCapacity, in_turn
from leaderboard.estimates import Durations, RunningWork, StartEstimate, WaitExperience, level, share_waited, starts

LOAD = 1.0
"""Arriving work as a share of the workers' capacity: enough for a long queue at all times."""
CROWDS, CROWD = 0.05, 200
"""The share of submitters who submit CROWD models at once; the others submit one at a time."""
ASKED = 5
"""One in ASKED requests gets an estimate."""
ROUNDS = 12
"""Mean number of evaluations per submitter of the saturated workload."""


@dataclass
class Workload:
    """All requests in the order of submission, and the duration of each evaluation."""

    requests: list[WaitingRequest]
    seconds: dict[str, float]
    measured: Durations
    more: dict[str, deque[WaitingRequest]] = field(default_factory=dict)
    """By submitter, the further requests: the submitter submits the next one whenever one has ended."""


@dataclass
class Run:
    """The result of one simulation: `turns` holds the waits in seconds by submitter; `singles` those of lone models.

    `estimates` holds the time of each estimate, the estimate, and the real start.
    """

    turns: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    singles: list[float] = field(default_factory=list)
    estimates: list[tuple[float, StartEstimate, float]] = field(default_factory=list)


def main() -> None:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=12_000)
    parser.add_argument("--submitters", type=int, default=500)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--waiting", type=int, default=10_000, help="requests that wait while the rule is timed")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    figures = {**fairness(options), **speed(options)}
    for name, value in figures.items():
        print(f"{name:>18}  {value:10.3f}")
    if options.json:
        print(json.dumps(figures))


def fairness(options: argparse.Namespace) -> dict[str, float]:
    """Compare both orders on the same workloads."""
    saturated = crowd(options)
    turns = {fair: Simulation(saturated, options.workers, fair=fair).run().turns.values() for fair in (True, False)}
    workload = settle(options)
    fair, fifo = (Simulation(workload, options.workers, fair=fair).run() for fair in (True, False))
    late = [estimate for estimate in fair.estimates if estimate[2] - estimate[0] > 60]
    errors = [abs(start.expected - began) / (began - asked) for asked, start, began in late]
    covered = [start.earliest <= began <= start.latest for _, start, began in fair.estimates]
    return {
        "jain": round(jain([fmean(waits) for waits in turns[True]]), 3),
        "jain_fifo": round(jain([fmean(waits) for waits in turns[False]]), 3),
        "first_hours": round(fmean(fair.singles) / 3600, 2),
        "first_hours_fifo": round(fmean(fifo.singles) / 3600, 2),
        "estimate_error": round(median(errors), 3),
        "estimate_covered": round(fmean(covered), 3),
    }


def crowd(options: argparse.Namespace) -> Workload:
    """Return the saturated workload: every other submitter always has one waiting request, the others many."""
    chance, classes = random.Random(options.seed), list(SIZES)
    many = range(1, options.submitters, 2)
    shares = [1 / (rank + 1) ** 0.5 for rank in range(len(many))]
    extra = Counter(chance.choices(many, shares, k=max(0, options.waiting - options.submitters)))
    requests: list[WaitingRequest] = []
    more: dict[str, deque[WaitingRequest]] = {}
    for number_of_submitter in range(options.submitters):
        arrival = chance.uniform(0, 3600)
        own_requests = [
            WaitingRequest(
                f"s{number_of_submitter}/m{request}",
                "",
                f"s{number_of_submitter}",
                arrival,
                size=chance.choice(classes),
                suite="x",
            )
            for request in range(1 + extra[number_of_submitter] + ROUNDS * (1 + extra[number_of_submitter] // 8))
        ]
        requests += own_requests[: 1 + extra[number_of_submitter]]
        more[f"s{number_of_submitter}"] = deque(own_requests[1 + extra[number_of_submitter] :])
    requests.sort(key=lambda request: (request.submitted, request.path))
    everyone = [*requests, *(request for queue in more.values() for request in queue)]
    return Workload(
        requests, {request.path: evaluation_seconds(chance, request.size) for request in everyone}, Durations(), more
    )


def settle(options: argparse.Namespace) -> Workload:
    """Return the open workload, in which few submitters submit half of the models, many at once at random times."""
    chance, classes = random.Random(options.seed), list(SIZES)
    horizon = options.requests * fmean(SIZES.values()) * 3600 / options.workers / LOAD
    crowded = max(1, int(options.submitters * CROWDS))
    requests: list[WaitingRequest] = []
    while len(requests) < options.requests:
        is_crowd = len(requests) > 0 and chance.random() < 1 / CROWD
        submitter = f"s{chance.randrange(crowded) if is_crowd else chance.randrange(crowded, options.submitters)}"
        arrival = chance.uniform(0, horizon)
        for _ in range(CROWD if is_crowd else 1):
            path, size = f"{submitter}/m{len(requests)}", chance.choice(classes)
            requests.append(WaitingRequest(path, path, submitter, arrival, size=size, suite="x"))
    requests.sort(key=lambda request: (request.submitted, request.path))
    seconds = {request.path: evaluation_seconds(chance, request.size) for request in requests}
    return Workload(
        requests,
        seconds,
        Durations({("x", size): [evaluation_seconds(chance, size) for _ in range(60)] for size in classes}),
    )


class Simulation:
    """Simulates one workload with its workers, by the dispatch rule (`fair`) or first come, first served."""

    def __init__(self, workload: Workload, workers: int, *, fair: bool) -> None:
        self.workload, self.workers, self.fair = workload, workers, fair
        self.now = 0.0
        self.result = Run()
        self.waiting: dict[str, deque[WaitingRequest]] = defaultdict(deque)
        """The waiting requests by submitter, oldest first."""
        self.ends: list[tuple[float, str]] = []
        self.running: dict[str, RunningAttempt] = {}
        self.last: dict[str, float] = {}
        self.estimated: dict[str, tuple[float, StartEstimate, float, int]] = {}
        self.shares: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=60))

    def run(self) -> Run:
        """Run until no request waits, or for ROUNDS rounds of the saturated workload."""
        coming, more = deque(self.workload.requests), {who: deque(queue) for who, queue in self.workload.more.items()}
        turns = ROUNDS * len(more) if more else len(self.workload.requests)
        while (coming or self.ends) and turns > 0:
            if self.ends and (not coming or self.ends[0][0] <= coming[0].submitted):
                self.now, path = heapq.heappop(self.ends)
                who = self.running.pop(path).submitter
                if more and more[who]:
                    self.come([more[who].popleft()._replace(submitted=self.now)])
            else:
                self.now = coming[0].submitted
                fresh = []
                while coming and coming[0].submitted == self.now:
                    fresh.append(coming.popleft())
                self.come(fresh)
            while len(self.ends) < self.workers and (request := self.next()) is not None:
                self.begin(request)
                turns -= 1
        return self.result

    def come(self, fresh: list[WaitingRequest]) -> None:
        """Submit requests, and estimate the start of one in ASKED of them."""
        for request in fresh:
            self.waiting[request.submitter].append(request)
        asked = [request for request in fresh if int(request.path.rpartition("m")[2]) % ASKED == 0]
        if not self.fair or not asked or not self.workload.measured.measured:
            return
        order = in_turn(
            [request for queue in self.waiting.values() for request in queue], self.running.values(), self.conditions()
        )
        works = [RunningWork("x", busy.size, self.now - busy.started) for busy in self.running.values()]
        begin = starts(order, works, self.workers, self.workload.measured, self.now)
        place = {request.path: at for at, request in enumerate(order)}
        experience = WaitExperience({at: list(shares) for at, shares in self.shares.items()})
        for request in asked:
            turn = list(self.waiting[request.submitter]).index(request) + 1
            estimated_start = begin[place[request.path]]
            estimate = experience.applied(estimated_start, turn, self.now)
            self.estimated[request.path] = (self.now, estimate, estimated_start.expected, turn)

    def conditions(self) -> QueueConditions:
        """Return the present conditions of the queue."""
        return QueueConditions(turns=self.last, capacities=(WorkerCapacity(),))

    def next(self) -> WaitingRequest | None:
        """Return the next request, which is the first of its submitter."""
        heads = [queue[0] for queue in self.waiting.values() if queue]
        if not heads:
            return None
        if not self.fair:
            return min(heads, key=lambda request: (request.submitted, request.path))
        return in_turn(heads, self.running.values(), self.conditions())[0]

    def begin(self, request: WaitingRequest) -> None:
        """Start the evaluation of a request."""
        queue, submitter = self.waiting[request.submitter], request.submitter
        queue.popleft()
        since = max(request.submitted, self.last.get(submitter, 0.0))
        self.result.turns[submitter].append(self.now - since)
        if not queue and submitter not in {busy.submitter for busy in self.running.values()}:
            self.result.singles.append(self.now - request.submitted)
        self.last[submitter] = self.now
        self.running[request.path] = RunningAttempt(
            request.path, submitter, path=request.path, size=request.size, suite="x", started=self.now
        )
        heapq.heappush(self.ends, (self.now + self.workload.seconds[request.path], request.path))
        if request.path in self.estimated:
            asked, estimate, expected, turn = self.estimated.pop(request.path)
            self.result.estimates.append((asked, estimate, self.now))
            self.shares[level(turn)].append(share_waited(expected - asked, self.now - asked))


def jain(values: list[float]) -> float:
    """Return Jain's index: 1 if all values are equal, one over their number if one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


if __name__ == "__main__":
    main()
