"""Lua scripts of `redis_state.attempts`: each reads and writes an attempt in one atomic step.

Each script called by a worker gets the worker's name, and changes nothing if another worker holds the attempt: a worker
that was cut off or suspended may have lost its attempt meanwhile. After a loss of Redis, the next heartbeat writes the
worker and the request of the attempt again.

A beat may arrive after the end of its attempt, or after the attempt was handed back: it changes nothing then.

Workers of earlier versions write no `replayed`, so QUEUED removes what another worker of the attempt wrote.
"""

from __future__ import annotations

TAKE = """
local worker, beat = unpack(redis.call('HMGET', KEYS[1], 'worker', 'beat'))
local theirs = worker and worker ~= '' and worker ~= ARGV[1]
if theirs and beat and tonumber(beat) > tonumber(ARGV[3]) - tonumber(ARGV[4]) then return 0 end
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[1], 'cancel', 'outcome', 'log')
redis.call('HSET', KEYS[1], 'state', 'taken', 'path', ARGV[2], 'worker', ARGV[1], 'started', ARGV[3],
  'phase', 'claim', 'done', 0, 'total', 0, 'replayed', 0, 'beat', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[6])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[6])
return 1
"""

QUEUED = """
local state, beat = unpack(redis.call('HMGET', KEYS[1], 'state', 'beat'))
local held = state == 'taken' or state == 'claimed' or state == 'running'
if held and beat and tonumber(beat) > tonumber(ARGV[2]) - tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'path', ARGV[1], 'queued', ARGV[2])
redis.call('HDEL', KEYS[1], 'replayed')
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""

ANSWER = """
local state = redis.call('HGET', KEYS[1], 'state')
if ARGV[1] == 'claimed' and state ~= 'taken' and state ~= 'claimed' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1])
if ARGV[1] == 'void' then redis.call('HDEL', KEYS[1], 'worker') end
redis.call('DEL', KEYS[2])
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
"""

_HELD_BY_ANOTHER = """
local worker, state = unpack(redis.call('HMGET', KEYS[1], 'worker', 'state'))
if worker and worker ~= '' and worker ~= ARGV[1] then return 0 end
"""

BEAT = (
    _HELD_BY_ANOTHER
    + """
if state == 'ended' or state == 'handed-back' then return 0 end
local runs = ARGV[6] ~= 'claim'
if runs then
  redis.call('HSET', KEYS[1], 'state', 'running', 'phase', ARGV[6], 'done', ARGV[7], 'total', ARGV[8],
    'replayed', ARGV[9])
elseif not state then
  redis.call('HSET', KEYS[1], 'state', 'taken', 'phase', 'claim', 'done', 0, 'total', 0, 'started', ARGV[3])
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[5])
end
if runs or not state then redis.call('HSET', KEYS[1], 'worker', ARGV[1], 'path', ARGV[2]) end
redis.call('HSET', KEYS[1], 'beat', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[5])
return redis.call('HGET', KEYS[1], 'cancel') and 0 or 1
"""
)

HAND_BACK = (
    _HELD_BY_ANOTHER
    + """
redis.call('HSET', KEYS[1], 'state', 'handed-back', 'worker', '')
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[3])
return 1
"""
)

END = (
    _HELD_BY_ANOTHER
    + """
redis.call('HSET', KEYS[1], 'state', 'ended', 'outcome', ARGV[4], 'log', ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[3])
return 1
"""
)

DATE_BACK = """
for _, attempt in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf')) do
  redis.call('ZADD', KEYS[1], ARGV[1], attempt)
  if redis.call('HEXISTS', ARGV[2] .. attempt, 'beat') == 1 then
    redis.call('HSET', ARGV[2] .. attempt, 'beat', ARGV[1])
  end
end
return redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[3], '+inf')
"""
