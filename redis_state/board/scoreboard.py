"""What evaluations came to, for whoever compares: a model's scores beside its base model's, and its category's best.

Noted when results are published, and filled up from the results repo by `bot.results.scoreboard`: after Redis was
lost, and for what others published before the board was adopted. Where something is not known, nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.categories import ModelCategory
from redis_state.keys import Keys
from redis_state.redis import Redis, text

REPLACE = """
local put = {}
for at = 1, #ARGV, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[at]) or '') == ARGV[at + 1] then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 2])
    put[#put + 1] = ARGV[at]
  end
end
return put
"""
"""Keys: the scores. Arguments, three for each: path, what is noted there now ('' for nothing), what is to be.
Answers the paths of those that were noted."""


class EvaluationScores(BaseModel):
    """One evaluation: benchmark → normalised score (0-100), and their mean, by one suite."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    model: str
    suite: str = Field(description="digest: only scores of the same suite can be compared")
    category: ModelCategory = ModelCategory.UNKNOWN
    average: float
    benchmarks: dict[str, float] = Field(default_factory=dict)
    revision: str = Field(default="", description="the commit that was evaluated, as far as it is known")
    results: str = Field(default="", description="path of the file that they are from")


class Scoreboard:
    """The scores of one board's requests."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._mend = redis.register_script(REPLACE)

    def put(self, scored: EvaluationScores) -> None:
        """Remember one, in place of an earlier one of the same request. One round trip."""
        self._redis.hset(self._keys.scores, scored.path, scored.model_dump_json())

    def find(self, paths: Iterable[str]) -> dict[str, EvaluationScores]:
        """Those of the requests at `paths` that are known. One round trip."""
        wanted = list(paths)
        found = self._redis.hmget(self._keys.scores, wanted) if wanted else []
        read = (read_scored(raw) for raw in found if raw is not None)
        return {one.path: one for one in read if one is not None}

    def all(self) -> list[EvaluationScores]:
        """All that are known: a few thousand on the largest of boards. One round trip."""
        found = (read_scored(raw) for raw in self._redis.hvals(self._keys.scores))
        return [one for one in found if one is not None]

    # --- filling up

    def noted(self) -> dict[str, bytes | str]:
        """All that is known, by path, as it stands there. One round trip."""
        return {text(path): raw for path, raw in self._redis.hgetall(self._keys.scores).items()}

    def mend(self, changes: Sequence[tuple[bytes | str | None, EvaluationScores]]) -> list[str]:
        """Remember each where what it follows upon still stands there; the paths of those. One round trip.

        What was published meanwhile stays: it is newer than what a change was made of.
        """
        args = [part for was, one in changes for part in (one.path, was or b"", one.model_dump_json())]
        found: Any = self._mend(keys=[self._keys.scores], args=args) if args else []
        return [text(path) for path in found]

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those of `paths` whose scores are not known. One round trip."""
        known = {text(path) for path in self._redis.hkeys(self._keys.scores)}
        return sorted(path for path in paths if path not in known)

    def state(self) -> tuple[str, str]:
        """What they were filled up from last, and the commit at which somebody else changed the results repo last."""
        filled, told = self._redis.hmget(self._keys.scores_state, ["filled", "told"])
        return text(filled or b""), text(told or b"")

    def note_filled(self, word: str) -> None:
        """They were filled up from what `word` stands for."""
        self._redis.hset(self._keys.scores_state, "filled", word)

    def note_told(self, commit: str) -> None:
        """Somebody else changed the results repo, up to `commit`."""
        self._redis.hset(self._keys.scores_state, "told", commit)


def read_scored(raw: bytes | str) -> EvaluationScores | None:
    """What stands there; None where that cannot be read."""
    try:
        return EvaluationScores.model_validate_json(text(raw))
    except ValidationError:
        return None  # written by another version: whoever fills them up writes it anew


def same_category(scored: Iterable[EvaluationScores], like: EvaluationScores) -> list[EvaluationScores]:
    """Other models of the category of `like`, by the same suite, the best first; none where it is not known."""
    if like.category is ModelCategory.UNKNOWN:
        return []
    what, model = (like.category, like.suite), like.model.casefold()
    return _best_first(one for one in scored if (one.category, one.suite) == what and one.model.casefold() != model)


def of_model(scored: Iterable[EvaluationScores], model: str, suite: str) -> list[EvaluationScores]:
    """The evaluations of `model` by `suite`, the best first."""
    return _best_first(one for one in scored if one.suite == suite and one.model.casefold() == model.casefold())


def _best_first(scored: Iterable[EvaluationScores]) -> list[EvaluationScores]:
    return sorted(scored, key=lambda one: (-one.average, one.path))
