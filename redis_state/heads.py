"""The newest known commit of each repo: syncs read files at that commit, so that no cache returns an old version.

Two processes may learn of commits at the same time: one lists the refs, another one commits. Ids of commits have no
order, so each process also passes the commit that was known before its call. If that is still the known one, the new
commit is newer. If not, either may be newer: then no commit is known until a process lists the refs again.

Race closed: a process lists the refs, another one commits, and the list's answer arrives last.
Race accepted: the Hub's list of refs lags behind a commit. If the bot then reads an old version of a file, it corrects
that when it next compares all request files with its index.
"""

from __future__ import annotations

from redis_state.keys import Keys
from redis_state.redis import Redis, text

_UNSURE = "?"

SAW = f"""
local known = redis.call('GET', KEYS[1]) or ''
if known == ARGV[2] then return 1 end
local sure = known == ARGV[1]
redis.call('SET', KEYS[1], sure and ARGV[2] or '{_UNSURE}' .. ARGV[2])
return sure and 1 or 0
"""


class Heads:
    """The newest known commits of one board's repos."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._saw = redis.register_script(SAW)

    def known(self, repo: str) -> str:
        """The value for `after` in `saw`: read it before the call to the Hub that returns a commit."""
        return text(self._redis.get(self._keys.newest(repo)) or "")

    def newest(self, repo: str) -> str | None:
        """The newest known commit of `repo`; None if a process must list the refs first."""
        known = self.known(repo)
        return known if known and not known.startswith(_UNSURE) else None

    def saw(self, repo: str, commit: str, *, after: str) -> None:
        """Record `commit`, which is newer than `after`: the value of `known` before, or the parent of a new commit."""
        self._saw(keys=[self._keys.newest(repo)], args=[after, commit])

    def doubt(self, repo: str, commit: str) -> None:
        """Record `commit`, which is in the repo and may be newer than the known one."""
        self.saw(repo, commit, after=_UNSURE)
