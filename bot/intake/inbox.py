"""The inbox: it stores deliveries durably before they are acknowledged.

One script call takes a group of deliveries. For each it claims the id, appends the raw body to a stream and marks the
dirty keys, all or nothing: no delivery is acknowledged before its marks are in Redis.

Race closed: the same delivery arrives twice at once, even in one group. The script reads and sets the claim, so the
second finds it taken.
Race closed: the answer of Redis gets lost and the same group is sent again. The claim names the write that set it, so a
write that finds its own claims gives the same answer, and counts nothing twice.
Race closed: Redis lost its claims, or a person replays a delivery. The body is stored and its keys are marked once
more, which costs one more sync.
Race accepted: Redis loses its last second (append-only file, synced every second) if the whole machine dies. The
reconciler finds the changes that were acknowledged in that second.
Race accepted: two deliveries without `Webhook-Id` and with the same body (closed, opened, closed again) count as one.
The second is not stored, but its keys are marked.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from bot.intake.deliveries import OWN, DeliveryReading, digest_id, is_delivery_id
from bot.intake.group_commit import GroupCommit
from redis_state import clock, dirty, webhook_quota
from redis_state.crashpoints import pass_by, point
from redis_state.keys import Keys

log = structlog.get_logger()

CLAIMED_FOR = 8 * 86_400
"""Seconds for which a delivery's id is stored: longer than any retries of webhooks that were observed."""
MAX_DELIVERIES, MAX_STORED_BYTES = 10_000, 64_000_000
"""Deliveries stored with their bodies, and their bytes in total; the oldest are dropped first."""

READ = point("delivery read, not stored")
STORED = point("delivery stored, not acknowledged")

# KEYS: stream, sizes, bytes, counts, echoes, dirty, generations, wake, Hub state; then a claim for each delivery.
# ARGV: lifetime of claims, most entries, most bytes, the name of this write; then eight for each delivery:
# id, verdict, time, body, marks (a line `priority key` for each), author, echo field, 1 if a repeat marks again.
RECEIVE = f"""
local mark = function(KEYS, ARGV) {dirty.MARK} end
local kept, kept_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local answers, counts, echoes, marked, sizes, added = {{}}, {{}}, {{}}, {{}}, {{}}, 0
local count = function(counts, name) counts[name] = (counts[name] or 0) + 1 end
local me = redis.call('HGET', KEYS[9], 'me')
for n = 1, #KEYS - 9 do
  local id, word, at, body, marks, author, echo, again = unpack(ARGV, 8 * n - 3, 8 * n + 4)
  local claim, mine = redis.call('GET', KEYS[9 + n]), ' ' .. ARGV[4] .. '-' .. n
  if author ~= '' and author == me then word, marks = '{OWN}', '' end
  if not claim then
    local entry = redis.call('XADD', KEYS[1], '*', 'id', id, 'verdict', word, 'at', at, 'marks', marks, 'body', body)
    redis.call('SET', KEYS[9 + n], entry .. mine, 'EX', ARGV[1])
    sizes[#sizes + 1] = #id + #marks + #body
    added = added + sizes[#sizes]
    count(counts, word)
    if echo ~= '' then count(echoes, echo) end
  end
  answers[n] = (not claim or string.sub(claim, -#mine) == mine) and 1 or 0
  if answers[n] == 0 then count(counts, 'repeated') end
  if not claim or again == '1' then
    for priority, key in string.gmatch(marks, '(%d) ([^\\n]+)') do
      if not marked[key] or priority < marked[key] then
        marked[key] = priority
        mark({{KEYS[6], KEYS[7], KEYS[8]}}, {{key, priority, at}})
      end
    end
  end
end
for name, n in pairs(counts) do redis.call('HINCRBY', KEYS[4], name, n) end
for name, n in pairs(echoes) do redis.call('HINCRBY', KEYS[5], name, n) end
if #sizes == 0 then return answers end
local number, bytes = redis.call('RPUSH', KEYS[2], unpack(sizes)), redis.call('INCRBY', KEYS[3], added)
local left, left_bytes = number, bytes
while left > 0 and (left > kept or left_bytes > kept_bytes) do
  left, left_bytes = left - 1, left_bytes - tonumber(redis.call('LPOP', KEYS[2]))
end
if left < number then
  redis.call('DECRBY', KEYS[3], bytes - left_bytes)
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', left)
end
return answers
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST from the Hub. `received` in seconds since the epoch."""

    id: str
    body: bytes
    received: float
    has_own_id: bool = True
    """False if the Hub sent no id: then a repetition may be another event with the same body, and marks again."""


