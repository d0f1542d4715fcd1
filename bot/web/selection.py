"""Which evaluations a page of the leaderboard shows, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.web.row_columns import Numbers, Order


@dataclass(frozen=True)
class Selection:
    """Which evaluations are shown, and how they are ordered. Empty fields filter nothing."""

    query: str = ""
    categories: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    smallest: float | None = None
    largest: float | None = None
    """Bounds of the size, in billions of parameters."""
    merges: bool = True
    experts: bool = True
    flagged: bool = False
    deleted: bool = False
    """Whether merges, mixtures of experts, flagged models and deleted ones are included."""
    official: bool = False
    """Whether only models of official providers are shown."""
    per_model: bool = False
    """Whether only the best evaluation of each model is shown."""
    raw: bool = False
    """Whether scores are shown as measured, not normalised."""
    benchmarks: tuple[str, ...] = ()
    """The benchmarks over which the average is computed; empty: all."""
    sort: str = "average"
    rising: bool = False


@dataclass(frozen=True)
class Selected:
    """The selected evaluations in order, the rank of every row among them by average (0: not selected), and the number
    of matches that are left out because they are flagged. `best_first` holds the rows with a rank."""

    selection: Selection
    order: Order
    ranks: Order
    averages: Numbers
    flagged: int
    best_first: Order
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The ranges of ranks that were computed so far; see `RankRanges.ranges`."""
