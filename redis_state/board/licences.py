"""The licences of models with finished requests, as the Hub reports them.

The index has the licences of requests that were judged since it was created; this is for the others, which finished
before Redis was lost or before the board was adopted. Filled by `bot.results.scoreboard`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text


class Licences:
    """The known licences of one board's models, by their names as in the requests."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def find(self, models: Iterable[str]) -> dict[str, str]:
        """The licences of those `models` that name one. One round trip, none for no models."""
        wanted = list(dict.fromkeys(models))
        licences = self._redis.hmget(self._keys.licences, wanted) if wanted else []
        return {model: text(licence) for model, licence in zip(wanted, licences, strict=True) if licence}

    def models(self) -> set[str]:
        """The models that were read from the Hub, whether they name a licence or not. One round trip."""
        return {text(model) for model in self._redis.hkeys(self._keys.licences)}

    def put(self, licences: Mapping[str, str]) -> None:
        """Write licences; "" for a model that names none. One round trip."""
        mapping: Fields = dict(licences)
        if mapping:
            self._redis.hset(self._keys.licences, mapping=mapping)