def delivery(header: str | None, body: bytes) -> Delivery:
    """The delivery that just arrived with `Webhook-Id: {header}`."""
    if header is not None and is_delivery_id(header):
        return Delivery(header, body, clock.now())
    return Delivery(digest_id(body), body, clock.now(), has_own_id=False)


def connect_inbox(url: str) -> AsyncRedis:
    """A client whose calls answer or fail within nine seconds. `bot.intake.group_commit` lets a sender wait less.

    No health check, which would be a second round trip: a dead connection is noticed by the call, which is repeated.
    """
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.02), 3)
    return AsyncRedis.from_url(url, socket_timeout=2, socket_connect_timeout=2, socket_keepalive=True, retry=retry)


class Inbox:
    """Receives the deliveries of one board."""

    def __init__(
        self, redis: AsyncRedis, keys: Keys, *, max_deliveries: int = MAX_DELIVERIES, max_bytes: int = MAX_STORED_BYTES
    ) -> None:
        self._redis, self._keys = redis, keys
        self._max_deliveries, self._max_bytes = max_deliveries, max_bytes
        self._receive = redis.register_script(RECEIVE)
        self._groups: GroupCommit[tuple[Delivery, DeliveryReading], bool] = GroupCommit(self._write)
        self.trouble = ""
        """The name of the error of the last write; empty while deliveries can be stored."""

    async def receive(self, delivery: Delivery, reading: DeliveryReading) -> bool:
        """Store `delivery` and mark its dirty keys; False if it was received before.

        Raises RedisError or TimeoutError if it may not have been stored, TooManyWait if too many wait before it.
        """
        pass_by(READ)
        new = await self._groups.put((delivery, reading), len(delivery.body))
        pass_by(STORED)
        return new

    async def check(self) -> str:
        """Why deliveries cannot be stored; empty if they can. Tries an empty write if the last one failed."""
        if self.trouble:
            try:
                await self._redis.incrby(self._keys.inbox_bytes, 0)
            except RedisError as error:
                self.trouble = type(error).__name__
            else:
                self.trouble = ""
        return self.trouble

    async def _write(self, group: Sequence[tuple[Delivery, DeliveryReading]]) -> Sequence[bool]:
        keys = self._keys
        names = [keys.inbox, keys.inbox_sizes, keys.inbox_bytes, keys.inbox_counts, keys.webhook_quota]
        names += [keys.dirty, keys.dirty_generations, keys.wake, keys.hub_state]
        names += [keys.delivery(delivery.id) for delivery, _ in group]
        arguments: list[str | bytes | int | float] = [
            CLAIMED_FOR,
            self._max_deliveries,
            self._max_bytes,
            secrets.token_hex(8),
        ]
        for delivery, reading in group:
            arguments += [delivery.id, reading.verdict, delivery.received, delivery.body, marks_text(reading)]
            arguments += [reading.author.encode("utf-8", "replace"), _echo(delivery, reading)]
            arguments += [int(not delivery.has_own_id)]
        try:
            answers = await self._receive(keys=names, args=arguments)
        except RedisError as error:
            self.trouble = type(error).__name__
            raise
        self.trouble = ""
        return [bool(new) for new in answers]


def marks_text(reading: DeliveryReading) -> bytes:
    """The marks of `reading` as the stream keeps them: a line `priority key` for each."""
    lines = (f"{int(mark.priority)} {mark.key}" for mark in reading.marks)
    # A key may hold untrusted text, which must not break the write that other deliveries share.
    return "\n".join(lines).encode("utf-8", "replace")


def _echo(delivery: Delivery, reading: DeliveryReading) -> str:
    if reading.quota_source is None:
        return ""
    domain, repo = reading.quota_source
    return webhook_quota.field("all", domain, repo, now=delivery.received)
