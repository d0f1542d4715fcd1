"""What the bot would have done: a bounded list, each thing once, however often its sync comes to the same end.

Syncs are repeated, and a sync whose effect does not happen decides the same every time. So each thing has an id that
follows from what it is, and is listed when the id is new. Beside the list lie the keys whose syncs were held back, and
under which effects: when those change, the keys are marked dirty, and what is still true then is done.

Race closed: a sync that was marked because the effects changed is held back again, before the list says that it was
marked. Only what was held back under other effects is taken off.
Accepted: Redis is lost, and the list with it. What is still true is listed again by the syncs that follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from redis_state.keys import Keys
from redis_state.redis import Redis, text

MAX_LENGTH = 10_000
"""Things that are listed at most; the oldest go first."""
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
    """One thing that would have been done. `repo` reads `dataset/owner/name`; `at` in seconds since the epoch."""

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


class ShadowPage(BaseModel):
    """The list as it is read: `things` newest first, of `count` in all."""

    model_config = ConfigDict(frozen=True)

    things: list[ShadowedWrite]
    count: int


class ShadowList:
    """The list of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._add = redis.register_script(ADD)
        self._release = redis.register_script(RELEASE)

    def add(self, shadowed: ShadowedWrite, *aliases: str) -> bool:
        """List `would`; False where it is listed already. What has one of the ids `aliases` is not listed later."""
        keys = [self._keys.shadow, self._keys.shadow_ids]
        body = shadowed.model_copy(update={"text": shadowed.text[:MAX_TEXT]}).model_dump_json(exclude_defaults=True)
        return bool(self._add(keys=keys, args=[shadowed.id, shadowed.at, body, MAX_LENGTH, *aliases]))

    def read(self, *, limit: int = MAX_LENGTH) -> ShadowPage:
        """The newest `limit` things."""
        with self._redis.pipeline() as pipe:
            pipe.xrevrange(self._keys.shadow, count=limit)
            pipe.xlen(self._keys.shadow)
            entries, count = pipe.execute()
        return ShadowPage(things=[shadowed for shadowed in map(_parsed, entries) if shadowed is not None], count=count)

    def clear(self) -> None:
        """Forget all of it; what is still true is listed again when its sync runs."""
        self._redis.delete(self._keys.shadow, self._keys.shadow_ids)

    def hold_back(self, key: str, effects: str) -> None:
        """The sync of this dirty key had more to do than the board's `effects` (in any words) let it."""
        self._redis.hset(self._keys.held_back, key, effects)

    def held_back(self, effects: str) -> list[str]:
        """The dirty keys that were held back under other effects than these."""
        held = self._redis.hgetall(self._keys.held_back)
        return sorted(text(key) for key, under in held.items() if text(under) != effects)

    def release(self, keys: Iterable[str], effects: str) -> None:
        """These were marked dirty; what a sync held back under these `effects` meanwhile is still held back."""
        if chosen := list(keys):
            self._release(keys=[self._keys.held_back], args=[effects, *chosen])


def _parsed(entry: Any) -> ShadowedWrite | None:
    """One entry of the stream; None where another version wrote it."""
    try:
        return ShadowedWrite.model_validate_json(entry[1][b"would"])
    except (KeyError, ValidationError):
        return None
