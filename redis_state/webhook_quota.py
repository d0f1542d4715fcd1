"""Deliveries come back for what the bot itself writes, and a webhook has but so many a day.

Two counts for each repo and domain (`repo.content`, `discussion`), by the hour: `own`, what our writes must have
caused, and `all`, what really came. Past POLL_AT of the quota, whoever spent it, the webhooks may fall silent at any
moment: then a flag says so, and who reads it polls.

Race accepted: a write that died before it was counted. The count of what came has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from redis_state.keys import Keys
from redis_state.redis import Redis, text

QUOTA = 1_000
"""Deliveries that the Hub makes for one webhook in 24 hours."""
OWN_SHARE, POLL_AT = 0.5, 0.7
_HOURS = 24

Side = Literal["own", "all"]
Domain = Literal["repo.content", "discussion"]


def field(side: Side, domain: Domain, repo: str, *, now: float) -> str:
    """The member of the hash `keys.echoes` to raise by one for a delivery at `now`."""
    return f"{side} {domain} {int(now // 3600)} {repo}"


class WebhookQuota:
    """The counts of one board. Times are seconds since the epoch."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def caused(self, domain: Domain, repo: str, *, now: float) -> None:
        """A write of ours will come back as a delivery."""
        self._redis.hincrby(self._keys.webhook_quota, field("own", domain, repo, now=now), 1)

    def own_left(self, domain: Domain, repo: str, *, now: float) -> int:
        """How many more of our writes fit into our half of the quota."""
        spent = self.counts(now=now).get(("own", domain, repo), 0)
        return max(0, int(QUOTA * OWN_SHARE) - spent)

    def of_others(self, domain: Domain, repo: str, *, now: float) -> int:
        """About how many writes of others came in as deliveries within the last 3,600 s.

        Of the hour before this one so much counts as lies within them, as if it had been spread evenly.
        """
        fields = [field(side, domain, repo, now=at) for at in (now, now - 3600) for side in ("all", "own")]
        came, ours, came_before, ours_before = (
            int(n or 0) for n in self._redis.hmget(self._keys.webhook_quota, fields)
        )
        before = max(0, came_before - ours_before) * (1 - now % 3600 / 3600)
        return max(0, came - ours) + round(before)

    def counts(self, *, now: float) -> dict[tuple[str, str, str], int]:
        """(side, domain, repo) → deliveries within the last 24 hours, and the hour that began before them."""
        totals: dict[tuple[str, str, str], int] = {}
        for (side, domain, hour, repo), count in _parsed(self._redis.hgetall(self._keys.webhook_quota)).items():
            if hour >= now // 3600 - _HOURS:
                totals[side, domain, repo] = totals.get((side, domain, repo), 0) + count
        return totals

    def judge(self, *, now: float) -> str:
        """Raise or lower the flag; what it says: empty while all webhooks have enough left. Old counts are dropped."""
        fields = _parsed(self._redis.hgetall(self._keys.webhook_quota))
        old = [" ".join((s, d, str(h), r)) for s, d, h, r in fields if h < now // 3600 - _HOURS]
        if old:
            self._redis.hdel(self._keys.webhook_quota, *old)
        counts = sorted(self.counts(now=now).items(), key=lambda item: item[1])  # of own and all, the larger counts
        spent = {(d, r): n for (_, d, r), n in counts if n >= QUOTA * POLL_AT}
        words = "; ".join(f"{n:,} of {QUOTA:,} deliveries about {d} of {r} in a day" for (d, r), n in spent.items())
        if words:
            self._redis.set(self._keys.poll, words)
        else:
            self._redis.delete(self._keys.poll)
        return words

    def polling(self) -> str:
        """What the flag says now; empty where webhooks can be relied on."""
        return text(self._redis.get(self._keys.poll) or b"")


def _parsed(raw: Mapping[Any, Any]) -> dict[tuple[str, str, int, str], int]:
    found: dict[tuple[str, str, int, str], int] = {}
    for name, count in raw.items():
        side, domain, hour, repo = text(name).split(" ", 3)
        found[side, domain, int(hour), repo] = int(count)
    return found
