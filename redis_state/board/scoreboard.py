"""Scores of finished evaluations, for comparisons with the base model's and the category's best; models' licences.

The bot writes them when it publishes results. `bot.results.scoreboard` fills them in from the results repo after a loss
of Redis, and for results from before the board's adoption. Pages leave out scores that are not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.categories import ModelCategory
from leaderboard.comparability import ComparisonGroups
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

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
"""Keys: the scores. Arguments, three for each: path, the expected stored value ('' for none), the new value.
Returns the paths that were written."""


class EvaluationScores(BaseModel):
    """One evaluation: benchmark → normalised score (0-100), and their mean, by one suite."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    model: str
    suite: str = Field(description="digest of the suite")
    asked: str = Field(default="", description="digest of the questions, if the results name it")
    category: ModelCategory = ModelCategory.UNKNOWN
    average: float
    benchmarks: dict[str, float] = Field(default_factory=dict)
    raw: dict[str, float] = Field(default_factory=dict, description="benchmark → score as measured, 0-1")
    errors: dict[str, float] = Field(default_factory=dict, description="benchmark → standard error, if known")
    average_error: float | None = Field(default=None, description="standard error of the average, if known")
    influence: str = Field(default="", description="the average's influence vector; see leaderboard.ranks")
    benchmark_influences: dict[str, str] = Field(default_factory=dict, description="those of benchmarks, if known")
    revision: str = Field(default="", description="the evaluated commit, if known")
    results: str = Field(default="", description="path of the results file")
    note: str = Field(default="", description="a sentence for readers of the scores")
    replayed: int = Field(default=0, description="answers that an earlier attempt had computed")


class Scoreboard:
    """The scores of one board's requests."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._replace = redis.register_script(REPLACE)

    def put(self, scored: EvaluationScores) -> None:
        """Write scores; they replace earlier ones of the same request. One round trip."""
        self._redis.hset(self._keys.scores, scored.path, scored.model_dump_json())

    def find(self, paths: Iterable[str]) -> dict[str, EvaluationScores]:
        """The known scores of the requests at `paths`. One round trip."""
        wanted = list(paths)
        values = self._redis.hmget(self._keys.scores, wanted) if wanted else []
        parsed = (read_scored(raw) for raw in values if raw is not None)
        return {scores.path: scores for scores in parsed if scores is not None}

    def all(self) -> list[EvaluationScores]:
        """All known scores: a few thousand on the largest boards. One round trip."""
        parsed = (read_scored(raw) for raw in self._redis.hvals(self._keys.scores))
        return [scores for scores in parsed if scores is not None]

    # --- filling

    def noted(self) -> dict[str, bytes | str]:
        """All stored values, by path, unparsed. One round trip."""
        return {text(path): raw for path, raw in self._redis.hgetall(self._keys.scores).items()}

    def replace_unchanged(self, changes: Sequence[tuple[bytes | str | None, EvaluationScores]]) -> list[str]:
        """Write each of `changes` (stored value, new scores) if the stored value is unchanged; return their paths.

        Scores that were published meanwhile stay, because they are newer. One round trip.
        """
        args = [part for stored, new in changes for part in (new.path, stored or b"", new.model_dump_json())]
        written: Any = self._replace(keys=[self._keys.scores], args=args) if args else []
        return [text(path) for path in written]

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those of `paths` without known scores. One round trip."""
        known = {text(path) for path in self._redis.hkeys(self._keys.scores)}
        return sorted(path for path in paths if path not in known)

    def state(self) -> tuple[str, str]:
        """The source from which scores were last filled, and the commits of the last noted change."""
        filled, stated = self._redis.hmget(self._keys.scores_state, ["filled", "told"])
        return text(filled or b""), text(stated or b"")

    def note_filled(self, source: str) -> None:
        """Record the source from which the scores were filled."""
        self._redis.hset(self._keys.scores_state, "filled", source)

    def note_told(self, commits: str) -> None:
        """Record that results, or facts about them in requests, have changed, up to `commits`."""
        self._redis.hset(self._keys.scores_state, "told", commits)


def read_scored(raw: bytes | str) -> EvaluationScores | None:
    """Parse stored scores; None if they are malformed."""
    try:
        return EvaluationScores.model_validate_json(text(raw))
    except ValidationError:
        return None  # written by another version: the next filling replaces it


def comparable(scored: Sequence[EvaluationScores], own: EvaluationScores) -> list[EvaluationScores]:
    """Those of all `scored` evaluations that answered the same questions as `own`."""
    groups = ComparisonGroups((each.suite, each.asked) for each in scored)
    own_group = groups.of(own.suite, own.asked)
    return [each for each in scored if groups.of(each.suite, each.asked) == own_group]


def same_category(scored: Iterable[EvaluationScores], like: EvaluationScores) -> list[EvaluationScores]:
    """Other models of the category of `like`, best first; none if the category is not known."""
    if like.category is ModelCategory.UNKNOWN:
        return []
    model = like.model.casefold()
    others = (each for each in scored if each.model.casefold() != model)
    return _best_first(each for each in others if each.category == like.category)


def of_model(scored: Iterable[EvaluationScores], model: str) -> list[EvaluationScores]:
    """The evaluations of `model`, best first."""
    return _best_first(each for each in scored if each.model.casefold() == model.casefold())


def _best_first(scored: Iterable[EvaluationScores]) -> list[EvaluationScores]:
    return sorted(scored, key=lambda each: (-each.average, each.path))


class Licences:
    """The licences on the Hub of models with finished requests, by their names as in the requests.

    The index has the licences of requests that were judged since it was created; this class holds those of the others.
    """

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
