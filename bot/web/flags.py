"""Public views of a board's flags, read once for each commit of the flags repo.

Race accepted: a sync stores a newer commit between the read of the commit's id and the read of its records. The newer
records are then cached under the older id, until the next read.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bot.core.flag_table import FlagBook
from bot.read_models.models import ApiModel
from leaderboard.flags import FlagRecord


class FlagDecisionView(ApiModel):
    """One decision about a flag."""

    what: Literal["flagged", "lifted"]
    at: str
    by: str
    reason: str = ""


class FlagView(ApiModel):
    """A flag of a model, active or lifted. Its author can answer in `thread`."""

    model: str
    also: list[str] = Field(default_factory=list, description="other names of the model")
    stands: bool = Field(description="whether the flag is active; false: it was lifted")
    category: str
    words: str = Field(description="what the category means")
    reason: str = ""
    cure: str = Field(default="", description="what the model's author can do")
    revision: str = Field(default="", description="the flagged commit; empty: all")
    precision: str = ""
    thread: str = ""
    decisions: list[FlagDecisionView] = Field(default_factory=list)


class FlagReader:
    """The flags of one board. Safe to share between threads."""

    def __init__(self, book: FlagBook) -> None:
        self._book = book
        self._cache: tuple[str, list[FlagRecord]] = ("", [])

    def all(self) -> list[FlagView]:
        """Every flag, active ones first. One round trip to Redis, and another one if they changed."""
        records = sorted(self._records(), key=lambda record: (not record.stands, record.model.casefold()))
        return [flag_view(record) for record in records]

    def of(self, model: str) -> list[FlagView]:
        """The flags of the model that has, or had, this name. Case does not matter."""
        name = model.casefold()
        return [flag_view(record) for record in self._records() if name in map(str.casefold, record.names)]

    def _records(self) -> list[FlagRecord]:
        commit, records = self._book.known()
        cache = self._cache  # another thread may replace it meanwhile
        if cache[0] != commit:
            self._cache = cache = (commit, records())
        return cache[1]


def flag_view(record: FlagRecord) -> FlagView:
    """The public view of one flag."""
    return FlagView(
        model=record.model,
        also=list(record.also),
        stands=record.stands,
        category=record.category,
        words=record.kind.words,
        reason=record.reason,
        cure=record.kind.cure,
        revision=record.scope.revision,
        precision=record.scope.precision,
        thread=record.thread,
        decisions=[FlagDecisionView.model_validate(decision, from_attributes=True) for decision in record.decisions],
    )
