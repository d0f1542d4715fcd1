"""What happens in the box, as its parts tell each other.

Subscribers run at once, in the thread that caused the event and in the order of the events of one repo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from localhub.accounts.store import Account
    from localhub.repos.store import Repo

EventKind = Literal["repo", "repo.content", "repo.config", "discussion", "discussion.comment"]
EventAction = Literal["create", "update", "delete", "move"]


@dataclass(frozen=True)
class RefChange:
    """A ref that moved: `old` is None where it was created, `new` where it was deleted."""

    ref: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class HubEvent:
    """One thing that happened; `repo` is as it was before a move and as it is otherwise."""

    kind: EventKind
    action: EventAction
    repo: Repo
    actor: Account | None = None
    updated_refs: tuple[RefChange, ...] = ()
    moved_to: Repo | None = None
    updated_config: Mapping[str, Any] = field(default_factory=dict)
    # Threads bring their own records; this module need not know their shape.
    thread: Any = None
    comment: Any = None


Subscriber = Callable[[HubEvent], None]
