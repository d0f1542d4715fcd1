"""The sync loop: claim a dirty key, run its sync, release the key; for ever, on several threads.

A sync that fails is retried with growing waits, and never delays another key. After LAST_TRY failures of its own it is
parked: set aside with the reason, until a maintainer wakes it or an event marks its key again. A Hub that is away,
refuses the token or limits the rate is not the key's failure, nor is a full disk; none of them parks a key. While the
Hub is away all processes together try one key every PROBE seconds; once it answers, all waiting keys are tried at once.
The state of the Hub is stored in Redis, and `/readyz` reports it.

Race closed: the process is killed during a sync. Its lease is short, and renewed while the sync runs; so the key is
free within LEASE seconds, and no sync, however long, loses it while its process lives and reaches Redis.
Race closed: a sync is cut off from Redis for longer than its lease, and then continues: see `bot.core.lease_fence`.
Race closed: a sync continues after Redis was emptied, or after it lost its lease, and overwrites newer facts of another
sync of the key. The key is marked again at its end.
"""

from __future__ import annotations

import errno
import re
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import structlog
from redis.exceptions import RedisError

from bot.core.context import BoardContext
from bot.core.lease_fence import LeaseLost, fenced
from bot.core.mirrors.folder import MirrorDamaged, UnusableFolder
from bot.core.watched_repos import thread_repos
from bot.processes.sync_table import Handler, handler_of
from hub.budget import Urgency, urgency
from hub.errors import BadToken, Garbled, HubError, RateLimited, Transient
from redis_state.attempts import BEAT
from redis_state.clock import iso
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncLease
from redis_state.parking import ParkedSync
from redis_state.redis import Fields, is_away, text

log = structlog.get_logger()

LEASE = 3 * BEAT
"""Seconds until a killed process's keys are free again."""
IDLE = 1.0
FIRST_WAIT, LONGEST_WAIT = 2.0, 600.0
LAST_TRY = 8
AWAY_WAIT, PROBE = 60.0, 5.0
"""The longest wait while the Hub is away or limits the rate, and the time between two tries whether it is back."""
NOT_ITS_OWN = (RateLimited, Transient, BadToken)
"""Errors that are not the fault of the key whose sync raised them: they park no key, nor does a full disk."""
_REPO_PATH = re.compile(
    r"/(?:api/(?:models|datasets|spaces)/|datasets/|spaces/|(?!api/|oauth/))([^/]+/[^/]+?)(?:\.git)?(?:/|$)"
)
"""The path of a call that concerns one repo, with the repo's name."""
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

CLAIMED = point("key claimed, nothing done")
DONE = point("sync done, key not given back")


