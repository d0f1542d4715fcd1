"""Converts the rows that the probe read from a file into the records that the rules of predictions use."""

from __future__ import annotations

from collections.abc import Mapping

from bot.probe.questions import PredictionCells
from leaderboard.prediction_checks import PredictionRow, PredictionTable, Unusable
from leaderboard.prediction_metrics import Value

Cell = Value | Unusable


def cell_of(value: object) -> Cell:
    """One cell, from its description by the probe's process."""
    if value is None or isinstance(value, str | int | float):
        return value
    description = value.get("what") if isinstance(value, Mapping) else None
    return Unusable(str(description)[:60])


def prediction_table(cells: PredictionCells) -> PredictionTable:
    """The rows of a submitter's file."""
    rows = tuple(PredictionRow(number, cell_of(row[0]), cell_of(row[1])) for number, row in cells.rows)
    return PredictionTable(rows, cells.bad_lines, cells.bad_count)
