"""What nobody tells us: a timer that marks what time alone has put out of step.

It marks, and puts right what Redis alone knows of; all that is done on the Hub is a sync's work. So any number of
schedulers may run beside each other.
"""

from __future__ import annotations

import threading
import traceback

import structlog
from redis.exceptions import RedisError

from bot.changes.duplicates import DUPLICATES
from bot.core.context import BoardContext, request_key
from bot.core.former_paths import FORMER, WAIT
from bot.core.waiting_threads import DIGEST
from bot.flags.evidence_recheck import CAUSES
from bot.processes.reconcile import period, round_keys
from bot.queue.dispatching import QUEUE
from bot.threads.decision_log import DECISIONS
from bot.threads.maintainers_list import DAY
from redis_state import jobs
from redis_state.attempts import LOST
from redis_state.board.entry import IndexEntry
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

TICK = 2.0
STUCK_IN_RQ = 30.0
STARTED = point("round marked, its time not noted")


class Schedule:
    """The timer of one board."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self.stopping = threading.Event()
        self._started = False
        self._move_at: float | None = None
        """When to have files at former paths moved."""
        self._called: dict[str, float] = {}
        """Attempt → when we called for a look at its request."""
        self._missed: set[str] = set()
        """Attempts that neither lay in RQ nor were taken, at the last tick."""

    def run(self) -> None:
        """Tick until `stop`."""
        while not self.stopping.is_set():
            try:
                self.tick()
            except RedisError as error:
                log.warning("redis does not answer, or refuses", error=str(error))
            except Exception:  # noqa: BLE001  the boundary: what one tick met must not be the end of all that follow
                log.error("tick failed", trace=traceback.format_exc())
            self.stopping.wait(TICK)

    def stop(self) -> None:
        """Return after the present tick."""
        self.stopping.set()

    def tick(self) -> None:
        """Mark what time has put out of step. Reads what is in motion, never all that there is."""
        context = self.context
        now = context.now()
        self._listen(now)
        self._round(now)
        self._daily(now)
        self._former_paths(now)
        busy = context.index.busy()
        by_attempt = {entry.attempt: entry for entry in busy if entry.attempt is not None}
        self._silent(by_attempt, now)
        self._progress(by_attempt, now)
        self._vanished(busy, now)
        waiting, running = context.index.count_waiting(), sum(entry.state == "running" for entry in busy)
        if waiting:
            context.mark(QUEUE, SyncPriority.EVENT)
        context.timings.sample(waiting=waiting + len(busy) - running, running=running, now=now)

    def _listen(self, now: float) -> None:
        """Note since when somebody could say that it lives: Redis, or all timers, may have been away for a while."""
        last = self.context.redis.set(self.context.keys.ticked, now, get=True)
        is_new = last is not None and not 0 <= now - float(last) <= LOST
        self.context.redis.set(self.context.keys.born, now, nx=not is_new)

    def _round(self, now: float) -> None:
        """Start a round of the reconciler: at our own start, after Redis was lost, and when the last one is old.

        The time of the last one lies in Redis, so that several schedulers make no more rounds than one.
        """
        rounds, last = self.context.keys.rounds, self.context.redis.hget(self.context.keys.rounds, "round")
        if self._started and last is not None and 0 <= now - float(last) < period(self.context):
            return
        self._started = True
        self.context.mark_all(round_keys(self.context), SyncPriority.BACKGROUND)
        pass_by(STARTED)
        self._release()
        self.context.redis.hset(rounds, "round", now)

    def _release(self) -> None:
        """Mark what the board's effects held back, where they have changed since."""
        shadow, words = self.context.effects.shadow, self.context.effects.words()
        keys = shadow.held_back(words)
        self.context.mark_all(keys, SyncPriority.BACKGROUND)
        shadow.release(keys, words)

    def _call(self, entry: IndexEntry, now: float) -> None:
        """Mark a request about whose attempt something must be done: once, for a sync that fails has its own waits.

        Should it have got lost all the same, the mark is made again after LOST seconds.
        """
        assert entry.attempt is not None
        if not 0 <= now - self._called.get(entry.attempt, float("-inf")) < LOST:
            self._called[entry.attempt] = now
            self.context.mark(request_key(entry.path), SyncPriority.EVENT)

    def _daily(self, now: float) -> None:
        """Call once a day for what is to be done once a day."""
        today, last = int(now // DAY), self.context.redis.get(self.context.keys.day)
        if last is None or int(last) != today:
            self.context.mark_all((DIGEST, DUPLICATES), SyncPriority.BACKGROUND)
            self.context.mark(DECISIONS, SyncPriority.BACKGROUND)
            self.context.mark(CAUSES, SyncPriority.BACKGROUND)
            self.context.measures.spent(now=now)  # forgets what is a day old, also where no budget asks for it
            self.context.redis.set(self.context.keys.day, today)

    def _former_paths(self, now: float) -> None:
        """Have files at former paths moved: WAIT seconds after our own start, and once a day from then on."""
        if self._move_at is not None and now >= self._move_at:
            self.context.mark(FORMER, SyncPriority.BACKGROUND)
            self._move_at = now + DAY
        self._move_at = self._move_at or now + WAIT

    def _silent(self, by_attempt: dict[str, IndexEntry], now: float) -> None:
        """Attempts that fell silent, or that run says the index and nobody else."""
        alive, lost = self.context.attempts.alive(now=now), self.context.attempts.lost(now=now)
        for attempt, entry in by_attempt.items():
            if entry.state == "running" and (attempt in lost or attempt not in alive):
                self._call(entry, now)
        self._called = {attempt: at for attempt, at in self._called.items() if attempt in by_attempt}
        for attempt in lost - by_attempt.keys():
            self.context.attempts.drop(attempt)

    def _progress(self, by_attempt: dict[str, IndexEntry], now: float) -> None:
        """Attempts whose progress crossed a quarter since it was last shown."""
        alive = self.context.attempts.alive(now=now) & by_attempt.keys()
        for attempt, state in self.context.attempts.read_all(alive).items():
            entry, progress = by_attempt[attempt], state.progress
            if progress.total and min(3, 4 * progress.done // progress.total) > entry.shown:
                self.context.mark(request_key(entry.path), SyncPriority.BACKGROUND)

    def _vanished(self, entries: list[IndexEntry], now: float) -> None:
        """Attempts that were put into RQ, are not there any more, and were not taken: RQ lost them with a worker.

        Two ticks in a row must find them so: a worker that has just got the job says a moment later that it took it.
        """
        old = [entry for entry in entries if entry.state == "queued" and now - entry.queued > STUCK_IN_RQ]
        missed, self._missed = self._missed, set()
        if not old:
            return
        there = jobs.queued_attempts(self.context.redis, self.context.queues)
        for entry in old:
            if entry.attempt is None or entry.attempt in there:
                continue
            state = self.context.attempts.read(entry.attempt)
            if state is not None and state.state != "queued":
                self._call(entry, now)
                continue
            if entry.attempt not in missed:
                self._missed.add(entry.attempt)
                continue
            jobs.delete(self.context.redis, entry.attempt)
            log.warning("job vanished from RQ", attempt=entry.attempt)
            self._wait_again(entry)

    def _wait_again(self, entry: IndexEntry) -> None:
        """Give the request its turn anew, unless a sync has found out something else about it since this tick began."""
        self.context.index.change(
            entry.path,
            lambda now: (
                now.model_copy(update={"state": "waiting"})
                if (now.attempt, now.state) == (entry.attempt, entry.state)
                else None
            ),
        )
