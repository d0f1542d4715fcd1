"""The scheduler: a timer that marks the keys whose sync is due because of time, not because of an event.

It only marks keys and repairs state that exists in Redis alone; all work on the Hub is done by syncs. So any number of
schedulers may run at the same time.
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
from bot.intake.webhook_trust import doubt_webhooks
from bot.model_pages.daily import MODEL_PAGES
from bot.processes.reconcile import PERIOD, keys_of_every_round, period, round_keys
from bot.queue.dispatching import QUEUE
from bot.threads.decision_log import DECISIONS
from bot.threads.maintainers_list import DAY_SECONDS, LOOK_SECONDS
from redis_state import jobs
from redis_state.attempts import LOST
from redis_state.board.backend_runs import BACKENDS
from redis_state.board.entry import IndexEntry
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

TICK_SECONDS = 2.0
STUCK_IN_RQ_SECONDS = 30.0
PREPARATION_SECONDS = 1_800.0
"""Seconds that a worker which names an attempt in its heartbeats may prepare itself before it takes the attempt."""
ROUND_MARKED = point("round marked, its time not noted")


class Schedule:
    """The timer of one board."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self.stopping = threading.Event()
        self._started = False
        self._move_at: float | None = None
        """Time when the files at former paths are next moved."""
        self._look_at = 0.0
        """Time when trials, backends and the maintainers' list are next marked."""
        self._marked: dict[str, float] = {}
        """Attempt → time when its request was marked."""
        self._missing: dict[str, float] = {}
        """Attempt that was neither in RQ nor taken by a worker at the last tick → when that was first seen."""

    def run(self) -> None:
        """Tick until `stop`."""
        while not self.stopping.is_set():
            try:
                self.tick()
            except RedisError as error:
                log.warning("redis does not answer, or refuses", error=str(error))
            except Exception:  # noqa: BLE001  the boundary: an error in one tick must not stop later ones
                log.error("tick failed", trace=traceback.format_exc())
            self.stopping.wait(TICK_SECONDS)

    def stop(self) -> None:
        """Stop after the current tick."""
        self.stopping.set()

    def tick(self) -> None:
        """Mark the keys that are due now. Reads only requests that are queued or running, never the whole index."""
        context = self.context
        now = context.now()
        self._note_tick(now)
        self._start_round(now)
        self._start_daily(now)
        self._mark_former_paths(now)
        self._mark_often(now)
        busy = context.index.busy()
        by_attempt = {entry.attempt: entry for entry in busy if entry.attempt is not None}
        self._mark_silent(by_attempt, now)
        self._mark_progress(by_attempt, now)
        self._requeue_vanished(busy, now)
        waiting, running = context.index.count_waiting(), sum(entry.state == "running" for entry in busy)
        if waiting:
            context.mark(QUEUE, SyncPriority.EVENT)
        context.timings.sample(waiting=waiting + len(busy) - running, running=running, now=now)

    def _note_tick(self, now: float) -> None:
        """Note since when heartbeats could arrive without a break: Redis, or all schedulers, may have been away."""
        last = self.context.redis.set(self.context.keys.ticked, now, get=True)
        is_new = last is not None and not 0 <= now - float(last) <= LOST
        self.context.redis.set(self.context.keys.born, now, nx=not is_new)

    def _start_round(self, now: float) -> None:
        """Start a round of the reconciler: at the start of this process, after Redis was lost, or after a period.

        The times of the last round and of the last one that looked at the Hub are in Redis, so that several schedulers
        start no more rounds than one.
        """
        context, rounds = self.context, self.context.keys.rounds
        last_round, last_look = context.redis.hmget(rounds, ["round", "look"])
        if not self._started or last_look is None:
            doubt_webhooks(context, "a start")
        looks = not self._started or not _is_within(period(context), last_look, now)
        if not looks and _is_within(PERIOD, last_round, now):
            return
        self._started = True
        context.mark_all(round_keys(context) if looks else keys_of_every_round(context), SyncPriority.BACKGROUND)
        pass_by(ROUND_MARKED)
        self._release_held_back()
        context.redis.hset(rounds, mapping={"round": now, "look": now} if looks else {"round": now})

    def _release_held_back(self) -> None:
        """If the board's effects have changed, mark the keys whose writes they held back."""
        shadow, words = self.context.effects.shadow, self.context.effects.words()
        keys = shadow.held_back(words)
        self.context.mark_all(keys, SyncPriority.BACKGROUND)
        shadow.release(keys, words)

    def _mark_request(self, entry: IndexEntry, now: float) -> None:
        """Mark the request of an attempt that needs attention: once, because a failing sync has its own retries.

        In case the mark gets lost, it is repeated after LOST seconds.
        """
        assert entry.attempt is not None
        if not 0 <= now - self._marked.get(entry.attempt, float("-inf")) < LOST:
            self._marked[entry.attempt] = now
            self.context.mark(request_key(entry.path), SyncPriority.EVENT)

    def _start_daily(self, now: float) -> None:
        """Mark the daily syncs once a day."""
        today, last = int(now // DAY_SECONDS), self.context.redis.get(self.context.keys.day)
        if last is None or int(last) != today:
            self.context.mark_all((DIGEST, DUPLICATES), SyncPriority.BACKGROUND)
            self.context.mark(DECISIONS, SyncPriority.BACKGROUND)
            self.context.mark_all((CAUSES, MODEL_PAGES), SyncPriority.BACKGROUND)
            self.context.measures.spent(now=now)  # deletes entries older than a day, also if no budget reads them
            self.context.redis.set(self.context.keys.day, today)

    def _mark_former_paths(self, now: float) -> None:
        """Mark the move of files at former paths: WAIT seconds after the start of this process, then once a day."""
        if self._move_at is not None and now >= self._move_at:
            self.context.mark(FORMER, SyncPriority.BACKGROUND)
            self._move_at = now + DAY_SECONDS
        self._move_at = self._move_at or now + WAIT

    def _mark_often(self, now: float) -> None:
        """Mark the queue while trials wait or run; every LOOK_SECONDS each trial, backends, and the maintainers' list.

        Their syncs make no call to the Hub if nothing has changed.
        """
        trials = self.context.trials.pending()
        if trials:
            self.context.mark(QUEUE, SyncPriority.EVENT)
        if not self._look_at - LOOK_SECONDS <= now < self._look_at:
            self._look_at = now + LOOK_SECONDS
            backends = (BACKENDS,) if self.context.board.backends else ()
            self.context.mark_all((DIGEST, *backends, *(trial.path for trial in trials)), SyncPriority.BACKGROUND)

    def _mark_silent(self, by_attempt: dict[str, IndexEntry], now: float) -> None:
        """Mark the requests that run according to the index, but whose attempt sends no heartbeats."""
        alive, lost = self.context.attempts.alive(now=now), self.context.attempts.lost(now=now)
        for attempt, entry in by_attempt.items():
            if entry.state == "running" and (attempt in lost or attempt not in alive):
                self._mark_request(entry, now)
        self._marked = {attempt: at for attempt, at in self._marked.items() if attempt in by_attempt}
        for attempt in lost - by_attempt.keys():
            self.context.attempts.drop(attempt)

    def _mark_progress(self, by_attempt: dict[str, IndexEntry], now: float) -> None:
        """Mark the requests whose progress crossed a quarter since the status comment last showed it."""
        alive = self.context.attempts.alive(now=now) & by_attempt.keys()
        for attempt, state in self.context.attempts.read_all(alive).items():
            entry, progress = by_attempt[attempt], state.progress
            if progress.total and min(3, 4 * progress.done // progress.total) > entry.shown:
                self.context.mark(request_key(entry.path), SyncPriority.BACKGROUND)

    def _requeue_vanished(self, entries: list[IndexEntry], now: float) -> None:
        """Requeue attempts whose job was put into RQ, is gone, and was not taken: RQ lost it with a worker.

        Two ticks in a row must find that: a worker that has just received the job reports it a moment later. One whose
        libraries still load names the attempt in its heartbeats meanwhile.
        """
        old = [entry for entry in entries if entry.state == "queued" and abs(now - entry.queued) > STUCK_IN_RQ_SECONDS]
        missing_before, self._missing = self._missing, {}
        if not old:
            return
        in_rq, starting = jobs.queued_attempts(self.context.redis, self.context.queues), self._in_runs()
        named = {card.doing for card in self.context.workers.alive(now=now)}
        for entry in old:
            if entry.attempt is None or entry.attempt in in_rq:
                continue
            state = self.context.attempts.read(entry.attempt)
            if state is not None and state.state != "queued":
                self._mark_request(entry, now)
                continue
            if entry.attempt in starting:
                continue
            missing_since = missing_before.get(entry.attempt, now)
            patience = PREPARATION_SECONDS if entry.attempt in named else 0.0
            if entry.attempt not in missing_before or 0 <= now - missing_since < patience:
                self._missing[entry.attempt] = missing_since
                continue
            jobs.delete(self.context.redis, entry.attempt)
            log.warning("job vanished from RQ", attempt=entry.attempt)
            self._wait_again(entry)

    def _in_runs(self) -> set[str]:
        """The attempts of running backend runs: their worker takes the job from RQ first, and then prepares itself."""
        live = (run for tier in self.context.board.backends for run in self.context.backend_runs.live(tier))
        return {run.attempt for run in live if run.stage == "running"}

    def _wait_again(self, entry: IndexEntry) -> None:
        """Return the request to the waiting ones, unless a sync has changed its entry since this tick began."""
        self.context.index.change(
            entry.path,
            lambda now: (
                now.changed(state="waiting") if (now.attempt, now.state) == (entry.attempt, entry.state) else None
            ),
        )


def _is_within(seconds: float, last: bytes | str | None, now: float) -> bool:
    """Whether less than `seconds` have passed since the time `last`; False if there is none, or it is in the future."""
    return last is not None and 0 <= now - float(last) < seconds
