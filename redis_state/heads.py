"""The newest commit of a repo that this board knows of: files are read there, so that no cache answers with old text.

Two processes learn of commits at the same time: one lists the refs, another one commits. Commits have no order that can
be told from their ids, so each says which commit it knew before it asked. If that is still the known one, the new
commit is newer. If not, either may be newer: then none is known until the refs are listed again.

Race closed: the refs are listed, another process commits, and the answer of the list arrives last.
Race accepted: the Hub's list of refs itself lags behind a commit. What is read too old then is found when the bot next
compares all request files with its index.
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
        """What to give to `saw` as `after`: read it before the call that tells of a commit."""
        return text(self._redis.get(self._keys.newest(repo)) or "")

    def newest(self, repo: str) -> str | None:
        """The newest known commit of `repo`; None where the refs have to be listed to find out."""
        known = self.known(repo)
        return known if known and not known.startswith(_UNSURE) else None

    def saw(self, repo: str, commit: str, *, after: str) -> None:
        """`commit` is newer than `after`: what was known before, or the parent of a commit that was just made."""
        self._saw(keys=[self._keys.newest(repo)], args=[after, commit])

    def doubt(self, repo: str, commit: str) -> None:
        """`commit` is in the repo, and may be newer than what is known."""
        self.saw(repo, commit, after=_UNSURE)
