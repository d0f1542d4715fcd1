"""The requests that wait for dispatch, up to ten thousand: a copy in memory that reads only changes from Redis.

One script writes a request's line, raises the version and records it for the path; a process with an older version
reads only the lines changed since. A version is a time in microseconds, and Redis also holds the first one: a process
whose version is older read another Redis, or this one before it lost its data, and reads everything.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING, Any

from leaderboard.dispatch import WaitingRequest
from leaderboard.holds import RANK
from leaderboard.tiers import Tier
from redis_state.keys import Keys
from redis_state.redis import Redis, text

if TYPE_CHECKING:
    from redis_state.board.entry import IndexEntry

MAX_CHANGES = 20_000
"""Changes that Redis holds; a process that is further behind reads everything."""
_MORE_FIELDS = len(WaitingRequest._fields) - 5
"""Fields of a line after the five that `_line` names."""

SET_LINES = f"""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local first, version = string.match(redis.call('GET', KEYS[3]) or '', '(%d+) (%d+)')
local next = math.max(tonumber(version or '0') + 1, now)
first = first or string.format('%.0f', next)
local changed = false
for i = 1, #ARGV, 2 do
    local path, line = ARGV[i], ARGV[i + 1]
    local differs
    if line == '' then
        differs = redis.call('HDEL', KEYS[1], path) == 1
    else
        differs = redis.call('HGET', KEYS[1], path) ~= line
        if differs then redis.call('HSET', KEYS[1], path, line) end
    end
    if differs then
        redis.call('ZADD', KEYS[2], string.format('%.0f', next), path)
        changed = true
    end
end
if changed then
    redis.call('SET', KEYS[3], first .. ' ' .. string.format('%.0f', next))
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -{MAX_CHANGES} - 1)
end
"""
"""Arguments: pairs of a path and its line (empty: remove it). Keys: lines, changes, version."""


class WaitingList:
    """The waiting requests of one board, as this process last read them. Safe to share between threads."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._lock = threading.Lock()
        self._version = 0
        self._lines: dict[str, WaitingRequest] = {}
        self._all: tuple[WaitingRequest, ...] = ()

    def read(self) -> tuple[WaitingRequest, ...]:
        """All waiting requests; the same tuple as long as nothing changes."""
        with self._lock:
            version, oldest, changed = self._read_changes()
            if version == self._version:
                return self._all
            if 0 < self._version < version and oldest <= self._version:
                self._reread(changed)
            else:
                self._read_all()
            self._version, self._all = version, tuple(self._lines.values())
            return self._all

    def _read_changes(self) -> tuple[int, int, list[str]]:
        """The current version; the oldest version since which all changes are known; the paths changed since ours."""
        keys = self._keys
        with self._redis.pipeline() as pipe:
            pipe.get(keys.waiting_version)
            pipe.zcard(keys.waiting_changes)
            pipe.zrange(keys.waiting_changes, 0, 0, withscores=True)
            pipe.zrangebyscore(keys.waiting_changes, f"({self._version}", "+inf")
            versions, count, first, changed = pipe.execute()
        first_version, version = map(int, text(versions or "0 0").split())
        oldest = int(first[0][1]) if count >= MAX_CHANGES else first_version
        return version, oldest, [text(path) for path in changed]

    def _reread(self, paths: list[str]) -> None:
        values = self._redis.hmget(self._keys.waiting, paths) if paths else []
        for path, raw in zip(paths, values, strict=True):
            if raw is None:
                self._lines.pop(path, None)
            else:
                self._lines[path] = _line(*json.loads(raw))

    def _read_all(self) -> None:
        raw = map(text, self._redis.hvals(self._keys.waiting))
        lines = json.loads(f"[{','.join(raw)}]")  # one call is several times faster than one for each
        lines.sort(key=lambda line: line[3])  # oldest first: new ones are appended, which keeps later sorting fast
        self._lines = {line[0]: _line(*line) for line in lines}


def _line(path: str, attempt: str, submitter: str, submitted: float, tier: Tier, *more: Any) -> WaitingRequest:
    """Parse a line; fields that a newer version appended are skipped, while both versions run.

    Interns names that many requests share, which makes comparing thousands of them faster.
    """
    known_fields = more[:_MORE_FIELDS]
    return WaitingRequest(path, attempt, sys.intern(submitter), submitted, sys.intern(tier), *known_fields)  # type: ignore[arg-type]


def waiting_request_of(entry: IndexEntry) -> WaitingRequest:
    """The facts of a request that decide its position in the queue."""
    return WaitingRequest(
        path=entry.path,
        attempt=entry.attempt or "",
        submitter=entry.submitter,
        submitted=entry.submitted,
        tier=entry.tier,
        rank=RANK[entry.priority],
        size=entry.size,
        suite=entry.job.suite if entry.job is not None else "",
        held=entry.hold is not None,
        place=entry.place,
        why=entry.why,
    )
