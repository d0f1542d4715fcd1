"""The frozen table of a season: which submissions count, and their ranking by the private part of the questions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.jsontext import JsonObject
from leaderboard.predictions import Season
from leaderboard.reasons import describe_errors
from leaderboard.scores import Scores
from leaderboard.times import write_time

BLOCK = "predictions"
"""The object in a results file that describes the predictions whose scores it has."""
Points = Annotated[float, Field(ge=0, le=100)]


class BadSeason(ValueError):
    """The data is no frozen table of a season."""


class SubmittedPredictions(BaseModel):
    """The object `predictions` in a results file: the scored file, and the season in which it counts ("": none)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    file: str = Field(max_length=1_000, description="path in the requests repo")
    commit: str = Field(pattern=r"^[0-9a-f]{40}$", description="commit of the requests repo")
    questions: int = Field(ge=1, description="questions, public and private ones")
    submitter: str = Field(default="", max_length=100)
    season: str = Field(default="", max_length=60)
    rounded_to: float = Field(gt=0, le=0.1, description="step of the raw scores in the file")
    part: Literal["public"] = "public"


class FrozenRow(BaseModel):
    """One submission in the ranking of a season. `note` says why it has no private scores and no rank, if so."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rank: int | None = Field(default=None, ge=1)
    model: str = Field(max_length=200)
    submitter: str = Field(default="", max_length=100)
    submitted: str = Field(max_length=40)
    private: Points | None = Field(default=None, description="average of the scores of the private part")
    benchmarks: dict[str, Points] = Field(default_factory=dict, description="its scores by benchmark")
    public: Points = Field(description="average of the scores of the public part")
    file: str = Field(max_length=1_000)
    commit: str = Field(max_length=40)
    results: str = Field(max_length=1_000, description="results file of the public part")
    flagged: bool = False
    note: str = Field(default="", max_length=300)


class FrozenSeason(BaseModel):
    """The table of a season, written once, at its end."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    name: str = Field(max_length=60)
    begins: str = Field(max_length=40)
    ends: str = Field(max_length=40)
    frozen: str = Field(max_length=40, description="when the table was written")
    suite: str = Field(max_length=100)
    suite_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    rows: tuple[FrozenRow, ...] = Field(max_length=100_000)


def season_path(name: str) -> str:
    """Return the path of a season's frozen table in the results repo.

    It has no `.json`, because front ends read every `.json` file as results.
    """
    return f"seasons/{name}.season"


def read_season(data: bytes) -> FrozenSeason:
    """Parse a frozen table. Raises BadSeason."""
    try:
        return FrozenSeason.model_validate_json(data)
    except ValidationError as error:
        raise BadSeason(f"it is no table of a season: {describe_errors(error, limit=3)}") from error


def submitted_predictions(results: JsonObject) -> SubmittedPredictions | None:
    """Return the object about predictions in a results file; None if the results are not of predictions."""
    try:
        return SubmittedPredictions.model_validate(results.get(BLOCK))
    except ValidationError:
        return None


def ended_seasons(seasons: Iterable[Season], now: float) -> list[Season]:
    """Return the seasons that have ended, the first to end first."""
    moment = datetime.fromtimestamp(now, UTC)
    return sorted((season for season in seasons if season.ends <= moment), key=lambda season: season.ends)


def next_end(seasons: Iterable[Season], now: float) -> float | None:
    """Return the time at which the next season ends; None without one."""
    return min((end for season in seasons if (end := season.ends.timestamp()) > now), default=None)


def with_private(row: FrozenRow, scores: Scores) -> FrozenRow:
    """Return `row` with the scores of the private part."""
    return row.model_copy(update={"private": scores.average, "benchmarks": scores.by_name})


def ranked(rows: Sequence[FrozenRow]) -> tuple[FrozenRow, ...]:
    """Return `rows` with their ranks by private average, best first; equal scores share a rank, the earlier one first.

    Flagged rows, and rows without private scores, come last and have no rank.
    """
    compete = [row for row in rows if row.private is not None and not row.flagged]
    compete.sort(key=lambda row: (-(row.private or 0.0), row.submitted, row.model))
    others = sorted((row for row in rows if row.private is None or row.flagged), key=lambda row: row.model)
    ranks: dict[float | None, int] = {}
    for place, row in enumerate(compete, 1):
        ranks.setdefault(row.private, place)
    placed = [row.model_copy(update={"rank": ranks[row.private]}) for row in compete]
    return (*placed, *others)


def freeze(season: Season, rows: Sequence[FrozenRow], *, suite: str, digest: str, now: float) -> bytes:
    """Return the bytes of the frozen table of `season`."""
    table = FrozenSeason(
        name=season.name,
        begins=write_time(season.begins.timestamp()),
        ends=write_time(season.ends.timestamp()),
        frozen=write_time(now),
        suite=suite,
        suite_digest=digest,
        rows=ranked(rows),
    )
    return table.model_dump_json(indent=2).encode() + b"\n"
