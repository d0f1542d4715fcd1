"""The record of decisions: who had what done by a command, in a file each in the logs repo.

The reply in the thread is the first record, and everybody can read it. These files are the same for programs, and for
whoever looks for all that one person decided.
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
    """Keep one decision; `fields` are those of a `CommandDecision`, and more. For the same `cause` it is kept once."""
    decision = CommandDecision.model_validate(fields)
    context.decisions.put(decision)
    path = f"{FOLDER}/{at:%Y/%m/%d}/{decision.id}.json"
    data = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    context.effects.stage(context.logs, PutFile(id=f"decision {cause}", path=path, data=data.encode(), line=line))
