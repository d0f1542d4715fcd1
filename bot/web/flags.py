"""The flags of a board as pages and programs are told of them, read once for each commit of their repo.

Race accepted: a sync reads another commit between our looks at its id and at its records. Those are then kept under the
id before, until the next look.
"""

from __future__ import annotations

from bot.core.flag_table import FlagBook
from bot.web import board_models as models
from leaderboard.flags import FlagRecord


class FlagReader:
    """The flags of one board. Safe to share between threads."""

    def __init__(self, book: FlagBook) -> None:
        self._book = book
        self._known: tuple[str, list[FlagRecord]] = ("", [])

    def all(self) -> list[models.FlagView]:
        """Every flag, those that stand first. One round trip, and another one where they changed."""
        found = sorted(self._records(), key=lambda one: (not one.stands, one.model.casefold()))
        return [flag_view(one) for one in found]

    def of(self, model: str) -> list[models.FlagView]:
        """Those of the model that has, or had, this name, in any case of letters."""
        name = model.casefold()
        return [flag_view(one) for one in self._records() if name in map(str.casefold, one.names)]

    def _records(self) -> list[FlagRecord]:
        commit, records = self._book.known()
        known = self._known  # another thread may put a newer one in its place
        if known[0] != commit:
            self._known = known = (commit, records())
        return known[1]


def flag_view(record: FlagRecord) -> models.FlagView:
    """One flag as people are told of it."""
    decisions = [
        models.FlagDecisionView(what=one.what, at=one.at, by=one.by, reason=one.reason) for one in record.decisions
    ]
    return models.FlagView(
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
        decisions=decisions,
    )
