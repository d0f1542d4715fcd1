"""Turns off the admission rules about properties of a model that a suite's evaluator does not need."""

from __future__ import annotations

from collections.abc import Mapping

from leaderboard.boards import Board
from leaderboard.policy import Switchable
from leaderboard.suites import Suite

RULES_OF: Mapping[str, tuple[Switchable, ...]] = {
    "tokenizer": ("tokenizer-loads", "vocabulary", "special-tokens", "chat-template"),
    "chat_template": ("chat-template",),
    "causal": ("causal",),
}
"""Field of `leaderboard.evaluators.EvaluatorNeeds` → the rules that hold only where the evaluator needs it."""


def board_with_needs(board: Board, suite: Suite) -> Board:
    """Return `board` without the rules that its suite's evaluator does not need; lm-eval needs all of them."""
    if suite.evaluator is None:
        return board
    needs = suite.evaluator.needs.model_dump()
    not_needed = [rule for need, rules in RULES_OF.items() if not needs[need] for rule in rules]
    off = tuple(dict.fromkeys((*board.admission.off, *not_needed)))
    return board.model_copy(update={"admission": board.admission.model_copy(update={"off": off})})
