"""The link between a worker's job and the bot, about one attempt: through Redis, or over HTTPS.

`BoardRedis` is the link of workers that reach the board's Redis. `workers.jobs.https_link` has the one of a worker that
reaches only the bot's web server. Every call of a link may raise one of AWAY while its other end does not answer; the
evaluation then goes on, and the caller tries again.
"""

from __future__ import annotations

from typing import Protocol

import redis

from leaderboard.attempts import Outcome, dirty_key
from redis_state.accepted_digests import AcceptedDigests, AcceptedTasks, RefusedTasks
from redis_state.attempts import AttemptProgress, Attempts, AttemptState
from redis_state.canaries import Canaries, CanaryVerdict
from redis_state.clock import now
from redis_state.dirty import DirtyKeys, SyncPriority
from redis_state.errors import RedisStateError
from redis_state.keys import Keys
from redis_state.redis import connect
from workers.errors import BoardUnreachable, CallRefused

AWAY = (redis.RedisError, BoardUnreachable)
"""The errors that a link raises while its other end does not answer."""
UNHEARD = (*AWAY, CallRefused)
"""The errors after which a caller that can do without an answer goes on."""
CALL_TIMEOUT_SECONDS = 5.0


class AttemptsLink(Protocol):
    """The worker's side of `redis_state.attempts.Attempts`."""

    def take(self, attempt: str, path: str, worker: str, *, now: float) -> bool:
        """Record that `worker` took the job and asks for the claim; False if another worker beats for the attempt."""

    def wait_for_claim(self, attempt: str, *, seconds: float, worker: str) -> bool | None:
        """Whether the bot granted the claim; None if no answer came within `seconds`."""

    def beat(self, attempt: str, progress: AttemptProgress, *, now: float, worker: str, path: str) -> bool:
        """Record a heartbeat and the progress; return whether the worker should go on."""

    def read(self, attempt: str) -> AttemptState | None:
        """The state of the attempt; None if there is none."""

    def hand_back(self, attempt: str, *, worker: str) -> bool:
        """Free an attempt whose `worker` stops; False if another worker holds it."""

    def end(self, outcome: Outcome, log: str, *, worker: str) -> bool:
        """Store the outcome and the log; False if another worker holds the attempt."""

    def drop(self, attempt: str) -> None:
        """Stop watching the attempt for heartbeats."""


class DigestsLink(Protocol):
    """The worker's side of `redis_state.accepted_digests.AcceptedDigests`."""

    def read(self) -> AcceptedTasks:
        """The tasks that the board accepts for the suite."""

    def refuse(self, refused: RefusedTasks) -> None:
        """Record that the worker waits for the operator."""


class CanaryLink(Protocol):
    """The worker's side of `redis_state.canaries.Canaries`."""

    @property
    def key(self) -> str:
        """The dirty key of the sync that decides about the suite's outbreak."""

    def take(self, worker: str) -> str | None:
        """Claim the canary for `worker` and return its cause; None if no canary is due."""

    def release(self, worker: str) -> None:
        """Give the canary back without a verdict."""

    def report(self, worker: str, verdict: CanaryVerdict) -> object:
        """Report the verdict of `worker`, and give the canary back."""


class BoardLink(Protocol):
    """The link of one process or thread to the bot of one board; it connects on first use."""

    def with_own_connection(self) -> BoardLink:
        """The same board over another connection."""

    def attempts(self) -> AttemptsLink:
        """The board's attempts."""

    def accepted_digests(self, suite: str) -> DigestsLink:
        """The accepted tasks of the version of a suite that has the digest `suite`."""

    def canaries(self, suite: str) -> CanaryLink:
        """The canary of `suite`."""

    def mark(self, path: str) -> None:
        """Mark the request, or the trial, dirty with the priority of a person's request."""

    def mark_key(self, key: str) -> None:
        """Mark any dirty key, as `mark` does a request."""


class BoardRedis:
    """A board's state in Redis, with short timeouts. Each call raises RedisError while Redis is away."""

    def __init__(self, url: str, board: str) -> None:
        self.url = url
        self.keys = Keys(board)
        self._attempts: Attempts | None = None

    def with_own_connection(self) -> BoardRedis:
        """The same board over another connection."""
        return BoardRedis(self.url, self.keys.board)

    def attempts(self) -> Attempts:
        """The board's attempts."""
        if self._attempts is None:
            try:
                self._attempts = Attempts(connect(self.url, socket_timeout=CALL_TIMEOUT_SECONDS), self.keys)
            except RedisStateError as error:
                raise redis.ConnectionError(str(error)) from error
        return self._attempts

    def accepted_digests(self, suite: str) -> AcceptedDigests:
        """The accepted tasks of the version of a suite that has the digest `suite`."""
        return AcceptedDigests(self.attempts().redis, self.keys, suite)

    def canaries(self, suite: str) -> Canaries:
        """The canary of `suite`."""
        return Canaries(self.attempts().redis, self.keys, suite)

    def mark(self, path: str) -> None:
        """Mark the request, or the trial, dirty with the priority of a person's request."""
        self.mark_key(dirty_key(path))

    def mark_key(self, key: str) -> None:
        """Mark any dirty key, as `mark` does a request."""
        DirtyKeys(self.attempts().redis, self.keys).mark(key, due=now(), priority=SyncPriority.PERSON)
