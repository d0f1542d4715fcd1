"""What evaluations came to, for whoever compares: a model's scores beside its base model's, and its category's best.

Noted when results are published. After Redis was lost the scores of what finished before are not known here until it
is evaluated again; where something is not known, nothing is said about it.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.categories import Category
from wire.keys import Keys
from wire.redis import Redis, text


class Scored(BaseModel):
    """One evaluation: benchmark → normalised score (0-100), and their mean, by one suite."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    model: str
    suite: str = Field(description="digest: only scores of the same suite can be compared")
    category: Category = Category.UNKNOWN
    average: float
    benchmarks: dict[str, float] = Field(default_factory=dict)


class Scoreboard:
    """The scores of one board's requests."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, scored: Scored) -> None:
        """Remember one, in place of an earlier one of the same request. One round trip."""
        self._redis.hset(self._keys.scores, scored.path, scored.model_dump_json())

    def find(self, paths: Iterable[str]) -> dict[str, Scored]:
        """Those of the requests at `paths` that are known. One round trip."""
        wanted = list(paths)
        found = self._redis.hmget(self._keys.scores, wanted) if wanted else []
        read = (_scored(raw) for raw in found if raw is not None)
        return {one.path: one for one in read if one is not None}

    def all(self) -> list[Scored]:
        """All that are known: a few thousand on the largest of boards. One round trip."""
        found = (_scored(raw) for raw in self._redis.hvals(self._keys.scores))
        return [one for one in found if one is not None]


def _scored(raw: bytes | str) -> Scored | None:
    try:
        return Scored.model_validate_json(text(raw))
    except ValidationError:
        return None  # written by another version: the next evaluation writes it anew


def same_category(scored: Iterable[Scored], like: Scored) -> list[Scored]:
    """Other models of the category of `like`, by the same suite, the best first; none where it is not known."""
    if like.category is Category.UNKNOWN:
        return []
    what, model = (like.category, like.suite), like.model.casefold()
    return _best_first(one for one in scored if (one.category, one.suite) == what and one.model.casefold() != model)


def of_model(scored: Iterable[Scored], model: str, suite: str) -> list[Scored]:
    """The evaluations of `model` by `suite`, the best first."""
    return _best_first(one for one in scored if one.suite == suite and one.model.casefold() == model.casefold())


def _best_first(scored: Iterable[Scored]) -> list[Scored]:
    return sorted(scored, key=lambda one: (-one.average, one.path))
