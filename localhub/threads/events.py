"""The event of a thread."""

from __future__ import annotations

from dataclasses import dataclass

from localhub.repos.events import HubEvent
from localhub.threads.store import Thread, ThreadEvent


@dataclass(frozen=True, kw_only=True)
class DiscussionEvent(HubEvent):
    """A change of a thread, or of one `comment` in it."""

    thread: Thread
    comment: ThreadEvent | None = None
