"""Edits of files on the Hub, staged durably until they are committed: in order, each id once.

Staging, replacing and ending an edit are one script each, which also sets the dirty marks: an edit is never stored
without a mark for the ledger, nor removed without a mark for the keys that wait for it.

Race closed: an edit is replaced while its earlier version is being committed. Each edit carries a version of its
content, and only the committed version is ended.
Race accepted: Redis is lost between staging and commit. The sync that staged the edit decides from the file again, and
stages the same edit under the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis_state import dirty
from redis_state.dirty import SyncPriority
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

RETENTION_SECONDS = 86_400
"""Seconds for which the end of an edit, and a commit, is remembered."""
_PAGE_SIZE = 100
_VERSION_LENGTH = 16

End = Literal["landed", "void"]

_MARK = f"local mark = function(KEYS, ARGV) {dirty.MARK} end\n"

STAGE = (
    _MARK
    + """
local changed = 0
for i = 5, #ARGV, 4 do
  local id, subject, after, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  for first in string.gmatch(after, '[^\\n]+') do
    local waiters = redis.call('HGET', KEYS[9], first) or ''
    local waits = string.find('\\n' .. waiters, '\\n' .. ARGV[2] .. '\\n', 1, true)
    if redis.call('HEXISTS', KEYS[4], first) == 1 and not waits then
      redis.call('HSET', KEYS[9], first, waiters .. ARGV[2] .. '\\n')
    end
  end
  local there = redis.call('HGET', KEYS[1], id)
  if there ~= body then
    changed = changed + 1
    redis.call('HSET', KEYS[1], id, body)
    if not there then
      redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[3]), id)
      redis.call('HSET', KEYS[4], id, ARGV[1])
      if subject ~= '' then redis.call('HINCRBY', KEYS[5], subject, 1) end
    end
  end
end
mark({KEYS[6], KEYS[7], KEYS[8]}, {ARGV[2], ARGV[3], ARGV[4]})
return changed
"""
)

END = (
    _MARK
    + """