class SyncLoop:
    """Syncs the dirty keys of one board until `stop`."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self.stopping = threading.Event()
        self._away = False
        """Whether the Hub failed the last sync of this loop, and has answered no other loop since."""

    def run(self) -> None:
        """Sync until `stop`. Redis may go away and come back, or refuse writes for a while (full, or a replica)."""
        while not self.stopping.is_set():
            try:
                if not (self._may_ask() and self.step()):
                    self.context.dirty.wait(IDLE)
            except RedisError as error:
                log.warning("redis does not answer, or refuses", error=str(error))
                self.stopping.wait(IDLE)
            except Exception:  # noqa: BLE001  the boundary: an ended loop would go unnoticed
                log.error("the loop failed", trace=traceback.format_exc())
                self.stopping.wait(IDLE)

    def stop(self) -> None:
        """Stop after the current sync."""
        self.stopping.set()

    def _may_ask(self) -> bool:
        """Whether to sync now: while the Hub is away, only one loop tries it every PROBE seconds."""
        if not self._away:
            return True
        state, now = self.context.keys.hub_state, self.context.now()
        answered, failed, probed = (
            float(at or 0) for at in self.context.redis.hmget(state, ["answered", "failed", "probed"])
        )
        self._away = failed > answered
        if self._away and 0 <= now - probed < PROBE:
            return False
        self._note({"probed": now})
        return True

    def step(self) -> bool:
        """Sync one key if one is due. Return whether one was."""
        claim = self.context.dirty.claim(now=self.context.now(), lease=LEASE)
        if claim is None:
            return False
        pass_by(CLAIMED)
        with structlog.contextvars.bound_contextvars(key=claim.key), self._held(claim):
            self.sync(claim)
        self._measured()
        return True

    def sync(self, claim: SyncLease) -> None:
        """Sync the key of `claim` and release it."""
        due, failed = self._sync(claim)
        pass_by(DONE)
        if not self.context.dirty.finish(claim, retry_at=due, failed=failed):
            self.context.mark(claim.key, claim.priority)

    @contextmanager
    def _held(self, claim: SyncLease) -> Iterator[None]:
        """Renew the lease of `claim` while its sync runs."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE / 3):
                try:
                    if not self.context.dirty.renew(claim, lease=LEASE):
                        return  # lost: edits are conditional, comments fenced, and the finish changes nothing
                except RedisError as error:
                    log.warning("lease not renewed", error=str(error))

        renewer = threading.Thread(target=renew, daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()

    def _sync(self, claim: SyncLease) -> tuple[float | None, bool]:
        """Sync the key. Return the time of its next sync, if it is known already, and whether this one failed."""
        answers = self.context.hub.session.answers
        try:
            with urgency(Urgency(claim.priority)), fenced(lambda: self.context.dirty.renew(claim, lease=LEASE)):
                due = self._handler(claim.key)()
        except LeaseLost:
            log.warning("lease lost")  # the sync that holds the key now does the work
            return None, False
        except (HubError, MirrorDamaged) as error:
            return self._failed(claim, error), True
        except Exception as error:  # the boundary: an error in one key must not stop the others
            if is_away(error):
                raise
            log.error("sync failed", trace=traceback.format_exc())
            return self._failed(claim, error), True
        self._succeeded(claim)
        if self.context.hub.session.answers > answers:
            self._hub_answered()
        return due, False

    def _handler(self, key: str) -> Handler:
        return handler_of(self.context, key)

    def _failed(self, claim: SyncLease, error: Exception) -> float | None:
        """Count the failure. Return the time of the retry; None if the key is parked."""
        now, words = self.context.now(), f"{type(error).__name__}: {error}"[:500]
        tries = self.context.redis.hincrby(self.context.keys.dirty_tries, claim.key, 1)
        if not isinstance(error, NOT_ITS_OWN) and not _is_full_disk(error):
            tries = self.context.redis.hincrby(self.context.keys.dirty_faults, claim.key, 1)
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(tries - 1, 10))
        if isinstance(error, RateLimited):
            wait = max(min(wait, AWAY_WAIT), error.seconds)  # the Hub says how long: no need for ever longer waits
        elif isinstance(error, (Transient, BadToken)) and self._is_away(error):
            self._away, wait = True, min(wait, AWAY_WAIT)
            self._note({"failed": now, "error": words, "at": iso(now)})
        elif _is_full_disk(error):
            wait = min(wait, AWAY_WAIT)  # the machine's fault, not the key's
        elif tries >= LAST_TRY and not isinstance(error, NOT_ITS_OWN):
            log.error("sync parked", error=words, tries=tries)
            self.context.meters.count("syncs", claim.key.partition(":")[0], "parked")
            self.context.parking.park(ParkedSync(key=claim.key, error=words, tries=tries, since=now))
            return None
        log.warning("sync failed", error=words, tries=tries, again_in=wait)
        self.context.meters.count("syncs", claim.key.partition(":")[0], "failed")
        return now + wait

    def _is_away(self, error: HubError) -> bool:
        """Whether the Hub is away for all keys. After an error that may concern one repo alone, a second call decides.

        Such errors are garbled answers, and failures of a repo that is not the board's, such as one model's.
        """
        if not (isinstance(error, Garbled) or self._concerns_other_repo(error)):
            return True
        try:
            self.context.hub.present_id(self.context.requests)
        except HubError:
            return True
        return False

    def _concerns_other_repo(self, error: HubError) -> bool:
        """Whether the failed call concerns a repo that is not the board's."""
        match = _REPO_PATH.match(error.path)
        board_repos = self.context.shared | {repo.id for repo in thread_repos(self.context)}
        return match is not None and unquote(match[1]) not in board_repos

    def _measured(self) -> None:
        """Store the counters, and the rest of the Hub's rate-limit windows."""
        for resource, limit in list(self.context.hub.session.limits.items()):
            self.context.meters.gauge("hub_calls_left", resource, value=limit.remaining)
            self.context.meters.gauge("hub_calls_quota", resource, value=limit.quota or 0)
        self.context.meters.flush()

    def _succeeded(self, claim: SyncLease) -> None:
        self.context.meters.count("syncs", claim.key.partition(":")[0], "done")
        with self.context.redis.pipeline(transaction=False) as pipe:
            pipe.hdel(self.context.keys.dirty_tries, claim.key)
            pipe.hdel(self.context.keys.dirty_faults, claim.key)
            pipe.hdel(self.context.keys.parked, claim.key)
            pipe.hset(self.context.keys.hub_state, "synced", self.context.now())  # also if it made no call to the Hub
            pipe.execute()

    def _hub_answered(self) -> None:
        """Note that the Hub answered. If it had been away, make all failed keys due at once."""
        context, now = self.context, self.context.now()
        with context.redis.pipeline() as pipe:
            pipe.hmget(context.keys.hub_state, ["answered", "failed"])
            pipe.hset(context.keys.hub_state, "answered", now)
            (answered, failed), _ = pipe.execute()
        if float(failed or 0) > float(answered or 0):
            context.dirty.hasten([text(key) for key in context.redis.hkeys(context.keys.dirty_tries)], due=now)

    def _note(self, fields: Fields) -> None:
        self.context.redis.hset(self.context.keys.hub_state, mapping=fields)


def _is_full_disk(error: Exception) -> bool:
    """Whether a disk of this machine refuses files, either files of the mirrors or temporary files of a sync."""
    return isinstance(error, UnusableFolder) or (isinstance(error, OSError) and error.errno in _FULL_DISK)
