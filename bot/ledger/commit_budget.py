"""The budget of commits to shared repos, by the commits that Redis records; the rule is `hub.budget.Commits`.

Race closed: two processes spend the last commit of a budget at once. A commit is recorded only if no other was recorded
since the budget was checked.
Race closed: Redis was lost, and with it the record of commits. Before a repo gets busy, its earlier commits are counted
from its history, once until Redis is lost again.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

import structlog

from hub.budget import DAY, HOUR, Commits
from hub.client import Hub
from hub.records import Repo
from redis_state.clock import Clock
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis
from redis_state.webhook_quota import Side, WebhookQuota, field

log = structlog.get_logger()

RECORD_SECONDS = 86_400
"""Seconds for which a commit stays recorded."""
MAX_CHECK_WAIT = 60.0
"""Seconds until the budget is checked again at the latest, which costs no call to the Hub."""
MAX_EARLIER_COMMITS = 1_000
"""Earlier commits that are counted: as many as the Hub returns in one answer."""
HUB_CLOCK_PRECISION = 2.0
"""Seconds by which the Hub's time of a commit may be earlier than the bot's: the Hub returns whole seconds."""

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


class CommitBudget:
    """The budget of commits to each shared repo of one board. Times are seconds since the epoch."""

    def __init__(self, hub: Hub, redis: Redis, keys: Keys, webhook_quota: WebhookQuota, now: Clock) -> None:
        self.limits = Commits()
        self._hub = hub
        self._redis = redis
        self._keys = keys
        self._webhook_quota = webhook_quota
        self._now = now
        self._spend, self._count = redis.register_script(SPEND), redis.register_script(COUNT)

    def next_check(self, repo: Repo) -> float | None:
        """When to check again whether a commit to `repo` is allowed; None if it is allowed now.

        At most MAX_CHECK_WAIT from now, because other accounts, whose commits reduce the budget, may have stopped; but
        not before the time for which the Hub asked the bot to wait.
        """
        now = self._now()
        allowed, _ = self._next_commit(repo, now)
        paused_until = float(self._redis.get(self._keys.commits_paused(repo.id)) or 0)
        when = max(min(allowed, now + MAX_CHECK_WAIT), paused_until)
        return when if when > now else None

    def spend(self, repo: Repo) -> bool:
        """Record a commit that is about to be made, and the delivery that it will cause; False if it is not allowed."""
        now = self._now()
        allowed, count = self._next_commit(repo, now)
        if allowed > now:
            return False
        arguments: list[str | int | float] = [count, now, secrets.token_hex(8)]
        arguments += [now - RECORD_SECONDS, RECORD_SECONDS]
        if not self._spend(keys=[self._keys.commits(repo.id)], args=arguments):
            return False
        self._webhook_quota.caused("repo.content", repo.id, now=now)
        return True

    def pause(self, repo: Repo, seconds: float) -> None:
        """Allow no commit to `repo` for `seconds`, because the Hub asked for it."""
        self._redis.set(self._keys.commits_paused(repo.id), self._now() + seconds, ex=2 * RECORD_SECONDS)

    def recorded(self, repo: Repo) -> list[float]:
        """The times of the recorded commits to `repo`. If the clock was set back, future times become the present."""
        now, key = self._now(), self._keys.commits(repo.id)
        times: Any = self._redis.zrange(key, 0, -1, withscores=True)
        later: Fields = {member: now for member, time in times if float(time) > now}
        if later:
            self._redis.zadd(key, later)
        return [min(float(time), now) for _, time in times]

    def _next_commit(self, repo: Repo, now: float) -> tuple[float, int]:
        """The time from which the next commit is allowed, and the number of recorded ones.

        If commits that this Redis does not know can matter, they are counted first.
        """
        times = self.recorded(repo)
        if self.limits.is_busy(times, now) and not self._redis.exists(self._keys.commits_counted(repo.id)):
            self._count_earlier(repo, min(times), now)
            times = self.recorded(repo)
        others = self._webhook_quota.of_others("repo.content", repo.id, now=now)
        return self.limits.next(times, now, others), len(times)

    def _count_earlier(self, repo: Repo, first: float, now: float) -> None:
        """Record the bot's commits within a day before `first`, the first that this Redis knows, and the deliveries
        that all commits caused. Two calls.

        The Hub's limits hold for commits from before Redis was lost too.
        """
        me = self._hub.me().name
        own: dict[str, float] = {}
        deliveries: Counter[str] = Counter()
        for entry in self._hub.commits(repo, limit=MAX_EARLIER_COMMITS):
            time = entry.date.timestamp() if entry.date else 0.0
            if not now - DAY < time < first - HUB_CLOCK_PRECISION:
                continue
            sides: tuple[Side, ...] = ("all",)
            if me in entry.authors:
                own[entry.oid] = time
                sides = ("all", "own")
            if time > now - 2 * HOUR:  # older ones do not count for the budget, and may have caused no deliveries
                deliveries.update(field(side, "repo.content", repo.id, now=time) for side in sides)
        arguments: list[str | int | float] = [len(own)]
        arguments += [value for oid, time in own.items() for value in (time, oid)]
        arguments += [value for name, count in deliveries.items() for value in (name, count)]
        names = [self._keys.commits_counted(repo.id), self._keys.commits(repo.id), self._keys.webhook_quota]
        self._count(keys=names, args=[*arguments, RECORD_SECONDS])
        log.info("counted earlier commits", repo=repo.id, ours=len(own), deliveries=deliveries.total())
