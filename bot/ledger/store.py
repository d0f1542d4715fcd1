"""Staged edits in Redis, until they are committed: in order, each id once.

One script stages an edit and one removes it, and each also marks dirty keys: an edit is never stored without a mark for
the ledger, nor removed without a mark for the keys that wait for it.

Race closed: an edit is replaced while its earlier version is being committed. Each edit has a version, a digest of its
content, and only the committed version is removed.
Race accepted: Redis is lost between staging and commit. The sync that staged the edit decides from the file again, and
stages the same edit under the same id.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from pydantic import ValidationError

from bot.ledger.edits import EDIT, AnyEdit, PresentFile, plan
from hub.records import File, Repo
from redis_state import dirty
from redis_state.dirty import SyncPriority
from redis_state.keys import Keys
from redis_state.redis import Redis, text

log = structlog.get_logger()

LEDGER = "ledger"
"""Dirty keys `ledger:{repo}`: edits are staged for that dataset repo."""
END_SECONDS = 86_400
"""Seconds for which the end of an edit is stored."""
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


def ledger_key(repo: Repo) -> str:
    """The dirty key of the ledger of `repo`."""
    return f"{LEDGER}:{repo.id}"


@dataclass(frozen=True)
class StagedEdit:
    """A staged edit. `version` is a digest of the stored content."""

    edit: AnyEdit
    version: str


class EditStore:
    """The staged edits of one board. Times are seconds since the epoch."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._stage, self._end = redis.register_script(STAGE), redis.register_script(END)

    def stage(self, repo: Repo, edits: Sequence[AnyEdit], *, due: float) -> int:
        """Store `edits` and mark the ledger of `repo`; return how many are new or changed.

        The ledger is marked again whenever an edit ends that one of these must follow, in any repo.
        """
        keys = self._keys
        names = [keys.edits(repo.id), keys.edit_order(repo.id), keys.edit_number, keys.edit_repos, keys.edit_subjects]
        names += [keys.dirty, keys.dirty_generations, keys.wake, keys.edit_waiters]
        arguments: list[str | bytes | int | float] = [repo.id, ledger_key(repo), int(SyncPriority.PERSON), due]
        for edit in edits:
            body = EDIT.dump_json(edit)
            version = hashlib.sha256(body).hexdigest()[:_VERSION_LENGTH]
            arguments += [edit.id, edit.subject, "\n".join(edit.after), version.encode() + body]
        return int(self._stage(keys=names, args=arguments))

    def read(self, repo: Repo) -> Iterator[StagedEdit]:
        """The staged edits of `repo` in the order in which their ids were first staged; one round trip per page.

        An edit that cannot be parsed, such as one of another version of Steward, stays staged and is left out.
        """
        last = 0.0
        while True:
            page: Any = self._redis.zrangebyscore(
                self._keys.edit_order(repo.id), f"({last}", "+inf", start=0, num=_PAGE_SIZE, withscores=True
            )
            if not page:
                return
            ids = [text(edit) for edit, _ in page]
            bodies: Any = self._redis.hmget(self._keys.edits(repo.id), ids)
            for edit, stored in zip(ids, bodies, strict=True):
                if stored is not None and (staged := _parsed(repo, edit, stored)) is not None:
                    yield staged
            last = float(page[-1][1])

    def content_after(self, repo: Repo, path: str, present: File | None) -> bytes | None:
        """The content of the file `path` after its staged edits; `present` is the file as it is now.

        One round trip if none is staged for it; else all staged edits of `repo` are read.
        """
        edits = [staged.edit for staged in self.read(repo) if staged.edit.path == path] if self.is_pending(path) else []
        file = PresentFile(present.oid, present.data) if present is not None else None
        return plan(edits, {path: file}).contents.get(path, present.data if present is not None else None)

    def end(self, repo: Repo, staged: StagedEdit, end: End, *, wake: Sequence[str], due: float) -> None:
        """Remove this version of an edit and mark `wake` dirty, or change nothing if another version is staged."""
        keys, edit = self._keys, staged.edit
        names = [keys.edits(repo.id), keys.edit_order(repo.id), keys.edit_repos, keys.edit_subjects]
        names += [keys.edit_end(edit.id), keys.dirty, keys.dirty_generations, keys.wake, keys.edit_waiters]
        arguments: list[str | int | float] = [edit.id, staged.version, edit.subject, end, END_SECONDS]
        self._end(keys=names, args=[*arguments, int(SyncPriority.PERSON), due, *wake])

    def states(self, ids: Sequence[str]) -> dict[str, End | Literal["staged"]]:
        """The states of these edits, without those that Redis does not know. One round trip."""
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

    def knows(self, ids: Sequence[str]) -> bool:
        """Whether each of these edits has landed, or is staged: its end marked the keys that it names, or will.

        False a day after the end of one, or if Redis was lost since. One round trip.
        """
        states = self.states(ids)
        return all(states.get(edit, "void") != "void" for edit in ids)

    def landed(self, *ids: str) -> bool:
        """Whether all these edits are known to have landed; not after a day, or if Redis was lost. One round trip."""
        states = self.states(ids)
        return all(states.get(edit) == "landed" for edit in ids)

    def is_pending(self, subject: str) -> bool:
        """Whether edits of `subject` are staged."""
        return int(self._redis.hget(self._keys.edit_subjects, subject) or 0) > 0

    def repos(self) -> Counter[str]:
        """Id of a repo → number of its staged edits."""
        return Counter(map(text, self._redis.hvals(self._keys.edit_repos)))


def _parsed(repo: Repo, name: str, stored: bytes) -> StagedEdit | None:
    try:
        return StagedEdit(EDIT.validate_json(stored[_VERSION_LENGTH:]), text(stored[:_VERSION_LENGTH]))
    except ValidationError as error:
        reason = str(error.errors(include_url=False))[:500]
        log.error("no edit", repo=repo.id, edit=name[:300], error=reason)
        return None
