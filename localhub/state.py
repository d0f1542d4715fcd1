"""The box: every part of one local Hub, opened and closed together."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from localhub.accounts.oauth import OAuth
from localhub.accounts.store import Accounts
from localhub.clock import Clock
from localhub.controls.faults import Faults
from localhub.controls.limits import RateLimits
from localhub.controls.stats import Stats
from localhub.database import Database
from localhub.errors import FolderInUse
from localhub.repos.events import HubEvent, Subscriber
from localhub.repos.grants import Grants
from localhub.repos.lfs_store import LfsStore
from localhub.repos.store import RepoStore
from localhub.threads.service import ThreadService
from localhub.webhooks.service import WebhookService
from localhub.world import apply_world


class HubState:
    """One Hub over one folder.

    `url` is known once the server is bound; everything that puts it into an answer reads it then. `lfs_uploads` off
    tells clients to send every file as a regular one, which is all that a client with Xet can do here.
    """

    def __init__(self, data: Path, clock: Clock) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._alone = _lock(data)
        self.data = data
        self.url = "http://127.0.0.1"
        self.clock = clock
        self._subscribers: list[Subscriber] = []
        self.store = Database(data / "hub.sqlite")
        self.accounts = Accounts(self.store, clock)
        self.repos = RepoStore(data, self.store, clock, self.emit)
        self.grants = Grants(self.store, clock)
        self.oauth = OAuth(self)
        self.lfs = LfsStore(data / "lfs", self.store, clock)
        self.lfs_uploads = True
        self.limits = RateLimits(clock)
        self.faults = Faults()
        self.stats = Stats(self)
        self.threads = ThreadService(self)
        self.webhooks = WebhookService(self)

    @classmethod
    def open(cls, data: Path, world: Mapping[str, Any] | None = None, clock: Clock | None = None) -> HubState:
        """Opens the folder, and builds of the world what is not there yet. Raises `SetupError` where it cannot."""
        state = cls(data, clock or Clock.from_environment())
        try:
            apply_world(state, world or {})
        except BaseException:
            state.close()
            raise
        return state

    def subscribe(self, subscriber: Subscriber) -> None:
        """Calls `subscriber` with every event from now on, in the thread that causes it."""
        self._subscribers.append(subscriber)

    def emit(self, event: HubEvent) -> None:
        """Tells every subscriber."""
        for subscriber in self._subscribers:
            subscriber(event)

    def close(self) -> None:
        """Stops what runs in the background and lets go of the folder."""
        self.webhooks.close()
        self.store.close()
        self._alone.close()


def _lock(data: Path) -> TextIO:
    """Holds the folder for this process: two servers on one folder would undo each other's commits."""
    handle = (data / "lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise FolderInUse(f"another local Hub is using {data}: stop it, or give --data another folder") from error
    return handle
