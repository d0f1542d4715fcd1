"""Those that wait for their turn, held in memory and kept in step with Redis: ten thousand of them, changed by a few.

Each change of a line raises the version and notes it beside the path, in one script; whoever has an older version reads
only the lines that changed since. A version is a time in microseconds, and the first one is kept: whose version is from
before it looked at another Redis, or at this one before an amnesia, and reads everything.
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

REMEMBERED = 20_000
"""Changes that are kept; who is further behind reads everything."""
_MORE = len(WaitingRequest._fields) - 5
"""Members of a line behind the five that `_line` names."""

LINE = f"""
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
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -{REMEMBERED} - 1)
end
"""
"""For each pair of a path and its line (empty: none): set it. Keys: lines, changes, version."""


class WaitingList:
    """The lines of one board, as this process last read them. Safe to share between threads."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._lock = threading.Lock()
        self._version = 0
        self._lines: dict[str, WaitingRequest] = {}
        self._all: tuple[WaitingRequest, ...] = ()

    def read(self) -> tuple[WaitingRequest, ...]:
        """All of them; the same tuple as long as nothing changes."""
        with self._lock:
            version, oldest, changed = self._look()
            if version == self._version:
                return self._all
            if 0 < self._version < version and oldest <= self._version:
                self._reread(changed)
            else:
                self._read_all()
            self._version, self._all = version, tuple(self._lines.values())
            return self._all

    def _look(self) -> tuple[int, int, list[str]]:
        """The present version; one from which on every change is known; the paths that changed since ours."""
        keys = self._keys
        with self._redis.pipeline() as pipe:
            pipe.get(keys.waiting_version)
            pipe.zcard(keys.waiting_changes)
            pipe.zrange(keys.waiting_changes, 0, 0, withscores=True)
            pipe.zrangebyscore(keys.waiting_changes, f"({self._version}", "+inf")
            said, count, first, changed = pipe.execute()
        began, version = map(int, text(said or "0 0").split())
        oldest = int(first[0][1]) if count >= REMEMBERED else began
        return version, oldest, [text(path) for path in changed]

    def _reread(self, paths: list[str]) -> None:
        found = self._redis.hmget(self._keys.waiting, paths) if paths else []
        for path, raw in zip(paths, found, strict=True):
            if raw is None:
                self._lines.pop(path, None)
            else:
                self._lines[path] = _line(*json.loads(raw))

    def _read_all(self) -> None:
        raw = map(text, self._redis.hvals(self._keys.waiting))
        found = json.loads(f"[{','.join(raw)}]")  # one call is several times faster than one for each
        found.sort(key=lambda line: line[3])  # oldest first: what comes later is added behind, and sorting is quick
        self._lines = {line[0]: _line(*line) for line in found}


def _line(path: str, attempt: str, submitter: str, submitted: float, tier: Tier, *more: Any) -> WaitingRequest:
    """One line; what a newer version wrote behind it is passed over, while both run.

    Names that many share are one object each: comparing thousands of them is quicker so.
    """
    known = more[:_MORE]
    return WaitingRequest(path, attempt, sys.intern(submitter), submitted, sys.intern(tier), *known)  # type: ignore[arg-type]


def turn_of(entry: IndexEntry) -> WaitingRequest:
    """What decides about the turn of a request."""
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
