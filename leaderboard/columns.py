"""The columns of the aggregated table `contents`, as existing front ends read them.

Names, order, types and polarity are those of the Open LLM Leaderboard's second table: `Flagged`, `Merged` and `MoE` are
true if the model is flagged, merged or a mixture of experts, and `Available on the hub` is true if the model exists. An
unknown text is null, but an unknown architecture is "?", which front ends split. One more column, `Asked`, is the last.

Rows in memory have these columns. The file of a board with a Gradio front end differs (`special_columns`).

An unknown number is 0, and -1 parameters: pandas reads a null number as NaN, and a strict JSON encoder then refuses the
whole table. Steward does not measure CO₂: it is 0 unless another program filled it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from leaderboard.evaluations import Key
from leaderboard.suites import Suite

FILE = "data/train-00000-of-00001.parquet"
"""The path of the table: the split `train` of the config `default`, which loaders find without configuration."""
SNAPSHOT = "leaderboard.json"
"""The path of the snapshot of the leaderboard, beside the table; static pages show it."""
ASKED = "Asked"
"""The column with the digest of an evaluation's questions: rows with the same digest can be compared. Front ends ignore
it, because they do not know it."""
Kind = Literal["text", "number", "count", "flag"]
ContentsRow = dict[str, Any]
_FRONT: tuple[tuple[str, Kind], ...] = (
    ("eval_name", "text"),
    ("Precision", "text"),
    ("Type", "text"),
    ("T", "text"),
    ("Weight type", "text"),
    ("Architecture", "text"),
    ("Model", "text"),
    ("fullname", "text"),
    ("Model sha", "text"),
    ("Average ⬆️", "number"),
    ("Hub License", "text"),
    ("Hub ❤️", "count"),
    ("#Params (B)", "number"),
    ("Available on the hub", "flag"),
    ("MoE", "flag"),
    ("Flagged", "flag"),
    ("Chat Template", "flag"),
    ("CO₂ cost (kg)", "number"),
)
_BACK: tuple[tuple[str, Kind], ...] = (
    ("Merged", "flag"),
    ("Official Providers", "flag"),
    ("Upload To Hub Date", "text"),
    ("Submission Date", "text"),
    ("Generation", "count"),
    ("Base Model", "text"),
    (ASKED, "text"),
)
_UNKNOWN = {"#Params (B)": -1.0}
"""Unknown values of columns of numbers, where that is not 0."""
_SPELLED = {"MuSR": "MUSR"}
"""Benchmarks whose columns have another spelling."""


@dataclass(frozen=True)
class ContentsColumn:
    """One column: its name and its type of value.

    The file has the values of the in-memory column `source` (`name` if it is empty), negated if `inverted`, and false
    where the in-memory column `unless` is true. What `unless` hides is read again from a column that is `exact`, which
    only tables by Steward have.
    """

    name: str
    kind: Kind
    source: str = ""
    inverted: bool = False
    unless: str = ""
    exact: bool = False

    @property
    def unknown(self) -> Any:
        """The value for an unknown one: a number in a column of numbers, else None."""
        match self.kind:
            case "count":
                return 0
            case "number":
                return _UNKNOWN.get(self.name, 0.0)
        return None

    def read(self, value: Any) -> Any:
        """Return `value`, which another program may have written, in this column's type; None for other types."""
        match self.kind:
            case "text":
                return value if isinstance(value, str) else None
            case "flag":
                return value if isinstance(value, bool) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return int(value) if self.kind == "count" else float(value)

    def in_file(self, row: ContentsRow) -> Any:
        """Return the value that the file has for a row in memory."""
        if self.unless and row.get(self.unless):
            return False
        value = row.get(self.source or self.name)
        return not value if self.inverted else value

    def from_file(self, values: Mapping[str, Any]) -> Any:
        """Return the value in memory for a row of the file; None if the row has no value, or one of another type."""
        value = self.read(values.get(self.name))
        return not value if self.inverted and value is not None else value


def columns(suite: Suite) -> tuple[ContentsColumn, ...]:
    """Return a board's columns in order; each benchmark has two in the middle, raw (0-1) and normalised."""
    names = [spelled(benchmark.name) for benchmark in suite.benchmarks]
    scores = [ContentsColumn(column, "number") for name in names for column in (f"{name} Raw", name)]
    return (*(ContentsColumn(*column) for column in _FRONT), *scores, *(ContentsColumn(*column) for column in _BACK))


_HIDING = tuple(ContentsColumn(name, "flag", inverted=True) for name in ("Merged", "MoE", "Flagged"))
_SPECIAL: Mapping[str, tuple[ContentsColumn, ...]] = {
    "gradio-v1": (*_HIDING, ContentsColumn("date", "text", source="Submission Date")),
    "gradio-v2": (
        *_HIDING,
        ContentsColumn("Not_Merged", "flag", source="Merged", inverted=True),
        ContentsColumn("Available on the hub", "flag", unless="Flagged"),
        ContentsColumn("On the hub", "flag", source="Available on the hub", exact=True),
    ),
}


def special_columns(front_end: str) -> tuple[ContentsColumn, ...]:
    """Return the columns that the file has in another form than memory, or in addition, for boards with this front end.

    The Gradio front ends hide a row if one of its inverted values is false, and fail without `date` or `Not_Merged`.
    The second one ignores `Flagged`, so the row of a flagged model is one of a model that is gone from the Hub.
    """
    return _SPECIAL.get(front_end, ())


def filled(row: ContentsRow, shape: Iterable[ContentsColumn]) -> ContentsRow:
    """Return `row` with the number for unknown values in each column of numbers that has none."""
    return row | {
        column.name: column.unknown for column in shape if row.get(column.name) is None and column.unknown is not None
    }


def spelled(benchmark: str) -> str:
    """Return the column name of a benchmark."""
    return _SPELLED.get(benchmark, benchmark)


def key_of(row: Mapping[str, Any]) -> Key:
    """Return the key of the evaluation that a row shows."""
    return (row.get("fullname") or "", row.get("Precision") or "", row.get("Weight type") or "Original")
