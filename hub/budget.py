"""What may be spent: calls in the Hub's windows, and commits in a repo's hour and day.

Calls. The Hub says with every answer how many calls are left in the present window. As it empties, those whom nobody
waits for stop first, so that a person's answer finds a call left: `urgency` says, for the code inside its block, who
waits. Without a block it is a person.

Commits. A repo takes some 128 an hour, whoever makes them, and each comes back as a delivery, of which a webhook has
1,000 a day. The first commits go out at once; the more there were within the hour, the longer the next one waits and
gathers edits. What people commit in a busy hour comes out of ours: beyond the Hub's limit a repo is closed to all.

Race accepted: several processes spend from one window and hear of each other only from their own answers' headers. The
reserves are large against what all of them can have under way at once; a 429 all the same is told as such.
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
"""Commits to one repo in an hour, of everybody, up to which ours go out. The Hub takes 128; of those of others we know
only about how many there were, and of some we hear late."""
CREDIBLE = 2 * 128
"""More commits of others than this did not happen, or this Hub has no such limit: they are not held against ours."""


class Urgency(IntEnum):
    """Who waits for a call."""

    PERSON = 0
    EVENT = 1
    BACKGROUND = 2


RESERVE = {Urgency.PERSON: 0.0, Urgency.EVENT: 0.1, Urgency.BACKGROUND: 0.3}
"""The share of a window that each leaves to the more urgent ones."""

_urgency: ContextVar[Urgency] = ContextVar("urgency", default=Urgency.PERSON)


@contextmanager
def urgency(who: Urgency) -> Iterator[None]:
    """Calls inside the block are made for `who`."""
    token = _urgency.set(who)
    try:
        yield
    finally:
        _urgency.reset(token)


class Calls:
    """The budget of calls of one token, as the headers of its answers tell it. Safe to share between threads."""

    def __init__(self, limits: Mapping[str, RateLimit], clock: Callable[[], float] = time.monotonic) -> None:
        """`limits` is `Session.limits`: what the newest answers said, by resource."""
        self._limits = limits
        self._clock = clock
        self._heard: dict[str, tuple[RateLimit, float, int]] = {}
        self._lock = threading.Lock()

    def __call__(self, _method: str, route: str) -> None:
        """Count a call that is about to leave. Raises RateLimited where what is left is kept for others."""
        resource = "resolvers" if route == "resolve" else "api"
        who = _urgency.get()
        with self._lock:
            limit, left, resets = self._left(resource)
            if limit is None or left is None:
                return
            reserve = RESERVE[who] * (limit.quota or 0)
            if who is not Urgency.PERSON and left <= reserve:
                raise RateLimited(
                    f"{left} of {limit.quota} {resource} calls are left for {resets:.0f} s; they are kept for people.",
                    seconds=resets + 1.0,
                    what=resource,
                )
            heard, at, since = self._heard[resource]
            self._heard[resource] = (heard, at, since + 1)

    def _left(self, resource: str) -> tuple[RateLimit | None, int | None, float]:
        """The newest word on `resource`, what is left of it by our count, and in how many seconds it starts anew."""
        limit, now = self._limits.get(resource), self._clock()
        if limit is None:
            return None, None, 0.0
        known = self._heard.get(resource)
        if known is None or known[0] is not limit:
            # From the answer on: after a quiet hour its window is long over.
            known = self._heard[resource] = (limit, now if limit.at is None else limit.at, 0)
        _, at, since = known
        resets = at + limit.resets_in - now
        return (limit, limit.remaining - since, resets) if resets > 0 else (limit, None, 0.0)


@dataclass(frozen=True)
class Commits:
    """How many commits a repo gets: never more than `hour` in any hour and `day` in any day."""

    hour: int = 60
    day: int = 500
    at_once: int = 5
    """So many within an hour do not wait for each other."""
    first_wait: float = 0.5
    """Seconds; the waits grow from here, so that a steady stream settles at four fifths of what an hour may hold."""
    least: int = 4
    """So many an hour are tried however many others commit: nothing waits for ever on what a count says."""

    def is_busy(self, times: Sequence[float], now: float) -> bool:
        """Whether the next commit will have to wait for those at `times`, because there were many within the hour."""
        return sum(time > now - HOUR for time in times) >= self.at_once

    def next(self, times: Sequence[float], now: float, others: int = 0) -> float:
        """When the next one may be made (up to `now`: at once), after those at `times`, of which none is later.

        `others`: commits of other people to the same repo within the last hour, as far as deliveries tell.
        """
        others = others if others <= CREDIBLE else 0
        hour = sorted(time for time in times if time > now - HOUR)
        day = sorted(time for time in times if time > now - DAY)
        if not day:
            return now
        # Who sets more for us than the Hub takes has a Hub that takes more.
        most = min(self.hour, max(self.least, max(self.hour, REPO_HOUR) - others))
        wait = self._wait(len(hour), len(day), most)
        return max(day[-1] + wait, _freed(hour, most, HOUR), _freed(day, self.day, DAY))

    def _wait(self, hour: int, day: int, most: int) -> float:
        calm = 0.8 * most
        steady = HOUR / calm
        # A crowd of others may leave less than we made already; and after an hour nothing of it counts any more.
        share = min(hour, most) / calm
        growing = min(HOUR, self.first_wait * (steady / self.first_wait) ** share) if hour >= self.at_once else 0.0
        # With half of the day's share gone, the other half is made to last for a whole day.
        sparing = 2 * DAY / self.day if day >= self.day // 2 else 0.0
        return max(growing, sparing)


def _freed(times: Sequence[float], most: int, window: float) -> float:
    """When fewer than `most` of `times` (oldest first) lie within `window`."""
    return times[-most] + window if len(times) >= most else float("-inf")
