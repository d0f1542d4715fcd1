"""Shadowed writes: a bounded list of effects that the bot decided on but did not carry out, each listed once.

A sync whose effect is off makes the same decision each time it runs, so each write has an id derived from its content,
and is listed only if the id is new. Redis also stores the keys whose syncs were held back, and the board's effects at
that time: when the effects change, the keys are marked dirty, and their syncs carry out what is still due.

Race closed: a sync that was marked because the effects changed is held back again before `release` removes it. Only
keys held back under other effects are removed.
Accepted: Redis loses the list. The next syncs list again what is still due.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from redis_state.keys import Keys
from redis_state.redis import Redis, text

MAX_LENGTH = 10_000
"""Writes that are listed; the oldest are dropped first."""
MAX_TEXT = 2_000

ADD = """
if redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[1]) == 0 then return 0 end
for i = 5, #ARGV do redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[i]) end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - 2 * ARGV[4])
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[4], '*', 'would', ARGV[3])
return 1
"""

RELEASE = """
for n = 2, #ARGV do
  if redis.call('HGET', KEYS[1], ARGV[n]) ~= ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[n]) end
end
"""


class ShadowedWrite(BaseModel):
    """One effect that was not carried out. `repo` is `dataset/owner/name`; `at` in seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    effect: str
    repo: str
    does: str = Field(description="one line, for people")
    path: str = Field(default="", description="the file that it is about")
    thread: int | None = None
    status: str = Field(default="", description="that a request file would have had")
    text: str = Field(default="", description="of a comment, or what a file would have held")
    at: float = 0.0

    def shortened(self) -> ShadowedWrite:
        """The same with at most MAX_TEXT characters of text."""
        return self.model_copy(update={"text": self.text[:MAX_TEXT]})


class ShadowPage(BaseModel):
    """A part of the list: `things` newest first, of `count` in all."""

    model_config = ConfigDict(frozen=True)

    things: list[ShadowedWrite]
    count: int


class ShadowList:
    """The shadowed writes of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._add = redis.register_script(ADD)
        self._release = redis.register_script(RELEASE)

    def add(self, shadowed: ShadowedWrite, *aliases: str) -> bool:
        """List `shadowed`; False if its id is listed. Later writes with one of the ids `aliases` are not listed."""
        keys = [self._keys.shadow, self._keys.shadow_ids]
        body = shadowed.shortened().model_dump_json(exclude_defaults=True)
        return bool(self._add(keys=keys, args=[shadowed.id, shadowed.at, body, MAX_LENGTH, *aliases]))

    def read(self, *, limit: int = MAX_LENGTH) -> ShadowPage:
        """The newest `limit` writes."""
        with self._redis.pipeline() as pipe:
            pipe.xrevrange(self._keys.shadow, count=limit)
            pipe.xlen(self._keys.shadow)
            entries, count = pipe.execute()
        return ShadowPage(things=[shadowed for shadowed in map(_parsed, entries) if shadowed is not None], count=count)

    def clear(self) -> None:
        """Empty the list; syncs list again what is still due."""
        self._redis.delete(self._keys.shadow, self._keys.shadow_ids)

    def hold_back(self, key: str, effects: str) -> None:
        """Record that the board's `effects` (any text that names them) held back a part of this key's sync."""
        self._redis.hset(self._keys.held_back, key, effects)

    def held_back(self, effects: str) -> list[str]:
        """The dirty keys that were held back under effects other than these."""
        held = self._redis.hgetall(self._keys.held_back)
        return sorted(text(key) for key, recorded in held.items() if text(recorded) != effects)

    def release(self, keys: Iterable[str], effects: str) -> None:
        """Remove keys that were marked dirty, except those that a sync held back under these `effects` meanwhile."""
        if chosen := list(keys):
            self._release(keys=[self._keys.held_back], args=[effects, *chosen])


def _parsed(entry: Any) -> ShadowedWrite | None:
    """Parse one entry of the stream; None if another version wrote it."""
    try:
        return ShadowedWrite.model_validate_json(entry[1][b"would"])
    except (KeyError, ValidationError):
        return None
