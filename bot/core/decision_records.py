"""The record of decisions: for each command that decided something, a file in the logs repo with its author.

The reply in the thread is the first, public record. These files hold the same for programs, and for a search of all
decisions of one person.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from bot.core.context import BoardContext
from bot.ledger.edits import PutFile
from redis_state.board.decisions import CommandDecision

FOLDER = "decisions"


def record_decision(context: BoardContext, fields: dict[str, Any], at: datetime, *, cause: str, line: str) -> None:
    """Store one decision, once for each `cause`; `fields` are those of a `CommandDecision`, and more."""
    decision = CommandDecision.model_validate(fields)
    context.decisions.put(decision)
    path = f"{FOLDER}/{at:%Y/%m/%d}/{decision.id}.json"
    data = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    context.effects.stage(context.logs, PutFile(id=f"decision {cause}", path=path, data=data.encode(), line=line))
