"""One clock, one Hub and the same machines for every peer; what each of them made the machines do, and when.

The clock is turned: it jumps to the next moment at which something happens, so that a day takes minutes, and no peer
loses time by the slowness of the machine that all this runs on.
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
"""What somebody does, one moment after another: it yields how many seconds it waits before it goes on."""
Ending = Literal["well", "broken", "disk full", "killed"]
EPOCH = 1_800_000_000.0
"""What the clocks show when a scenario begins."""
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
    """Who goes on when."""

    def __init__(self) -> None:
        self._turns: list[tuple[float, int, Life]] = []
        self._count = itertools.count()

    def add(self, life: Life, at: float) -> None:
        """Let `life` begin at that time."""
        heapq.heappush(self._turns, (at, next(self._count), life))

    def next_moment(self) -> float:
        """When the next one goes on."""
        return self._turns[0][0] if self._turns else NEVER

    def go_on(self, now: float) -> bool:
        """Let everybody go on whose time has come; whether there was one."""
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
    """One evaluation on one machine; `seconds` until it ends as `ending` says, and then `repair` until it is back."""

    submission: Submission
    began: float
    seconds: float
    ending: Ending
    repair: float = 0.0


@dataclass
class Machines:
    """The machines of one peer: they are what is scarce."""

    scenario: Scenario
    tries: list[Try] = field(default_factory=list)
    published: dict[str, float] = field(default_factory=dict)
    """Path of a request → when its scores first lay on the Hub."""
    dead: int = 0

    def begin(self, submission: Submission, now: float) -> Try:
        """A machine begins to evaluate `submission`: how long it will take, and how it will end."""
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
        """The scores of `submission` lie on the Hub."""
        self.published.setdefault(submission.path, now)


class Lab:
    """The Hub of all peers, its clock, and the people who submit to each board at the same moments."""

    def __init__(self, hub: Any, scenario: Scenario) -> None:
        self.hub = hub
        self.scenario = scenario
        self.by_path = {one.path: one for one in scenario.submissions}
        self.is_away = False

    @property
    def now(self) -> float:
        """Seconds since the epoch, by the clock of all."""
        return float(self.hub.state.clock.seconds())

    def iso(self) -> str:
        """The same, as people write it."""
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def play(self, peers: list[Peer], people: Life) -> dict[str, tuple[float, int]]:
        """Let the day pass for all; peer → when the last of its requests had ended, and what it asked of the Hub."""
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
        """The Hub answers every call with 503 for a while."""
        self.is_away = True
        rule = self.hub.state.faults.fail("*", times=None, status=503)
        yield self.scenario.outage[1] - self.scenario.outage[0]
        self.hub.state.faults.remove(rule.id)
        self.is_away = False

    def _calls(self, peer: Peer) -> int:
        """What a peer asked of the Hub so far."""
        calls = self.hub.state.stats.read()["calls"]
        return sum(call["count"] for call in calls if call["account"] in peer.accounts)
