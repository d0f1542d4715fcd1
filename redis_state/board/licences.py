"""The licences of models whose requests finished, as the Hub tells them.

The index knows the licence of what was judged since it was new; this is for all others: what finished before Redis was
lost, or before the board was adopted. Filled by `bot.results.scoreboard`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text


class Licences:
    """What is known of the licences of one board's models, by their names as the requests spell them."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def find(self, models: Iterable[str]) -> dict[str, str]:
        """The licences of `models`, of those that name one. One round trip, none for no models."""
        wanted = list(dict.fromkeys(models))
        found = self._redis.hmget(self._keys.licences, wanted) if wanted else []
        return {model: text(said) for model, said in zip(wanted, found, strict=True) if said}

    def models(self) -> set[str]:
        """The models that were asked about, whether they name a licence or not. One round trip."""
        return {text(model) for model in self._redis.hkeys(self._keys.licences)}

    def put(self, licences: Mapping[str, str]) -> None:
        """Remember these; "" where a model names none. One round trip."""
        mapping: Fields = dict(licences)
        if mapping:
            self._redis.hset(self._keys.licences, mapping=mapping)
