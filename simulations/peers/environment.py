"""The environment of all peers: one simulated clock, one Hub, and equal machines with a record of their use.

The clock jumps to the time of the next event, so that a day takes minutes, and the speed of the real machine does not
affect any peer.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from simulations.peers.scenario import REPAIR, Scenario, Submission

Life = Generator[float, None, None]
"""A simulated activity, which yields the seconds until it continues."""
Ending = Literal["well", "broken", "disk full", "killed"]
EPOCH = 1_800_000_000.0
"""The simulated time at the start of a scenario."""
NEVER = float("inf")


class Peer(Protocol):
    """One way of running a board."""

    name: str
    board: str
    accounts: tuple[str, ...]

    def next_moment(self) -> float: ...
    def act(self) -> None: ...
    def has_ended(self) -> bool: ...
    def close(self) -> None: ...


class Timetable:
    """The times at which activities continue."""

    def __init__(self) -> None:
        self._turns: list[tuple[float, int, Life]] = []
        self._count = itertools.count()

    def add(self, life: Life, at: float) -> None:
        """Start `life` at the time `at`."""
        heapq.heappush(self._turns, (at, next(self._count), life))

    def next_moment(self) -> float:
        """Return the time of the next event."""
        return self._turns[0][0] if self._turns else NEVER

    def go_on(self, now: float) -> bool:
        """Continue all activities that are due, and return whether there were any."""
        some = False
        while self.next_moment() <= now:
            _, _, life = heapq.heappop(self._turns)
            some = True
            for seconds in life:
                self.add(life, now + seconds)
                break
        return some


@dataclass(frozen=True)
class Try:
    """One evaluation on one machine: it ends after `seconds` as `ending`; after `repair` more the machine is free."""

    submission: Submission
    began: float
    seconds: float
    ending: Ending
    repair: float = 0.0


@dataclass
class Machines:
    """The machines of one peer, which are the scarce resource."""

    scenario: Scenario
    tries: list[Try] = field(default_factory=list)
    published: dict[str, float] = field(default_factory=dict)
    """The time of the first scores on the Hub, by path of the request."""
    dead: int = 0

    def begin(self, submission: Submission, now: float) -> Try:
        """Start an evaluation of `submission`, and return its duration and end."""
        earlier = [one for one in self.tries if one.submission == submission and one.ending != "killed"]
        begun = Try(submission, now, submission.seconds, "well")
        if self.dead < len(self.scenario.deaths) and self.scenario.deaths[self.dead] <= now - EPOCH:
            self.dead += 1
            begun = Try(submission, now, submission.seconds / 2, "killed", REPAIR)
        elif submission.fate == "broken":
            begun = Try(submission, now, submission.seconds / 4, "broken")
        elif submission.fate == "unlucky" and not earlier:
            begun = Try(submission, now, submission.seconds / 4, "disk full")
        self.tries.append(begun)
        return begun

    def publish(self, submission: Submission, now: float) -> None:
        """Record that the scores of `submission` are on the Hub."""
        self.published.setdefault(submission.path, now)


class Lab:
    """The Hub of all peers, its clock, and the people who submit to all boards at the same times."""

    def __init__(self, hub: Any, scenario: Scenario) -> None:
        self.hub = hub
        self.scenario = scenario
        self.by_path = {one.path: one for one in scenario.submissions}
        self.is_away = False

    @property
    def now(self) -> float:
        """Simulated seconds since the epoch."""
        return float(self.hub.state.clock.seconds())

    def iso(self) -> str:
        """The same as ISO text."""
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def play(self, peers: list[Peer], people: Life) -> dict[str, tuple[float, int]]:
        """Simulate the day; return for each peer the end of its last request, and its number of calls to the Hub."""
        table, ended = Timetable(), dict[str, tuple[float, int]]()
        table.add(people, self.now)
        table.add(self._outage(), EPOCH + self.scenario.outage[0])
        over = EPOCH + self.scenario.hours * 3600
        while len(ended) < len(peers):
            at_work = [peer for peer in peers if peer.name not in ended]
            self._turn_to(
                min(table.next_moment(), over if self.now < over else NEVER, *(peer.next_moment() for peer in at_work))
            )
            table.go_on(self.now)
            for peer in at_work:
                peer.act()
                if self.now >= over and peer.has_ended():
                    ended[peer.name] = (self.now, self._calls(peer))
        return ended

    def _turn_to(self, moment: float) -> None:
        self.hub.state.clock.advance(max(0.0, moment - self.now))

    def _outage(self) -> Life:
        """Let the Hub answer every call with 503 for a while."""
        self.is_away = True
        rule = self.hub.state.faults.fail("*", times=None, status=503)
        yield self.scenario.outage[1] - self.scenario.outage[0]
        self.hub.state.faults.remove(rule.id)
        self.is_away = False

    def _calls(self, peer: Peer) -> int:
        """Return the number of a peer's calls to the Hub so far."""
        calls = self.hub.state.stats.read()["calls"]
        return sum(call["count"] for call in calls if call["account"] in peer.accounts)
