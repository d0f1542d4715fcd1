"""Carry out what somebody who is signed in wants: say whether they are a maintainer, or wake a parked sync.

Race closed: a sync dies after it woke a key, and before the answer is kept. What was to come of it is settled first, so
it is recorded the same, and the key is not taken for one that was never parked.
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
    """Carry out the errand of this id and keep the answer, unless that was done before. Raises HubError."""
    maintainer_actions = MaintainerActions(context.redis, context.keys)
    maintainer_action = maintainer_actions.find(name)
    if maintainer_action is None or maintainer_actions.read(name) is not None:
        return
    _, roles = people.roles(context, maintainer_action.person, model="", submitter="", fresh=True, enough=ALLOWED_ROLES)
    if maintainer_action.what == "look":
        maintainer_actions.answer(name, "maintainer" if roles & ALLOWED_ROLES else "stranger", seconds=ROLE_LASTS)
        return
    code = maintainer_actions.settle(name, _wake_or_refuse(context, maintainer_action, roles))
    at = datetime.fromtimestamp(maintainer_action.at, UTC)
    record_decision(
        context,
        _fields(context, maintainer_action, roles, code),
        at,
        cause=f"page:{maintainer_action.id}",
        line="Record a wake",
    )
    if code == "woken":
        context.parking.wake(maintainer_action.about, now=context.now())
    maintainer_actions.answer(name, code)


def _wake_or_refuse(context: BoardContext, maintainer_action: MaintainerAction, roles: Set[Role]) -> Code:
    if not roles & ALLOWED_ROLES:
        return "not-allowed"
    return "woken" if any(one.key == maintainer_action.about for one in context.parking.all()) else "not-parked"


def _fields(context: BoardContext, maintainer_action: MaintainerAction, roles: Set[Role], code: Code) -> dict[str, Any]:
    path = maintainer_action.about.removeprefix(_REQUEST) if maintainer_action.about.startswith(_REQUEST) else ""
    entry = context.index.find([path])[0] if path else None
    # Decisions are public. A request of a model that is not is woken without being named.
    is_told = not path or (entry is not None and entry.standing.access == "public")
    key = maintainer_action.about if is_told else f"{_REQUEST}…"
    return {
        "at": iso(maintainer_action.at),
        "person": {"id": maintainer_action.person_id, "name": maintainer_action.person_name},
        "roles": sorted(roles),
        "command": f"wake {key}",
        "verb": "wake",
        "arguments": {"key": key},
        "requests": [path] if path and is_told else [],
        "model": entry.model if entry is not None and is_told else "",
        "allowed": code == "woken",
        "answer": render("woken", code=code).strip(),
        "thread": None,
        "comment": f"page-{maintainer_action.id}",
        "number": 0,
        "board": context.board.name,
    }
