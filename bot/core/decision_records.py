"""The record of decisions: who had what done by a command, in a file each in the logs repo.

The reply in the thread is the first record, and everybody can read it. These files are the same for programs, and for
whoever looks for all that one person decided.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.core.context import BoardContext
from bot.ledger.edits import PutFile
from leaderboard.roles import Person
from redis_state.board.decisions import CommandDecision
from redis_state.clock import iso

if TYPE_CHECKING:
    from bot.threads.replies import CommentCommands, Section

FOLDER = "decisions"


def record_sections(context: BoardContext, heard: CommentCommands, person: Person, sections: Iterable[Section]) -> None:
    """Keep each of `sections` that decided something, or tried to. The time is that of the comment, by the Hub."""
    for section in sections:
        call = section.call
        if call is None or not call.verb.decides:
            continue
        at = heard.comment.created_at.astimezone(UTC)
        fields = _fields(context, heard, person, section, at)
        record_decision(context, fields, at, cause=call.cause, line=f"Record /{call.verb.name}")


def record_decision(context: BoardContext, fields: dict[str, Any], at: datetime, *, cause: str, line: str) -> None:
    """Keep one decision; `fields` are those of a `CommandDecision`, and more. For the same `cause` it is kept once."""
    decision = CommandDecision.model_validate(fields)
    context.decisions.put(decision)
    path = f"{FOLDER}/{at:%Y/%m/%d}/{decision.id}.json"
    data = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    context.effects.stage(context.logs, PutFile(id=f"decision {cause}", path=path, data=data.encode(), line=line))


def _fields(
    context: BoardContext, heard: CommentCommands, person: Person, section: Section, at: datetime
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
        "thread": {"repo": f"{heard.repo.kind}/{heard.repo.id}", "number": heard.thread.num},
        "comment": heard.comment.id,
        "number": section.call.number,
        "board": context.board.name,
    }
