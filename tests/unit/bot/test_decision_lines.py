"""The monthly file of moderation decisions, with one JSON line for each."""

from __future__ import annotations

from bot.threads.decision_log import _decisions_in
from redis_state.board.decisions import CommandDecision


def test_a_decision_is_one_line_whatever_its_words_hold() -> None:
    """A decision stays one line even if the command contains U+2028 or U+0085, which JSON does not escape."""
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
