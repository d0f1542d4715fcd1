"""The sync process: claim a dirty key, bring it in step, give it back; for ever, on several threads.

A sync that fails is tried again with growing waits, and never holds up another key. What the Hub said is kept in Redis,
so that the web server's `/readyz` can tell.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

import structlog

from bot.deliveries import REQUESTS
from bot.desk import Desk
from bot.sync.queue import QUEUE, sync_queue
from bot.sync.request import sync_request
from bot.sync.requests_repo import sync_requests_repo
from hub.errors import HubError, RateLimited, Transient
from wire.clock import iso
from wire.dirty import Claim
from wire.redis import TRANSIENT, Fields

log = structlog.get_logger()

LEASE = 300.0
"""Seconds for which a key is held: longer than any sync takes, short enough to be found after a death."""
IDLE = 1.0
FIRST_WAIT, LONGEST_WAIT = 2.0, 600.0


class SyncLoop:
    """Syncs the dirty keys of one board until it is told to stop."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.stopping = threading.Event()

    def run(self) -> None:
        """Work until `stop`; Redis may go away and come back."""
        while not self.stopping.is_set():
            try:
                self._once()
            except TRANSIENT as error:
                log.warning("redis does not answer", error=str(error))
                self.stopping.wait(IDLE)

    def stop(self) -> None:
        """Finish the sync that is under way and return."""
        self.stopping.set()

    def _once(self) -> None:
        claim = self.desk.dirty.claim(now=self.desk.now(), lease=LEASE)
        if claim is None:
            self.desk.dirty.wait(IDLE)
            return
        with structlog.contextvars.bound_contextvars(key=claim.key):
            self.desk.dirty.finish(claim, retry_at=self._sync(claim))

    def _sync(self, claim: Claim) -> float | None:
        """Sync the key; when to do so again, if that is known already."""
        try:
            again = self._handler(claim.key)()
        except TRANSIENT:
            raise
        except HubError as error:
            return self._failed(claim, error)
        except Exception as error:  # noqa: BLE001  the boundary: one key's trouble must not become another's
            log.error("sync failed", trace=traceback.format_exc())
            return self._failed(claim, error)
        self._note({"answered": self.desk.now()}, forget=claim.key)
        return again

    def _handler(self, key: str) -> Callable[[], float | None]:
        desk, (kind, _, rest) = self.desk, key.partition(":")
        if key == REQUESTS:
            return lambda: sync_requests_repo(desk)
        if key == QUEUE:
            return lambda: sync_queue(desk)
        if kind == "request" and rest:
            return lambda: sync_request(desk, rest)
        log.warning("nobody knows this key")
        return lambda: None

    def _failed(self, claim: Claim, error: Exception) -> float:
        tries = self.desk.redis.hincrby(self.desk.keys.dirty_tries, claim.key, 1)
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(tries - 1, 10))
        if isinstance(error, RateLimited):
            wait = max(wait, error.seconds)
        words = f"{type(error).__name__}: {error}"[:500]
        log.warning("sync failed", error=words, tries=tries, again_in=wait)
        if isinstance(error, Transient):
            self._note({"failed": self.desk.now(), "error": words, "at": iso(self.desk.now())})
        return self.desk.now() + wait

    def _note(self, fields: Fields, *, forget: str | None = None) -> None:
        with self.desk.redis.pipeline() as pipe:
            pipe.hset(self.desk.keys.hub_state, mapping=fields)
            if forget is not None:
                pipe.hdel(self.desk.keys.dirty_tries, forget)
            pipe.execute()
