"""Deliveries, durable before they are acknowledged.

One script call claims the delivery's id, appends the raw body to a stream and marks what may be out of step. Either all
of it happened or none: there is no moment in which a delivery is acknowledged and its wake-up is not yet in Redis.

Race closed: the same delivery twice at once. The claim is a SET NX inside the script, so the second finds it taken.
Race accepted: Redis loses its last second (append-only file, synced every second) when the whole machine dies. What was
acknowledged in that second is found again by the regular look at the repo.
"""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis as AsyncRedis

from bot.deliveries import Reading
from wire import dirty
from wire.keys import Keys

CLAIMED_FOR = 8 * 86_400
"""Seconds for which a delivery's id is remembered: longer than any retry horizon seen in the wild."""
KEPT = 10_000
"""Deliveries kept with their bodies, oldest first out."""

RECEIVE = f"""
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then
  redis.call('HINCRBY', KEYS[3], 'repeated', 1)
  return 0
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*',
  'id', ARGV[3], 'verdict', ARGV[4], 'at', ARGV[5], 'body', ARGV[6])
redis.call('HINCRBY', KEYS[3], ARGV[4], 1)
local mark = function(KEYS, ARGV) {dirty.MARK} end
for i = 7, #ARGV, 2 do
  mark({{KEYS[4], KEYS[5], KEYS[6]}}, {{ARGV[i], ARGV[i + 1], ARGV[5]}})
end
return 1
"""


@dataclass(frozen=True)
class Delivery:
    """One POST from the Hub."""

    id: str
    body: bytes
    received: float


class Inbox:
    """Receives the deliveries of one board."""

    def __init__(self, redis: AsyncRedis, keys: Keys) -> None:
        self._keys = keys
        self._receive = redis.register_script(RECEIVE)

    async def receive(self, delivery: Delivery, reading: Reading) -> bool:
        """Store `delivery` and mark what it may have changed; False where it had been received before."""
        keys = self._keys
        names = [keys.delivery(delivery.id), keys.inbox, keys.inbox_counts]
        names += [keys.dirty, keys.dirty_generations, keys.wake]
        arguments: list[str | bytes | int | float] = [CLAIMED_FOR, KEPT, delivery.id, reading.verdict]
        arguments += [delivery.received, delivery.body]
        for mark in reading.marks:
            arguments += [mark.key, int(mark.priority)]
        return bool(await self._receive(keys=names, args=arguments))
