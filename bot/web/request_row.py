"""One row of the tables that pages show: a request with its scores, or another evaluation of the aggregated table."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from bot.read_models import serializers
from bot.results.searching import values_of
from leaderboard.categories import ModelCategory, read_category
from leaderboard.columns import ASKED, spelled
from leaderboard.ranks import RankedScore
from leaderboard.result_digests import SHORT_DIGEST
from leaderboard.search import COLUMNS, Value, fold
from leaderboard.times import read_time
from redis_state.board.entry import IndexEntry
from redis_state.board.scoreboard import EvaluationScores

CATEGORIES: dict[str, ModelCategory] = {category.value: category for category in ModelCategory}


class NamedNumbers(Mapping[str, float]):
    """Numbers by name: a mapping that takes a quarter of a dictionary's memory where many have the same names."""

    __slots__ = ("_names", "_numbers")
    _SHARED: ClassVar[dict[tuple[str, ...], tuple[str, ...]]] = {}
    """The names of all mappings; each distinct tuple is stored once, and there are few."""

    def __init__(self, numbers: Mapping[str, float]) -> None:
        names = tuple(numbers)
        self._names = self._SHARED.setdefault(names, names)
        self._numbers = array("d", numbers.values())

    def __getitem__(self, name: str) -> float:
        try:
            return self._numbers[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


NO_NUMBERS = NamedNumbers({})


class TableFacts(NamedTuple):
    """The facts of an evaluation that the aggregated table holds beside its scores; None where they are unknown."""

    likes: int | None = None
    uploaded: str = ""
    generation: int | None = None
    base_model: str = ""
    co2: float | None = None
    chat_template: bool | None = None
    merged: bool = False
    moe: bool = False
    official: bool = False
    available: bool = True
    flagged: bool = False
    raw: Mapping[str, float] = NO_NUMBERS
    """Scores as measured, 0-1, by benchmark."""


NO_FACTS = TableFacts()
_PLACES = {column.key: at for at, column in enumerate(column for column in COLUMNS if column.key != "flagged")}


class RowValues(Mapping[str, Value]):
    """The values of one row by column: a mapping that takes a third of a dictionary's memory."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        read = (values[key] for key in _PLACES)
        self._values = tuple(sys.intern(value) if isinstance(value, str) else value for value in read)

    def __getitem__(self, key: str) -> Value:
        return self._values[_PLACES[key]]

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request: the values that its row shows and that searches match. `benchmarks` are normalised scores by name,
    `suite` and `asked` the digests of the suite that they belong to and of its questions, as far as they are known."""

    path: str
    model: str
    folded: str
    state: str
    time: float
    values: Mapping[str, Value]
    weights: str = ""
    suite: str = ""
    asked: str = ""
    benchmarks: Mapping[str, float] = field(default_factory=lambda: NO_NUMBERS)
    errors: Mapping[str, float] = field(default_factory=lambda: NO_NUMBERS)
    facts: TableFacts = NO_FACTS
    id: str = ""
    """The id of the evaluation; "" for the newest one of a request."""
    influence: str = ""
    """The average's influence vector (`leaderboard.ranks`)."""

    @property
    def is_merge(self) -> bool:
        """Whether the model or its submission declares a merge."""
        return self.facts.merged or self.values["category"] == ModelCategory.MERGE.value

    @property
    def ranked(self) -> RankedScore:
        """The average with its error and influence vector, as ranges of ranks need it."""
        return RankedScore(self.average or 0.0, self.errors.get("average"), self.influence, self.suite)

    @property
    def average(self) -> float | None:
        """The mean of its scores; None if it was not evaluated."""
        average = self.values["average"]
        return average if isinstance(average, float) else None


def row_of(
    entry: IndexEntry, scored: EvaluationScores | None, licence: str = "", facts: TableFacts = NO_FACTS
) -> RequestRow:
    """The row of one public request."""
    name, values = values_of(entry, scored, licence)
    state = serializers.state_of(entry)
    benchmarks = NamedNumbers(scored.benchmarks) if scored is not None else NO_NUMBERS
    if scored is not None and facts is NO_FACTS:  # the evaluation is newer than the aggregated table
        facts = TableFacts(chat_template=entry.standing.chat_template, raw=NamedNumbers(scored.raw))
    return RequestRow(
        entry.path,
        name,
        fold(name),
        state,
        entry.time,
        RowValues(values),
        entry.weights,
        sys.intern(scored.suite if scored is not None else ""),
        sys.intern(scored.asked if scored is not None else ""),
        benchmarks,
        errors_of(scored),
        facts,
        influence=scored.influence if scored is not None else "",
    )


def errors_of(scored: EvaluationScores | None) -> Mapping[str, float]:
    """The standard errors of the benchmarks and of the `average`, as far as they are known."""
    if scored is None or not scored.errors:
        return NO_NUMBERS
    average = {} if scored.average_error is None else {"average": scored.average_error}
    return NamedNumbers({**scored.errors, **average})


def facts_of(row: Mapping[str, Any], benchmarks: Iterable[str]) -> TableFacts:
    """The facts in a row of the aggregated table, in which a CO₂ cost of 0 means an unknown one."""
    raw = {name: row.get(f"{spelled(name)} Raw") for name in benchmarks}
    return TableFacts(
        likes=row.get("Hub ❤️"),
        uploaded=sys.intern(row.get("Upload To Hub Date") or ""),
        generation=row.get("Generation"),
        base_model=sys.intern(base) if (base := row.get("Base Model") or "") != row.get("fullname") else "",
        co2=row.get("CO₂ cost (kg)") or None,
        chat_template=row.get("Chat Template"),
        merged=bool(row.get("Merged")),
        moe=bool(row.get("MoE")),
        official=bool(row.get("Official Providers")),
        available=row.get("Available on the hub") is not False,
        flagged=row.get("Flagged") is True,
        raw=NamedNumbers({name: value for name, value in raw.items() if isinstance(value, float)}),
    )


def other_row(at: str, row: Mapping[str, Any], benchmarks: Sequence[str]) -> RequestRow | None:
    """The row of an earlier commit, or by another program, with the id `at`; None if it names no model or no average.

    The id of an earlier commit begins with the path of its request.
    """
    name, average, parameters = row.get("fullname") or "", row.get("Average ⬆️"), row.get("#Params (B)")
    if not name or not isinstance(average, float):
        return None
    path, asked = at.rpartition("@")[0], row.get(ASKED) or ""
    values: dict[str, Value] = {
        "licence": row.get("Hub License") or "",
        "precision": row.get("Precision") or "",
        "weights": row.get("Weight type") or "",
        "organisation": name.rpartition("/")[0],
        "category": read_category(row.get("Type")).value,
        "architecture": row.get("Architecture") or "",
        "status": "FINISHED",
        "submitter": "",
        "base": row.get("Base Model") or "",
        "revision": row.get("Model sha") or "",
        "asked": asked[:SHORT_DIGEST],
        "average": average,
        "parameters": parameters if isinstance(parameters, float) and parameters >= 0 else None,
    }
    scores = {name: row[spelled(name)] for name in benchmarks if isinstance(row.get(spelled(name)), float)}
    time = read_time(row.get("Submission Date") or "") or 0.0
    is_request = path.endswith(".json")
    return RequestRow(
        path if is_request else "",
        name,
        fold(name),
        "finished",
        time,
        RowValues(values),
        asked=sys.intern(asked),
        benchmarks=NamedNumbers(scores),
        facts=facts_of(row, benchmarks),
        id=at,
    )


def category_of(line: RequestRow) -> ModelCategory:
    """The category that the row's submission states."""
    return CATEGORIES.get(str(line.values["category"]), ModelCategory.UNKNOWN)
