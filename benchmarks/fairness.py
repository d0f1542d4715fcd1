"""Fair turns against plain first come, first served, and how good the estimates are: the rule itself, simulated.

    python -m benchmarks.fairness [--submitters 500] [--waiting 10000] [--workers 16] [--json]

Two towns. In the crowded one 500 submitters keep 10,000 requests waiting: half of them have one each, the others up to
some hundred, and each submits another whenever one has ended. In the open one people come at random over some weeks,
mostly with one model, now and then with two hundred at once. Evaluations take random times by size.

`jain`, `jain_fifo`: Jain's index of waiting times over the submitters of the crowded town, in fair turns and first
come, first served: how long each waited for a turn, in the mean, since the request came or since the last turn of its
submitter began, whichever is later. 1: all wait alike, however many models they bring.
`first_hours`, `first_hours_fifo`: in the open town, how long a model waited that was its submitter's only one.
`estimate_error`: there, how far the estimate given at submission was off, as a share of the waiting time (median).
`estimate_covered`: there, how often the start came within the range that was given.
`next_ms`, `position_ms`, `estimate_ms`: with all these requests waiting in Redis, just after one of them changed: who
is next, the position of one of them, its estimate (medians). `again_ms`: asked once more, with nothing changed.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import random
import tempfile
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from leaderboard.dispatch import QueueConditions, RunningAttempt, WaitingRequest, WorkerCapacity, in_turn
from leaderboard.estimates import Durations, RunningWork, StartEstimate, WaitExperience, share_waited, starts
from leaderboard.places import level

SIZES = {30: 0.15, 32: 0.4, 33: 0.8, 34: 1.5, 36: 4.0}
"""Size class → hours that an evaluation takes in the mean."""
SPREAD = 0.4
"""Of the logarithm of its duration."""
LOAD = 1.0
"""Work that comes in, against what the workers can do meanwhile: enough for a long queue at all times."""
CROWDS, CROWD = 0.05, 200
"""The share of the submitters who bring so many models at once; the others bring one at a time."""
ASKED = 5
"""One in so many requests is given an estimate."""
ROUNDS = 12
"""Turns that each submitter of the crowded town has, in the mean."""
LOOKS = 40


@dataclass
class Town:
    """Everybody who submits, in the order of submission, and how long each evaluation will take."""

    requests: list[WaitingRequest]
    seconds: dict[str, float]
    measured: Durations
    more: dict[str, deque[WaitingRequest]] = field(default_factory=dict)
    """Submitter → what they submit, one after the other, whenever one of theirs has ended."""


@dataclass
class Run:
    """One simulated order: `turns` are the seconds waited for each turn, by submitter; `singles` those of lone models.

    `estimates`: what was said, and when it really started, by path.
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
    found = {**fairness(options), **speed(options)}
    for name, value in found.items():
        print(f"{name:>18}  {value:10.3f}")
    if options.json:
        print(json.dumps(found))


def fairness(options: argparse.Namespace) -> dict[str, float]:
    """Both orders on the same town."""
    crowded = crowd(options)
    turns = {fair: Simulation(crowded, options.workers, fair=fair).run().turns.values() for fair in (True, False)}
    town = settle(options)
    fair, fifo = (Simulation(town, options.workers, fair=fair).run() for fair in (True, False))
    late = [one for one in fair.estimates if one[2] - one[0] > 60]
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