local there = redis.call('HGET', KEYS[1], ARGV[1])
if not there or string.sub(there, 1, #ARGV[2]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
if ARGV[3] ~= '' and redis.call('HINCRBY', KEYS[4], ARGV[3], -1) <= 0 then redis.call('HDEL', KEYS[4], ARGV[3]) end
redis.call('SET', KEYS[5], ARGV[4], 'EX', ARGV[5])
for i = 8, #ARGV do
  mark({KEYS[6], KEYS[7], KEYS[8]}, {ARGV[i], ARGV[6], ARGV[7]})
end
for waiter in string.gmatch(redis.call('HGET', KEYS[9], ARGV[1]) or '', '[^\\n]+') do
  mark({KEYS[6], KEYS[7], KEYS[8]}, {waiter, ARGV[6], ARGV[7]})
end
redis.call('HDEL', KEYS[9], ARGV[1])
return 1
"""
)

SPEND = """
if redis.call('ZCARD', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""

COUNT = """
if not redis.call('SET', KEYS[1], '1', 'NX') then return 0 end
local commits = tonumber(ARGV[1])
for i = 2, 2 * commits, 2 do
  redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1])
end
if commits > 0 then redis.call('EXPIRE', KEYS[2], ARGV[#ARGV]) end
for i = 2 * commits + 2, #ARGV - 1, 2 do
  redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1])
end
return 1
"""


@dataclass(frozen=True)
class NewEdit:
    """An edit to stage: its id, the subject that waits for it, the ids that it must follow, and the ledger's JSON."""

    id: str
    subject: str
    after: tuple[str, ...]
    body: bytes


@dataclass(frozen=True)
class StoredEdit:
    """A staged edit, with the JSON of the ledger that staged it. `version` is a digest of the content."""

    id: str
    version: str
    body: bytes


class Staging:
    """The staged edits of one board. Times are seconds since the epoch."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._stage, self._end = redis.register_script(STAGE), redis.register_script(END)
        self._spend, self._count = redis.register_script(SPEND), redis.register_script(COUNT)

    def stage(self, repo: str, edits: Sequence[NewEdit], *, tell: str, due: float, priority: SyncPriority) -> int:
        """Stage `edits` and mark `tell` dirty; return how many are new or changed.

        `tell` is marked again whenever an edit ends that one of these must follow, whatever its repo.
        """
        keys = self._keys
        names = [keys.edits(repo), keys.edit_order(repo), keys.edit_number, keys.edit_repos, keys.edit_subjects]
        names += [keys.dirty, keys.dirty_generations, keys.wake, keys.edit_waiters]
        arguments: list[str | bytes | int | float] = [repo, tell, int(priority), due]
        for edit in edits:
            arguments += [edit.id, edit.subject, "\n".join(edit.after), _version(edit.body).encode() + edit.body]
        return int(self._stage(keys=names, args=arguments))

    def read(self, repo: str) -> Iterator[StoredEdit]:
        """The staged edits of `repo` in the order in which their ids were first staged; one round trip per page."""
        last = 0.0
        while True:
            key = self._keys.edit_order(repo)
            page = _scored(self._redis.zrangebyscore(key, f"({last}", "+inf", start=0, num=_PAGE_SIZE, withscores=True))
            if not page:
                return
            ids = [edit for edit, _ in page]
            bodies: list[Any] = self._redis.hmget(self._keys.edits(repo), ids)
            for edit, body in zip(ids, bodies, strict=True):
                if body is not None:
                    yield StoredEdit(edit, text(body[:_VERSION_LENGTH]), body[_VERSION_LENGTH:])
            last = page[-1][1]

    def end(
        self,
        repo: str,
        staged: StoredEdit,
        how: End,
        *,
        subject: str,
        wake: Sequence[str],
        due: float,
        priority: SyncPriority = SyncPriority.PERSON,
    ) -> bool:
        """Remove this version of an edit and mark `wake` dirty; False, unchanged, if a newer version is staged."""
        keys = self._keys
        names = [keys.edits(repo), keys.edit_order(repo), keys.edit_repos, keys.edit_subjects]
        names += [keys.edit_end(staged.id), keys.dirty, keys.dirty_generations, keys.wake, keys.edit_waiters]
        arguments: list[str | int | float] = [staged.id, staged.version, subject, how, RETENTION_SECONDS]
        arguments += [int(priority), due, *wake]
        return bool(self._end(keys=names, args=arguments))

    def ended(self, ids: Sequence[str]) -> dict[str, End | Literal["staged"]]:
        """The state of these edits; leaves out those that Redis does not know."""
        if not ids:
            return {}
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(self._keys.edit_repos, list(ids))
            pipe.mget([self._keys.edit_end(edit) for edit in ids])
            repos, ends = pipe.execute()
        states: dict[str, End | Literal["staged"]] = {}
        for edit, repo, end in zip(ids, repos, ends, strict=True):
            if repo is not None:
                states[edit] = "staged"
            elif end is not None:
                states[edit] = "void" if end == b"void" else "landed"
        return states

    def pending(self, subject: str) -> int:
        """The number of edits that `subject` waits for."""
        return int(self._redis.hget(self._keys.edit_subjects, subject) or 0)

    def repos(self) -> dict[str, int]:
        """Repo → number of its staged edits."""
        counts: dict[str, int] = {}
        for repo in self._redis.hvals(self._keys.edit_repos):
            counts[text(repo)] = counts.get(text(repo), 0) + 1
        return counts

    def commits(self, repo: str, *, now: float) -> list[float]:
        """The times of Steward's commits in `repo` within a day. If the clock was set back, later ones become `now`."""
        key = self._keys.commits(repo)
        recorded = _scored(self._redis.zrange(key, 0, -1, withscores=True))
        later: Fields = {member: now for member, time in recorded if time > now}
        if later:
            self._redis.zadd(key, later)
        return [min(time, now) for _, time in recorded]

    def spend(self, repo: str, *, seen: int, now: float, name: str) -> bool:
        """Record a commit at `now`; False, unchanged, if the number of recorded commits is not `seen`."""
        arguments: list[str | int | float] = [seen, now, name, now - RETENTION_SECONDS, RETENTION_SECONDS]
        return bool(self._spend(keys=[self._keys.commits(repo)], args=arguments))

    def is_counted(self, repo: str) -> bool:
        """Whether `count` recorded the commits in `repo` of the day before this Redis was first used for it."""
        return bool(self._redis.exists(self._keys.commits_counted(repo)))

    def count(self, repo: str, ours: Mapping[str, float], deliveries: Mapping[str, int]) -> bool:
        """Record, once per Redis, the commits from before it was used: names and times of Steward's, and the deliveries
        that all commits caused (field of `redis_state.webhook_quota` → count). False if it was recorded."""
        arguments: list[str | int | float] = [len(ours)]
        for name, time in ours.items():
            arguments += [time, name]
        for name, number in deliveries.items():
            arguments += [name, number]
        names = [self._keys.commits_counted(repo), self._keys.commits(repo), self._keys.webhook_quota]
        return bool(self._count(keys=names, args=[*arguments, RETENTION_SECONDS]))

    def pause(self, repo: str, until: float) -> None:
        """Forbid commits in `repo` before `until`."""
        self._redis.set(self._keys.commits_paused(repo), until, ex=2 * RETENTION_SECONDS)

    def paused(self, repo: str) -> float:
        """The time before which commits in `repo` are forbidden; 0 if there is none."""
        return float(self._redis.get(self._keys.commits_paused(repo)) or 0)


def _scored(answer: Any) -> list[tuple[str, float]]:
    return [(text(member), float(score)) for member, score in answer]


def _version(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_VERSION_LENGTH]
