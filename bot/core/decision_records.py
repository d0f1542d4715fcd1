"""The record of decisions: for each command that decided something, a file in the logs repo with its author.

The reply in the thread is the first, public record. These files hold the same for programs, and for a search of all
decisions of one person.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from bot.core.context import BoardContext
from bot.core.log_repos import logs_repo, may_store_logs
from bot.ledger.edits import PutFile
from hub.records import Repo
from redis_state.board.decisions import CommandDecision

FOLDER = "decisions"


def record_decision(context: BoardContext, fields: dict[str, Any], at: datetime, *, cause: str, line: str) -> None:
    """Store one decision, once for each `cause`; `fields` are those of a `CommandDecision`, and more."""
    decision = CommandDecision.model_validate(fields)
    context.decisions.put(decision)
    repo = decision_repo(context, decision)
    if not may_store_logs(context, repo):
        return
    path = f"{FOLDER}/{at:%Y/%m/%d}/{decision.id}.json"
    data = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    context.effects.stage(repo, PutFile(id=f"decision {cause}", path=path, data=data.encode(), line=line))


def decision_repo(context: BoardContext, decision: CommandDecision) -> Repo:
    """The repo that holds `decision`: that of private models' logs if it is about one, except for decisions from
    threads, which are public."""
    if decision.thread is not None:
        return context.logs
    # A request that is not in the index may be private only if the board takes private models.
    hides_unknown = context.board.admission.private_models
    entries = context.index.find(decision.requests)
    is_private = any(hides_unknown if entry is None else entry.is_private for entry in entries)
    return logs_repo(context, "private") if is_private else context.logs
