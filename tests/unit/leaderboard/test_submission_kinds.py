"""What people submit to a board, by its suite and its precisions."""

from __future__ import annotations

from typing import Any

import pytest

from leaderboard.boards import parse_board
from leaderboard.submission_kinds import MODELS_ALONE, SubmissionKinds, submission_kinds
from leaderboard.suites import find_suite
from steward.testing.board import BOARD
from tests.support.board.predictions import suite_at
from tests.support.evaluators.suites import suite

SEASON = {"name": "autumn", "begins": "2026-09-01T00:00:00Z", "ends": "2026-12-01T00:00:00Z"}
PREDICTED = suite_at("a" * 40)
TABLE: list[tuple[str, Any, tuple[str, ...], SubmissionKinds]] = [
    ("lm-eval", find_suite("starter"), ("bfloat16",), MODELS_ALONE),
    ("an evaluator", suite(needs={"causal": False}), ("bfloat16",), MODELS_ALONE),
    ("no templates", suite(needs={"chat_template": False}), ("bfloat16",), SubmissionKinds(chat_templates=False)),
    ("predictions", PREDICTED, ("predictions",), SubmissionKinds(False, True, False, False)),
    ("not mixed", PREDICTED, ("bfloat16",), SubmissionKinds(False, True, False, False)),
    ("both", PREDICTED, ("predictions", "bfloat16"), SubmissionKinds(True, True)),
    ("seasons", suite_at("a" * 40, seasons=[SEASON]), ("predictions",), SubmissionKinds(False, True, True, False)),
]


@pytest.mark.parametrize(("what", "kind", "precisions", "takes"), TABLE, ids=[row[0] for row in TABLE])
def test_a_board_takes_what_its_suite_and_precisions_say(
    what: str, kind: Any, precisions: tuple[str, ...], takes: SubmissionKinds
) -> None:
    """A board takes models unless its suite takes predictions only, and chat templates unless they are not needed."""
    board = parse_board(BOARD).model_copy(update={"precisions": precisions})
    assert submission_kinds(board, kind) == takes, what
