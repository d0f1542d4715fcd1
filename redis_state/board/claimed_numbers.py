"""The highest number of a claimed attempt at each path, read from the messages of the bot's commits.

An index entry is removed with its file; these numbers stay. They are complete up to one commit of the requests
repo: the bot reads the commits since that one before it relies on them.

Race closed: Redis is emptied while the bot reads commits. The script records the numbers only if Redis still holds the
commit after which the bot began to read.
"""

from __future__ import annotations

from collections.abc import Mapping

from redis_state.keys import Keys
from redis_state.redis import Redis, text

RECORD = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
for at = 3, #ARGV, 2 do redis.call('ZADD', KEYS[2], 'GT', ARGV[at + 1], ARGV[at]) end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


class ClaimedNumbers:
    """The claimed numbers of one board, by the prefix of the attempt ids of a path."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._record = redis.register_script(RECORD)

    def read(self, prefix: str) -> tuple[int, str]:
        """The highest number under `prefix` (0: none), and the commit up to which that is complete (empty: none)."""
        with self._redis.pipeline() as pipe:
            pipe.zscore(self._keys.claimed_numbers, prefix)
            pipe.get(self._keys.claimed_numbers_until)
            number, until = pipe.execute()
        return int(number or 0), text(until or "")

    def record(self, numbers: Mapping[str, int], *, since: str, until: str) -> bool:
        """Record `numbers`, by prefix, of the commits after `since` up to `until`.

        False, and nothing recorded, if the numbers are not complete up to `since` any more.
        """
        pairs = [word for prefix, number in numbers.items() for word in (prefix, number)]
        keys = [self._keys.claimed_numbers_until, self._keys.claimed_numbers]
        return bool(self._record(keys=keys, args=[since, until, *pairs]))
