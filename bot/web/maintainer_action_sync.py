"""The sync of an action that a signed-in person asked for: find out whether they are a maintainer, wake a parked sync.

Race closed: the sync dies after it woke a key and before it stored the answer. The outcome is settled first, so the
second run records the same outcome, and does not answer that the key was never parked.
Race accepted: a person stops being a maintainer after their role was read. Waking a sync destroys nothing.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime
from typing import Any

from bot.core import people
from bot.core.context import BoardContext
from bot.core.decision_records import record_decision
from bot.core.render import render
from leaderboard.roles import Role
from redis_state.board.maintainer_actions import ROLE_LASTS, Code, MaintainerAction, MaintainerActions
from redis_state.clock import iso

ALLOWED_ROLES = frozenset({Role.MAINTAINER})
_REQUEST = "request:"


def sync_maintainer_action(context: BoardContext, name: str) -> None:
    """Execute the action with this id and store the answer, unless that was done before. Raises HubError."""
    actions = MaintainerActions(context.redis, context.keys)
    action = actions.find(name)
    if action is None or actions.read(name) is not None:
        return
    _, roles = people.roles(context, action.person, model="", submitter="", fresh=True, enough=ALLOWED_ROLES)
    if action.what == "look":
        actions.answer(name, "maintainer" if roles & ALLOWED_ROLES else "stranger", seconds=ROLE_LASTS)
        return
    code = actions.settle(name, _outcome(context, action, roles))
    at = datetime.fromtimestamp(action.at, UTC)
    fields = _decision_fields(context, action, roles, code)
    record_decision(context, fields, at, cause=f"page:{action.id}", line="Record a wake")
    if code == "woken":
        context.parking.wake(action.about, now=context.now())
    actions.answer(name, code)


def _outcome(context: BoardContext, action: MaintainerAction, roles: Set[Role]) -> Code:
    if not roles & ALLOWED_ROLES:
        return "not-allowed"
    return "woken" if any(parked.key == action.about for parked in context.parking.all()) else "not-parked"


def _decision_fields(context: BoardContext, action: MaintainerAction, roles: Set[Role], code: Code) -> dict[str, Any]:
    path = action.about.removeprefix(_REQUEST) if action.about.startswith(_REQUEST) else ""
    entry = context.index.find([path])[0] if path else None
    # Decisions are public: the record does not name the request of a model that is not.
    is_named = not path or (entry is not None and entry.standing.access == "public")
    key = action.about if is_named else f"{_REQUEST}…"
    return {
        "at": iso(action.at),
        "person": {"id": action.person_id, "name": action.person_name},
        "roles": sorted(roles),
        "command": f"wake {key}",
        "verb": "wake",
        "arguments": {"key": key},
        "requests": [path] if path and is_named else [],
        "model": entry.model if entry is not None and is_named else "",
        "allowed": code == "woken",
        "answer": render("woken", code=code).strip(),
        "thread": None,
        "comment": f"page-{action.id}",
        "number": 0,
        "board": context.board.name,
    }
