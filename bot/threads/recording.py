"""Record the commands of a comment that decide something, one decision for each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bot.core.context import BoardContext
from bot.core.decision_records import record_decision
from bot.threads.replies import CommentCommands, Section
from leaderboard.roles import Person
from redis_state.clock import iso


def record_sections(
    context: BoardContext, source: CommentCommands, person: Person, sections: Iterable[Section]
) -> None:
    """Record each of `sections` whose verb decides something, allowed or not, at the Hub's time of the comment."""
    for section in sections:
        call = section.call
        if call is None or not call.verb.decides:
            continue
        at = source.comment.created_at.astimezone(UTC)
        fields = _fields(context, source, person, section, at)
        record_decision(context, fields, at, cause=call.cause, line=f"Record /{call.verb.name}")


def _fields(
    context: BoardContext, source: CommentCommands, person: Person, section: Section, at: datetime
) -> dict[str, Any]:
    assert section.call is not None
    return {
        "at": iso(at.timestamp()),
        "person": {"id": person.id, "name": person.name},
        "roles": sorted(section.call.roles),
        "command": section.line,
        "verb": section.call.verb.name,
        "arguments": dict(section.call.arguments),
        "requests": [entry.path for entry in section.call.entries],
        "model": section.call.model,
        "allowed": section.answer.allowed,
        "answer": str(section.text),
        "thread": {"repo": f"{source.repo.kind}/{source.repo.id}", "number": source.thread.num},
        "comment": source.comment.id,
        "number": section.call.number,
        "board": context.board.name,
    }
