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

Activity = Generator[float, None, None]
"""A simulated activity, which yields the seconds until it continues."""
Ending = Literal["well", "broken", "disk full", "killed"]
EPOCH = 1_800_000_000.0
"""The simulated time at the start of a scenario."""
NEVER = float("inf")
SHARE_SECONDS = 900.0
"""Seconds between two uploads of a running evaluation's answers (the default of STEWARD_SHARE_SECONDS)."""
RESUMPTION = 0.04
"""The share of an evaluation that an attempt that continues it computes again (`benchmarks.resume`: 2 to 5 %)."""
ANYWHERE = ""
"""The key of uploaded answers, in place of a machine: every machine can continue with them."""


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
        self._turns: list[tuple[float, int, Activity]] = []
        self._count = itertools.count()

    def add(self, activity: Activity, at: float) -> None:
        """Start `activity` at the time `at`."""
        heapq.heappush(self._turns, (at, next(self._count), activity))

    def next_moment(self) -> float:
        """Return the time of the next event."""
        return self._turns[0][0] if self._turns else NEVER

    def continue_due(self, now: float) -> bool:
        """Continue all activities that are due, and return whether there were any."""
        some = False
        while self.next_moment() <= now:
            _, _, activity = heapq.heappop(self._turns)
            some = True
            for seconds in activity:
                self.add(activity, now + seconds)
                break
        return some


@dataclass(frozen=True)
class EvaluationTry:
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
    tries: list[EvaluationTry] = field(default_factory=list)
    published: dict[str, float] = field(default_factory=dict)
    """The time of the first scores on the Hub, by path of the request."""
    answers: dict[str, dict[str, float]] = field(default_factory=dict)
    """Path of a request → machine, or ANYWHERE → the seconds of computation whose answers an ended evaluation left."""

    def begin(self, submission: Submission, now: float, machine: str | None = None) -> EvaluationTry:
        """Start an evaluation of `submission`, and return its duration and end.

        On a named `machine` it goes on where an earlier one of the same submission ended, as far as answers are left.
        """
        endings = [earlier.ending for earlier in self.tries if earlier.submission == submission]
        left = self._left(submission, machine)
        begun = EvaluationTry(submission, now, left, "well")
        if submission.number in self.scenario.deaths and not endings:
            begun = EvaluationTry(submission, now, left / 2, "killed", REPAIR)
        elif submission.fate == "broken":
            begun = EvaluationTry(submission, now, left / 4, "broken")
        elif submission.fate == "unlucky" and "disk full" not in endings:
            begun = EvaluationTry(submission, now, left / 4, "disk full")
        self.tries.append(begun)
        if machine is not None:
            self._keep_answers(begun, machine)
        return begun

    def _left(self, submission: Submission, machine: str | None) -> float:
        """Return the seconds that an evaluation takes: the whole of it without answers of an earlier one."""
        answers = self.answers.get(submission.path, {}) if machine is not None else {}
        known = max((seconds for where, seconds in answers.items() if where in (machine, ANYWHERE)), default=0.0)
        return submission.seconds - known + (RESUMPTION * submission.seconds if known else 0.0)

    def _keep_answers(self, begun: EvaluationTry, machine: str) -> None:
        """Record the answers that an evaluation leaves: all on its own machine, the uploaded ones for any machine."""
        whole, answers = begun.submission.seconds, self.answers.setdefault(begun.submission.path, {})
        before = whole - self._left(begun.submission, machine)
        answers[machine] = max(answers.get(machine, 0.0), before + begun.seconds)
        uploaded = begun.seconds // SHARE_SECONDS * SHARE_SECONDS
        if uploaded:
            answers[ANYWHERE] = max(answers.get(ANYWHERE, 0.0), before + uploaded)

    def publish(self, submission: Submission, now: float) -> None:
        """Record that the scores of `submission` are on the Hub."""
        self.published.setdefault(submission.path, now)


class Environment:
    """The Hub of all peers, its clock, and the people who submit to all boards at the same times."""

    def __init__(self, hub: Any, scenario: Scenario) -> None:
        self.hub = hub
        self.scenario = scenario
        self.by_path = {submission.path: submission for submission in scenario.submissions}
        self.is_away = False

    @property
    def now(self) -> float:
        """Simulated seconds since the epoch."""
        return float(self.hub.state.clock.seconds())

    def iso(self) -> str:
        """Return the simulated time as ISO text."""
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def play(self, peers: list[Peer], people: Activity) -> dict[str, tuple[float, int]]:
        """Simulate the day; return for each peer the end of its last request, and its number of calls to the Hub."""
        table, ended = Timetable(), dict[str, tuple[float, int]]()
        table.add(people, self.now)
        if self.scenario.outage is not None:
            table.add(self._outage(*self.scenario.outage), EPOCH + self.scenario.outage[0])
        over = EPOCH + self.scenario.hours * 3600
        while len(ended) < len(peers):
            at_work = [peer for peer in peers if peer.name not in ended]
            self._advance_to(
                min(table.next_moment(), over if self.now < over else NEVER, *(peer.next_moment() for peer in at_work))
            )
            table.continue_due(self.now)
            for peer in at_work:
                peer.act()
                if self.now >= over and peer.has_ended():
                    ended[peer.name] = (self.now, self._calls(peer))
        return ended

    def _advance_to(self, moment: float) -> None:
        self.hub.state.clock.advance(max(0.0, moment - self.now))

    def _outage(self, begins: float, ends: float) -> Activity:
        """Let the Hub answer every call with 503 for a while."""
        self.is_away = True
        rule = self.hub.state.faults.fail("*", times=None, status=503)
        yield ends - begins
        self.hub.state.faults.remove(rule.id)
        self.is_away = False

    def _calls(self, peer: Peer) -> int:
        """Return the number of a peer's calls to the Hub so far."""
        calls = self.hub.state.stats.read()["calls"]
        return sum(call["count"] for call in calls if call["account"] in peer.accounts)
