"""The positions at the start of a padded batch whose outputs the harness does not read."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workers.evaluation.padding import unread_positions

ROWS = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.integers(1, 9)), min_size=1, max_size=5
)
"""Rows of a batch: the tokens before padding, and how many of the last positions are an answer's."""


def batch_of(rows: list[list[int]]) -> Any:
    """A tensor of these rows; torch is imported here, because every test process collects this file."""
    import torch

    return torch.tensor(rows)


@given(ROWS)
def test_no_position_of_an_answer_is_left_out(rows: list[tuple[list[int], int]]) -> None:
    """For any tokens, zeros included, no discarded position belongs to an answer."""
    rows = [(row, min(answer, len(row))) for row, answer in rows]
    width = max(len(row) for row, _ in rows)
    batch = batch_of([row + [0] * (width - len(row)) for row, _ in rows])
    left_out = unread_positions(batch, max(answer for _, answer in rows))
    assert 0 <= left_out <= min(len(row) - answer for row, answer in rows)


def test_all_before_the_longest_answer_of_the_shortest_row_is_left_out() -> None:
    """Of rows of six and four tokens with answers of at most two, the first two positions are discarded."""
    assert unread_positions(batch_of([[5, 6, 7, 8, 9, 4], [5, 6, 7, 8, 0, 0]]), 2) == 2