def crowd(options: argparse.Namespace) -> Town:
    """A town in which everybody always has something waiting: every other submitter one request, the others many."""
    chance, classes = random.Random(options.seed), list(SIZES)
    many = range(1, options.submitters, 2)
    shares = [1 / (rank + 1) ** 0.5 for rank in range(len(many))]
    extra = Counter(chance.choices(many, shares, k=max(0, options.waiting - options.submitters)))
    requests: list[WaitingRequest] = []
    more: dict[str, deque[WaitingRequest]] = {}
    for who in range(options.submitters):
        came = chance.uniform(0, 3600)
        made = [
            WaitingRequest(f"s{who}/m{one}", "", f"s{who}", came, size=chance.choice(classes), suite="x")
            for one in range(1 + extra[who] + ROUNDS * (1 + extra[who] // 8))
        ]
        requests += made[: 1 + extra[who]]
        more[f"s{who}"] = deque(made[1 + extra[who] :])
    requests.sort(key=lambda one: (one.submitted, one.path))
    everyone = [*requests, *(one for queue in more.values() for one in queue)]
    return Town(requests, {one.path: _lasts(chance, one.size) for one in everyone}, Durations(), more)


def settle(options: argparse.Namespace) -> Town:
    """A town in which half of the models come in crowds, at random times, from few submitters."""
    chance, classes = random.Random(options.seed), list(SIZES)
    horizon = options.requests * fmean(SIZES.values()) * 3600 / options.workers / LOAD
    crowded = max(1, int(options.submitters * CROWDS))
    requests: list[WaitingRequest] = []
    while len(requests) < options.requests:
        is_crowd = len(requests) > 0 and chance.random() < 1 / CROWD
        who = f"s{chance.randrange(crowded) if is_crowd else chance.randrange(crowded, options.submitters)}"
        came = chance.uniform(0, horizon)
        for _ in range(CROWD if is_crowd else 1):
            path, size = f"{who}/m{len(requests)}", chance.choice(classes)
            requests.append(WaitingRequest(path, path, who, came, size=size, suite="x"))
    requests.sort(key=lambda one: (one.submitted, one.path))
    seconds = {one.path: _lasts(chance, one.size) for one in requests}
    return Town(
        requests, seconds, Durations({("x", size): [_lasts(chance, size) for _ in range(60)] for size in classes})
    )


class Simulation:
    """One town, its workers, and an order."""

    def __init__(self, town: Town, workers: int, *, fair: bool) -> None:
        self.town, self.workers, self.fair = town, workers, fair
        self.now = 0.0
        self.found = Run()
        self.waiting: dict[str, deque[WaitingRequest]] = defaultdict(deque)
        """Submitter → what waits of theirs, oldest first."""
        self.ends: list[tuple[float, str]] = []
        self.running: dict[str, RunningAttempt] = {}
        self.last: dict[str, float] = {}
        self.told: dict[str, tuple[float, StartEstimate, float, int]] = {}
        self.shares: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=60))

    def run(self) -> Run:
        """Until nobody waits; where everybody submits again and again, for as many rounds as they can."""
        coming, more = deque(self.town.requests), {who: deque(queue) for who, queue in self.town.more.items()}
        turns = ROUNDS * len(more) if more else len(self.town.requests)
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
            while len(self.ends) < self.workers and (one := self.next()) is not None:
                self.begin(one)
                turns -= 1
        return self.found

    def come(self, fresh: list[WaitingRequest]) -> None:
        """Some are submitted, and one in a few is told when it should start."""
        for one in fresh:
            self.waiting[one.submitter].append(one)
        asked = [one for one in fresh if int(one.path.rpartition("m")[2]) % ASKED == 0]
        if not self.fair or not asked or not self.town.measured.measured:
            return
        order = in_turn(
            [one for queue in self.waiting.values() for one in queue], self.running.values(), self.conditions()
        )
        works = [RunningWork("x", busy.size, self.now - busy.started) for busy in self.running.values()]
        begin = starts(order, works, self.workers, self.town.measured, self.now)
        place = {one.path: at for at, one in enumerate(order)}
        known = WaitExperience({at: list(shares) for at, shares in self.shares.items()})
        for one in asked:
            turn = list(self.waiting[one.submitter]).index(one) + 1
            estimated_start = begin[place[one.path]]
            said = known.applied(estimated_start, turn, self.now)
            self.told[one.path] = (self.now, said, estimated_start.expected, turn)

    def conditions(self) -> QueueConditions:
        """What applies now."""
        return QueueConditions(turns=self.last, capacities=(WorkerCapacity(),))

    def next(self) -> WaitingRequest | None:
        """Whose turn it is: one of those who are first of their submitters."""
        heads = [queue[0] for queue in self.waiting.values() if queue]
        if not heads:
            return None
        if not self.fair:
            return min(heads, key=lambda one: (one.submitted, one.path))
        return in_turn(heads, self.running.values(), self.conditions())[0]

    def begin(self, one: WaitingRequest) -> None:
        """A worker takes it."""
        queue, who = self.waiting[one.submitter], one.submitter
        queue.popleft()
        since = max(one.submitted, self.last.get(who, 0.0))
        self.found.turns[who].append(self.now - since)
        if not queue and who not in {busy.submitter for busy in self.running.values()}:
            self.found.singles.append(self.now - one.submitted)
        self.last[who] = self.now
        self.running[one.path] = RunningAttempt(
            one.path, who, path=one.path, size=one.size, suite="x", started=self.now
        )
        heapq.heappush(self.ends, (self.now + self.town.seconds[one.path], one.path))
        if one.path in self.told:
            asked, said, expected, turn = self.told.pop(one.path)
            self.found.estimates.append((asked, said, self.now))
            self.shares[level(turn)].append(share_waited(expected - asked, self.now - asked))


