"""What an evaluator other than lm-eval changes for admission and results."""

from __future__ import annotations

from typing import Any

import pytest

from leaderboard.admission.needs import RULES_OF, board_with_needs
from leaderboard.admission.rules import rules_in_force
from leaderboard.boards import Board
from leaderboard.evaluators import EvaluatorNeeds
from leaderboard.steward_block import EvaluatorUse, StewardBlock
from leaderboard.suites import find_suite
from tests.support.evaluators.suites import suite

BOARD = Board.model_validate(
    {
        "name": "board",
        "title": "A board",
        "suite": "starter",
        "repos": {
            **{name: f"org/{name}" for name in ("requests", "results", "logs", "community")},
            "details_namespace": "org",
        },
    }
)  # fmt: skip
BLOCK: dict[str, Any] = {
    "attempt": "0123456789ab-01234567-1",
    "request": "org/m_eval_request_False_float32_Original.json",
    "model": "org/m",
    "revision": "0" * 40,
    "precision": "float32",
    "suite": "pairs",
    "suite_digest": "d" * 64,
    "started": "2026-01-01T00:00:00Z",
    "ended": "2026-01-01T01:00:00Z",
    "average": 0.0,
    "benchmarks": {},
}
ALL = {rule for rules in RULES_OF.values() for rule in rules}
NEEDS: dict[str, tuple[dict[str, bool], set[str]]] = {
    "everything, by default": ({}, set()),
    "no chat template": ({"chat_template": False}, {"chat-template"}),
    "no tokenizer": ({"tokenizer": False}, {"tokenizer-loads", "vocabulary", "special-tokens", "chat-template"}),
    "no causal model": ({"causal": False}, {"causal"}),
    "nothing": ({"tokenizer": False, "chat_template": False, "causal": False}, ALL),
}


@pytest.mark.parametrize(("needs", "off"), NEEDS.values(), ids=NEEDS)
def test_rules_about_what_is_not_needed_are_off(needs: dict[str, bool], off: set[str]) -> None:
    """Admission leaves out exactly the rules about what the evaluator does not need, such as a tokenizer."""
    before = {rule.name for rule in rules_in_force(BOARD.admission)}
    after = {rule.name for rule in rules_in_force(board_with_needs(BOARD, suite(needs=needs)).admission)}
    assert before - after == off and after <= before


def test_each_need_has_its_rules() -> None:
    """Each field of `EvaluatorNeeds` has rules of admission that depend on it."""
    assert set(RULES_OF) == set(EvaluatorNeeds.model_fields)


def test_lm_eval_needs_all() -> None:
    """The needs of lm-eval leave the board's policy of admission unchanged."""
    assert board_with_needs(BOARD, find_suite("starter")) is BOARD


def test_the_block_of_lm_eval_has_no_new_field() -> None:
    """The block of results by lm-eval has no field `evaluator`, so that files of running boards do not change."""
    assert "evaluator" not in StewardBlock.model_validate(BLOCK).model_dump(mode="json")
    use = EvaluatorUse(name="pairs", version="1.0", errors=2)
    block = StewardBlock.model_validate({**BLOCK, "evaluator": use.model_dump()})
    assert block.model_dump(mode="json")["evaluator"] == {"name": "pairs", "version": "1.0", "errors": 2}
