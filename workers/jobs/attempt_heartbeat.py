"""The heartbeat of one attempt: a thread that reports the attempt's progress, and reads whether it is cancelled.

The thread has its own connection with short timeouts, so that a link that hangs never delays the supervision of the
child; it survives any number of failed beats, whatever the cause.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from redis_state.attempts import BEAT, AttemptProgress
from redis_state.clock import now
from workers.errors import CallRefused
from workers.jobs.board_link import AWAY, AttemptsLink

log = logging.getLogger(__name__)

CLAIM = "claim"
"""The phase of an attempt that waits for its claim."""
MIN_BEAT_SECONDS = 1.0
"""The shortest time between two beats, when the progress changes."""


class AttemptHeartbeat:
    """Sends heartbeats while its `with` block runs."""

    def __init__(self, attempts: Callable[[], AttemptsLink], attempt: str, *, worker: str, path: str) -> None:
        """`attempts` connects to the bot, and may raise one of AWAY; `worker` runs `attempt` of the request `path`."""
        self._connect = attempts
        self._attempt = attempt
        self._worker = worker
        self._path = path
        self._progress = AttemptProgress(CLAIM)
        self._wake = threading.Condition()
        self._ending = False
        self._changed = True
        self._cancelled = threading.Event()
        self._succeeded_at = time.monotonic()
        self.refusal: CallRefused | None = None
        """Why the bot refused the last beat; None if it did not, or did not answer."""
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    @property
    def cancelled(self) -> bool:
        """Whether the attempt was cancelled, or another worker holds it."""
        return self._cancelled.is_set()

    def silence(self) -> float:
        """Seconds since the last successful beat."""
        return time.monotonic() - self._succeeded_at

    def report(self, progress: AttemptProgress) -> None:
        """Send `progress` with the next beat. Any phase but CLAIM means that the attempt runs."""
        with self._wake:
            if progress != self._progress:
                self._progress, self._changed = progress, True
                self._wake.notify()

    def __enter__(self) -> AttemptHeartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._wake:
            self._ending = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        attempts: AttemptsLink | None = None
        last = float("-inf")
        while self._wait_until_due(last):
            last = time.monotonic()
            try:
                attempts = attempts or self._connect()
                if not self._beat(attempts):
                    self._cancelled.set()
                self._succeeded_at, self.refusal = last, None
            except AWAY as error:
                log.warning("attempt %s: a beat failed (%s); the evaluation goes on", self._attempt, error)
                self._changed = True  # the next beat follows after MIN_BEAT_SECONDS
                self.refusal = None
            except Exception as error:  # boundary: if the thread ended, the attempt would count as silent
                log.exception("attempt %s: a beat failed; the evaluation goes on", self._attempt)
                self.refusal = error if isinstance(error, CallRefused) else None
                attempts = None

    def _wait_until_due(self, last: float) -> bool:
        """Wait until the next beat is due; False once the block ends."""
        with self._wake:
            while not self._ending:
                seconds_left = last + (MIN_BEAT_SECONDS if self._changed else BEAT) - time.monotonic()
                if seconds_left <= 0:
                    self._changed = False
                    return True
                self._wake.wait(seconds_left)
        return False

    def _beat(self, attempts: AttemptsLink) -> bool:
        return attempts.beat(self._attempt, self._progress, now=now(), worker=self._worker, path=self._path)
