"""The counts of `leaderboard.timings` in Redis: one hash per day, for the last MAX_DAYS days.

A loss of Redis loses the counts; they start over, and pages show since when they count.

Race closed: two syncs count the start, or the end, of one attempt. One script counts each once, by the attempt's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leaderboard.timings import ENDS, LAST, SLOT, DayCounts, End, SpanKey, What, bin_of, day_of
from redis_state.keys import Keys
from redis_state.redis import Redis, text

MAX_DAYS = 100
"""Days with stored counts."""
COUNTED_SECONDS = 30 * 86_400.0
"""Seconds for which counted attempts are remembered: more than twice as long as an attempt may take."""
SEPARATOR = "|"

COUNT = """
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1]) == 0 then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
for at = 5, #ARGV do redis.call('HINCRBY', KEYS[2], ARGV[at], 1) end
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 1
"""


class Timings:
    """The counts of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._count = redis.register_script(COUNT)
        self._sampled = -1

    def waited(self, attempt: str, seconds: float, *, tier: str, precision: str, now: float) -> bool:
        """Count the start of `attempt` after a wait of `seconds`; False if it was counted already."""
        return self._once(f"began {attempt}", [_span("waiting", tier, precision, seconds)], now)

    def ended(
        self, attempt: str, end: End, *, seconds: float | None = None, tier: str, precision: str, now: float
    ) -> bool:
        """Count the end of `attempt`; `seconds` is its duration, if it finished. False if it was counted already."""
        spans = [] if seconds is None else [_span("running", tier, precision, seconds)]
        return self._once(f"ended {attempt}", [f"end{SEPARATOR}{end}", *spans], now)

    def _once(self, name: str, fields: Iterable[str], now: float) -> bool:
        keys = [self._keys.timed, self._keys.timings(day_of(now))]
        return bool(self._count(keys=keys, args=[name, now, now - COUNTED_SECONDS, MAX_DAYS * 86_400, *fields]))

    def sample(self, *, waiting: int, running: int, now: float) -> None:
        """Record the length of the queue, once every SLOT seconds."""
        slot = int(now // SLOT)
        if slot == self._sampled:
            return
        name = self._keys.timings(day_of(now))
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(name, f"queue{SEPARATOR}{int(now % 86_400 // SLOT)}", f"{waiting} {running}")
            pipe.expire(name, MAX_DAYS * 86_400)
            pipe.execute()
        self._sampled = slot

    def read(self, numbers: Sequence[int]) -> list[Mapping[str, str]]:
        """The stored counts of these days. One round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for number in numbers:
                pipe.hgetall(self._keys.timings(number))
            days: list[Any] = pipe.execute()
        return [{text(name): text(value) for name, value in day.items()} for day in days]


def _span(what: What, tier: str, precision: str, seconds: float) -> str:
    return SEPARATOR.join((what, tier, precision, str(bin_of(seconds))))


def day_from(number: int, fields: Mapping[str, str]) -> DayCounts:
    """Parse the counts of a day; skips fields that another version wrote and this one does not know."""
    spans: dict[SpanKey, dict[int, int]] = {}
    ended: dict[End, int] = {}
    queue: dict[int, tuple[int, int]] = {}
    for name, value in fields.items():
        match name.split(SEPARATOR):
            case ["waiting" | "running" as what, tier, precision, at] if _in(at, LAST + 1) and value.isdecimal():
                spans.setdefault(SpanKey(what, tier, precision), {})[int(at)] = int(value)
            case ["end", end] if end in ENDS and value.isdecimal():
                ended[end] = int(value)
            case ["queue", slot] if _in(slot, int(86_400 / SLOT)):
                waiting, _, running = value.partition(" ")
                if waiting.isdecimal() and running.isdecimal():
                    queue[int(slot)] = (int(waiting), int(running))
    return DayCounts(number, spans, ended, queue)


def _in(word: str, end: int) -> bool:
    return word.isdecimal() and len(word) < 9 and int(word) < end