def jain(values: list[float]) -> float:
    """Jain's index: 1 where all are alike, one over their number where one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def _lasts(chance: random.Random, size: int) -> float:
    return SIZES[size] * 3600 * chance.lognormvariate(-SPREAD * SPREAD / 2, SPREAD)


def speed(options: argparse.Namespace) -> dict[str, float]:
    """The real path, from Redis to the answer."""
    from steward.valkey import Valkey

    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder, Valkey(Path(folder)) as server:
        context, entries = _desk(server.url, options)
        return _timed(context, entries, options)


def _desk(url: str, options: argparse.Namespace) -> tuple[Any, list[Any]]:
    from benchmarks.simulated_board import board_of
    from bot.core.context import BoardContext
    from hub.client import Hub
    from leaderboard.suites import find_suite
    from redis_state.board.entry import IndexEntry
    from redis_state.heartbeats import WorkerCard
    from redis_state.redis import connect

    options.attempts, options.threads = 1, "never"
    chance, now = random.Random(options.seed), time.time()
    context = BoardContext(
        board_of(options), find_suite("starter"), Hub("http://127.0.0.1:9", None), connect(url), now=time.time
    )
    entries = [
        IndexEntry(
            path=f"org-{number % 997}/model-{number}_eval_request_False_bfloat16_Original.json",
            state="waiting",
            attempt=f"{number:012x}-aaaaaaaa-1",
            submitter=f"s{chance.randrange(options.submitters)}",
            submitted=now - chance.uniform(0, 1e6),
            size=chance.choice(list(SIZES)),
            place=number + 1,
        )
        for number in range(options.waiting)
    ]
    for at in range(0, len(entries), 1_000):
        context.index.put(*entries[at : at + 1_000])
    for size in SIZES:
        for _ in range(60):
            context.measures.learn("", size, _lasts(chance, size))
    for number in range(options.workers):
        context.workers.announce(WorkerCard(name=f"w{number}", tiers=("all",), since=now, beat=now))
    return context, entries


def _timed(context: Any, entries: list[Any], options: argparse.Namespace) -> dict[str, float]:
    from bot.read_models.queue_snapshot import take_snapshot
    from leaderboard.dispatch import choose

    chance = random.Random(options.seed)
    take_snapshot(context).outlook(entries[0].path)
    gc.freeze()  # what only this measurement holds, no process of a board has to look through
    times: dict[str, list[float]] = defaultdict(list)

    def timed(name: str, ask: Any) -> Any:
        started = time.perf_counter()
        answer = ask()
        times[name].append(1_000 * (time.perf_counter() - started))
        return answer

    def next_to_run() -> Any:
        line = take_snapshot(context)
        return choose(line.turns, line.running, line.conditions)

    for _ in range(LOOKS):
        for name, ask in {
            "next_ms": lambda _: next_to_run(),
            "position_ms": lambda path: take_snapshot(context).positions[path],
            "estimate_ms": lambda path: take_snapshot(context).outlook(path),
        }.items():
            entry = chance.choice(entries)
            changed = chance.choice(entries)
            context.index.put(changed.model_copy(update={"submitted": time.time()}))
            timed(name, lambda ask=ask, entry=entry: ask(entry.path))
        timed("again_ms", lambda entry=entry: take_snapshot(context).outlook(entry.path))
    return {name: round(median(found), 1) for name, found in times.items()}


if __name__ == "__main__":
    main()
