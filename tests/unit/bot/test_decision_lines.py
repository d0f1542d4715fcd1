"""The compiled file of a month's decisions, a line each."""

from __future__ import annotations

from bot.threads.decision_log import _decisions_in
from redis_state.board.decisions import CommandDecision


def test_a_decision_is_one_line_whatever_its_words_hold() -> None:
    """JSON does not escape other characters that end a line, and anybody can write them into a command."""
    decision = CommandDecision.model_validate(
        {
            "at": "2026-11-25T12:00:00Z",
            "person": {"id": "1", "name": "ada"},
            "command": "/rename ada/old ada/new because\u2028of\u0085this",
            "verb": "rename",
            "allowed": True,
            "comment": "c1",
        }
    )
    written = f"{decision.model_dump_json()}\n"
    assert _decisions_in(written) == {decision.id: decision}
