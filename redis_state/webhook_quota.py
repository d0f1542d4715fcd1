"""Counts deliveries against the daily quota of webhooks; the bot's own writes cause deliveries too.

Two counts per repo, domain (`repo.content`, `discussion`) and hour: `own`, the deliveries that Steward's writes cause,
and `all`, the deliveries that came. Once POLL_AT of the quota is used, webhooks may stop at any moment: then a flag is
set, and the processes poll.

Race accepted: a process dies after a write and before it counts it. The count of deliveries includes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from redis_state.keys import Keys
from redis_state.redis import Redis, text

QUOTA = 1_000
"""Deliveries that the Hub sends for one webhook in 24 hours."""
OWN_SHARE, POLL_AT = 0.5, 0.7
_HOURS = 24

Side = Literal["own", "all"]
Domain = Literal["repo.content", "discussion"]


def field(side: Side, domain: Domain, repo: str, *, now: float) -> str:
    """The field of the hash `keys.webhook_quota` that counts a delivery at `now`."""
    return f"{side} {domain} {int(now // 3600)} {repo}"


class WebhookQuota:
    """The counts of one board. Times are seconds since the epoch."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def caused(self, domain: Domain, repo: str, *, now: float) -> None:
        """Count a write of Steward's, which causes a delivery."""
        self._redis.hincrby(self._keys.webhook_quota, field("own", domain, repo, now=now), 1)

    def own_left(self, domain: Domain, repo: str, *, now: float) -> int:
        """Return how many more writes fit into Steward's share of the quota."""
        spent = self.counts(now=now).get(("own", domain, repo), 0)
        return max(0, int(QUOTA * OWN_SHARE) - spent)

    def of_others(self, domain: Domain, repo: str, *, now: float) -> int:
        """An estimate of the deliveries that others' writes caused within the last 3,600 s.

        The hour before the current one counts in part, as if its deliveries were spread evenly.
        """
        fields = [field(side, domain, repo, now=at) for at in (now, now - 3600) for side in ("all", "own")]
        deliveries, own, earlier_deliveries, earlier_own = (
            int(n or 0) for n in self._redis.hmget(self._keys.webhook_quota, fields)
        )
        before = max(0, earlier_deliveries - earlier_own) * (1 - now % 3600 / 3600)
        return max(0, deliveries - own) + round(before)

    def counts(self, *, now: float) -> dict[tuple[str, str, str], int]:
        """(side, domain, repo) → deliveries within the last 24 hours, and the hour that began before them."""
        totals: dict[tuple[str, str, str], int] = {}
        for (side, domain, hour, repo), count in _parsed(self._redis.hgetall(self._keys.webhook_quota)).items():
            if hour >= now // 3600 - _HOURS:
                totals[side, domain, repo] = totals.get((side, domain, repo), 0) + count
        return totals

    def judge(self, *, now: float) -> str:
        """Set or clear the flag, and return its text, empty while no webhook is near its quota. Removes old counts."""
        fields = _parsed(self._redis.hgetall(self._keys.webhook_quota))
        old = [" ".join((s, d, str(h), r)) for s, d, h, r in fields if h < now // 3600 - _HOURS]
        if old:
            self._redis.hdel(self._keys.webhook_quota, *old)
        counts = sorted(self.counts(now=now).items(), key=lambda item: item[1])  # the larger of own and all counts
        spent = {(d, r): n for (_, d, r), n in counts if n >= QUOTA * POLL_AT}
        warning = "; ".join(f"{n:,} of {QUOTA:,} deliveries about {d} of {r} in a day" for (d, r), n in spent.items())
        if warning:
            self._redis.set(self._keys.poll, warning)
        else:
            self._redis.delete(self._keys.poll)
        return warning


def _parsed(raw: Mapping[Any, Any]) -> dict[tuple[str, str, int, str], int]:
    counts: dict[tuple[str, str, int, str], int] = {}
    for name, count in raw.items():
        side, domain, hour, repo = text(name).split(" ", 3)
        counts[side, domain, int(hour), repo] = int(count)
    return counts
