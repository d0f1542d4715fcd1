"""Events: how the parts of the Hub notify each other of changes.

Subscribers run at once, in the thread that caused the event and in the order of the events of one repo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from localhub.accounts.store import Account
from localhub.git.refs import RefChange
from localhub.repos.records import Repo

EventKind = Literal["repo", "repo.content", "repo.config", "discussion", "discussion.comment"]
EventAction = Literal["create", "update", "delete", "move"]


@dataclass(frozen=True)
class HubEvent:
    """A change of one repo; `repo` is its record after the change, for a move the one before it."""

    kind: EventKind
    action: EventAction
    repo: Repo
    actor: Account | None = None
    updated_refs: tuple[RefChange, ...] = ()
    moved_to: Repo | None = None
    updated_config: Mapping[str, Any] = field(default_factory=dict)


Subscriber = Callable[[HubEvent], None]
