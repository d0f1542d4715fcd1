"""The columns of the leaderboard: their keys, titles and kinds, for pages, the API and the static Space."""

from collections.abc import Sequence
from typing import Literal

from bot.read_models.models import ApiModel
from leaderboard.submission_kinds import MODELS_ALONE, SubmissionKinds

Kind = Literal["rank", "range", "model", "score", "number", "count", "text", "code", "date", "flag"]


class ColumnView(ApiModel):
    """One column: the field of a row with its values, its title, its kind of values, and whether it is shown at first.

    The values of a column of kind `score` are in the field `scores`, by the column's title, except for the average.
    """

    key: str
    title: str
    kind: Kind
    shown: bool = True


_BEFORE_SCORES = (
    ColumnView(key="rank", title="Rank", kind="rank"),
    ColumnView(key="rank_range", title="Range of ranks", kind="range"),
    ColumnView(key="model", title="Model", kind="model"),
    ColumnView(key="average", title="Average", kind="score"),
)
_AFTER_SCORES = (
    ColumnView(key="parameters", title="#Params (B)", kind="number"),
    ColumnView(key="precision", title="Precision", kind="text"),
    ColumnView(key="weight_type", title="Weight type", kind="text"),
    ColumnView(key="architecture", title="Architecture", kind="text"),
    ColumnView(key="licence", title="Hub License", kind="text"),
    ColumnView(key="likes", title="Hub ❤️", kind="count"),
    ColumnView(key="submitted", title="Submitted", kind="date"),
    ColumnView(key="uploaded", title="Uploaded", kind="date"),
    ColumnView(key="chat_template", title="Chat template", kind="flag"),
    ColumnView(key="base_model", title="Base model", kind="text"),
    ColumnView(key="category", title="Type", kind="text", shown=False),
    ColumnView(key="generation", title="Generation", kind="count", shown=False),
    ColumnView(key="co2", title="CO₂ (kg)", kind="number", shown=False),
    ColumnView(key="revision", title="Model sha", kind="code", shown=False),
    ColumnView(key="asked", title="Asked", kind="code", shown=False),
    ColumnView(key="merged", title="Merged", kind="flag", shown=False),
    ColumnView(key="moe", title="MoE", kind="flag", shown=False),
    ColumnView(key="official", title="Official provider", kind="flag", shown=False),
)
_KEYS_OF_PREDICTIONS = ("submitted", "revision", "asked")
"""Columns after the scores that a board of predictions alone has: all others describe a model."""
_TITLES = {"model": "Predictions", "revision": "Commit"}
"""Column → its title on a board of predictions alone, where that differs."""


def standard_columns(
    benchmarks: Sequence[str], *, ranges: bool, takes: SubmissionKinds = MODELS_ALONE
) -> list[ColumnView]:
    """All columns of a board with these benchmarks, in order, for the kinds of submissions that the board `takes`."""
    before = [column for column in _BEFORE_SCORES if column.kind != "range" or ranges]
    scores = [ColumnView(key=name, title=name, kind="score") for name in benchmarks]
    if takes.models:
        has_chat = takes.chat_templates
        return [*before, *scores, *(column for column in _AFTER_SCORES if has_chat or column.key != "chat_template")]
    before = [_of_predictions(column) for column in before]
    after = [_of_predictions(column) for column in _AFTER_SCORES if column.key in _KEYS_OF_PREDICTIONS]
    return [*before, *scores, *after]


def _of_predictions(column: ColumnView) -> ColumnView:
    """The column with the title that it has on a board of predictions alone."""
    return column.model_copy(update={"title": _TITLES.get(column.key, column.title)})
