"""Budgets of the Hub's limits: calls per window, and commits per hour and day in a repo.

Calls. Every response of the Hub reports how many calls are left in the present window. As the window empties, less
urgent calls stop first, so that calls for a person still succeed. `urgency` sets the urgency of the code in its block;
without a block it is PERSON.

Commits. A repo accepts about 128 an hour from all accounts, and each causes a delivery, of which a webhook gets 1,000 a
day. The first commits are immediate; the more there were within the hour, the longer the next one waits and collects
edits. Commits of other accounts reduce the bot's share, because beyond the Hub's limit a repo refuses all commits.

Race accepted: several processes share one window and learn of each other's calls only from the headers of their own
responses. The reserves are larger than the number of their simultaneous calls; a 429 still raises RateLimited.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from hub.errors import RateLimited
from hub.records import RateLimit

HOUR, DAY = 3600.0, 86_400.0
REPO_HOUR = 100
"""Commits of all accounts to one repo in an hour, up to which the bot commits. The Hub accepts 128; the margin allows
for commits of other accounts that the bot learns of late."""
CREDIBLE = 2 * 128
"""A larger number of other accounts' commits is wrong, or the Hub has no such limit: the budget ignores it."""


class Urgency(IntEnum):
    """The reason for a call: a person waits for it, an event caused it, or it is background work."""

    PERSON = 0
    EVENT = 1
    BACKGROUND = 2


RESERVE = {Urgency.PERSON: 0.0, Urgency.EVENT: 0.1, Urgency.BACKGROUND: 0.3}
"""The share of a window that each urgency leaves to more urgent calls."""

_urgency: ContextVar[Urgency] = ContextVar("urgency", default=Urgency.PERSON)


@contextmanager
def urgency(level: Urgency) -> Iterator[None]:
    """Set the urgency of calls inside the block."""
    token = _urgency.set(level)
    try:
        yield
    finally:
        _urgency.reset(token)


class Calls:
    """The budget of calls of one token, from the headers of its responses. Safe to share between threads."""

    def __init__(self, limits: Mapping[str, RateLimit], clock: Callable[[], float] = time.monotonic) -> None:
        """`limits` is `HubSession.limits`: the limits in the newest responses, by resource."""
        self._limits = limits
        self._clock = clock
        self._counted: dict[str, tuple[RateLimit, float, int]] = {}
        """Resource → its newest limit, the time of that response, and the calls sent since."""
        self._lock = threading.Lock()

    def __call__(self, _method: str, route: str) -> None:
        """Count a call before it is sent. Raises RateLimited if the remaining calls are reserved for urgent ones."""
        resource = "resolvers" if route == "resolve" else "api"
        level = _urgency.get()
        with self._lock:
            limit, left, resets = self._left(resource)
            if limit is None or left is None:
                return
            reserve = RESERVE[level] * (limit.quota or 0)
            if level is not Urgency.PERSON and left <= reserve:
                raise RateLimited(
                    f"{left} of {limit.quota} {resource} calls are left for {resets:.0f} s; they are kept for people.",
                    seconds=resets + 1.0,
                    what=resource,
                )
            newest, at, calls = self._counted[resource]
            self._counted[resource] = (newest, at, calls + 1)

    def _left(self, resource: str) -> tuple[RateLimit | None, int | None, float]:
        """Return the newest limit of `resource`, the calls left by local count, and the seconds until it resets."""
        limit, now = self._limits.get(resource), self._clock()
        if limit is None:
            return None, None, 0.0
        counted = self._counted.get(resource)
        if counted is None or counted[0] is not limit:
            # Count from the time of the response: after a quiet hour, its window has ended.
            counted = self._counted[resource] = (limit, now if limit.at is None else limit.at, 0)
        _, at, calls = counted
        resets = at + limit.resets_in - now
        return (limit, limit.remaining - calls, resets) if resets > 0 else (limit, None, 0.0)


@dataclass(frozen=True)
class Commits:
    """The budget of commits to one repo: at most `hour` in any hour and `day` in any day."""

    hour: int = 60
    day: int = 500
    at_once: int = 5
    """Commits within an hour that do not wait for each other."""
    first_wait: float = 0.5
    """Seconds of the shortest wait; waits grow so that a steady stream settles at four fifths of the hourly limit."""
    least: int = 4
    """Commits per hour that are tried even if other accounts use up the limit, so that no edit waits forever."""

    def is_busy(self, times: Sequence[float], now: float) -> bool:
        """Whether the next commit has to wait because there were many commits at `times` within the hour."""
        return sum(time > now - HOUR for time in times) >= self.at_once

    def next(self, times: Sequence[float], now: float, others: int = 0) -> float:
        """Return the earliest time of the next commit after those at `times`; `now` or earlier means immediately.

        `others`: commits of other accounts to the same repo within the last hour, as far as deliveries report them.
        """
        others = others if others <= CREDIBLE else 0
        hour = sorted(time for time in times if time > now - HOUR)
        day = sorted(time for time in times if time > now - DAY)
        if not day:
            return now
        # If an operator sets a limit above the usual one, their Hub allows it.
        limit = min(self.hour, max(self.least, max(self.hour, REPO_HOUR) - others))
        wait = self._wait(len(hour), len(day), limit)
        return max(day[-1] + wait, _freed(hour, limit, HOUR), _freed(day, self.day, DAY))

    def _wait(self, hour: int, day: int, limit: int) -> float:
        calm = 0.8 * limit
        steady = HOUR / calm
        # Other accounts may leave less than the bot has used already; after an hour those commits do not count.
        share = min(hour, limit) / calm
        growing = min(HOUR, self.first_wait * (steady / self.first_wait) ** share) if hour >= self.at_once else 0.0
        # Once half of the daily budget is used, the other half has to last for a whole day.
        sparing = 2 * DAY / self.day if day >= self.day // 2 else 0.0
        return max(growing, sparing)


def _freed(times: Sequence[float], limit: int, window: float) -> float:
    """Return when fewer than `limit` of `times` (oldest first) are within `window`."""
    return times[-limit] + window if len(times) >= limit else float("-inf")
