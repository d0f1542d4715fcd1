"""A sync process that ends when all is quiet: the bot of a board without a server.

It starts with any Redis, also an empty one: the first round of the reconciler reads everything from the Hub, and the
syncs of the marked keys do the work, as after a loss of Redis. All pages of open discussions are read, not one page a
round, and the maintainers' list does not wait for its next edit, because no later round may come. The rule when all is
quiet is `leaderboard.idleness`.

Race closed: an event comes while the process ends. It starts another process, which reads everything again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from bot.core.context import BoardContext, threads_key
from bot.core.former_paths import mark_former_paths
from bot.core.metrics_recomputer import Recompute
from bot.core.settings import BotSettings
from bot.core.watched_repos import thread_repos
from bot.intake.deliveries import read_delivery
from bot.processes.schedule import TICK_SECONDS, Schedule
from bot.processes.sync_process import open_sync_context, run_parts, sync_loops
from bot.queue.dispatching import QUEUE
from bot.threads.maintainers_list import hasten_edit
from bot.threads.threads import forget_page, next_page
from leaderboard.idleness import AWAKE_SECONDS, BoardActivity, QuietPeriod
from leaderboard.suites import Suite
from redis_state.board.backend_runs import BACKENDS
from redis_state.stopping import Stop

log = structlog.get_logger()

POLL_SECONDS = 0.25
QUIET_SECONDS = 2 * TICK_SECONDS + 1
LOG_SECONDS = 30.0
"""Seconds between two lines in the log that say what the process waits for."""
RESTLESS = frozenset((QUEUE, BACKENDS))
"""Keys that the timer, or their own sync, marks again and again while requests wait."""


@dataclass(frozen=True)
class IdleReport:
    """The outcome of a run. `remains` says in words what is still due; it is empty if nothing is."""

    remains: str
    seconds: float
    calls: int
    commits: int
    requests: int
    waiting: int
    later: int
    """Keys whose sync failed, or is due later: a later start does their work."""
    parked: int

    def lines(self) -> list[str]:
        """The report as lines of text."""
        lines = [
            f"{'Stopped' if self.remains else 'Idle'} after {self.seconds:.0f} s: {self.calls:,} calls to the Hub, "
            f"{self.commits:,} commits of shared files. {self.requests:,} requests are known, "
            f"{self.waiting:,} wait for an evaluation."
        ]
        if self.remains:
            lines.append(f"Left for the next start: {self.remains}.")
        if self.later or self.parked:
            lines.append(f"{self.later:,} syncs are due later, {self.parked:,} failed for good: see the log.")
        return lines


class IdleWatch:
    """The part of a process that stops it when all is quiet, or after `seconds`."""

    def __init__(self, context: BoardContext, stop: Stop, seconds: float | None) -> None:
        self.remains = "not everything was read"
        self._context = context
        self._stop = stop
        self._seconds = seconds
        self._stopping = threading.Event()
        self._unread = set(thread_repos(context))
        self._quiet = QuietPeriod(QUIET_SECONDS)

    def run(self) -> None:
        """Check the board every POLL_SECONDS, until all is quiet, the time is over, or `stop`."""
        began = logged_at = time.monotonic()
        while not self._stopping.wait(POLL_SECONDS):
            now = time.monotonic()
            try:
                is_idle = self.look(now)
            except RedisError as error:
                log.warning("redis does not answer, or refuses", error=str(error))
                is_idle = False
            if is_idle or (self._seconds is not None and now - began >= self._seconds):
                self._stop.set()
                return
            if now - logged_at >= LOG_SECONDS:
                logged_at = now
                log.info("awake", remains=self.remains)

    def stop(self) -> None:
        """Stop the checks."""
        self._stopping.set()

    def look(self, now: float) -> bool:
        """Check what remains to do at the monotonic time `now`; return whether nothing remained for QUIET_SECONDS."""
        activity = self._activity()
        if not activity.remains:
            hasten_edit(self._context)
        is_idle = self._quiet.note(activity, now)
        self.remains = "" if is_idle else activity.remains or "it was quiet for a moment only"
        return is_idle

    def _activity(self) -> BoardActivity:
        context = self._context
        now = context.now()
        due, syncing = context.dirty.pending(until=now + AWAKE_SECONDS), set(context.dirty.leased())
        unread = self._read_next_pages({*due, *syncing})
        blocked = {trouble.tier for trouble in context.backend_runs.troubles() if trouble.blocked or trouble.failing}
        busy = context.index.busy()
        return BoardActivity(
            due=len(due.keys() - RESTLESS),
            syncing=len(syncing - RESTLESS),
            restless=any(key in syncing or due.get(key, now + 1) <= now for key in RESTLESS),
            unread_pages=unread,
            running=sum(entry.state == "running" for entry in busy),
            queued=sum(entry.state == "queued" and entry.tier not in blocked for entry in busy),
            runs=sum(len(context.backend_runs.live(tier)) for tier in context.board.backends),
        )

    def _read_next_pages(self, dirty: set[str]) -> int:
        """Mark the next page of open discussions of each repo, until the last one was read; return how many are left.

        Not counted are repos whose sync failed, and is tried again later or never: they are left to a later start.
        """
        context, left = self._context, 0
        parked = {sync.key for sync in context.parking.all()}
        for repo in sorted(self._unread):
            key = threads_key(repo)
            if key in dirty:
                left += 1
            elif next_page(context, repo) == 0:
                self._unread.discard(repo)
            elif key not in parked and not any(context.dirty.marked([key])):
                context.mark(key)
                left += 1
        return left


def run_until_idle(
    settings: BotSettings,
    stop: Stop,
    *,
    seconds: float | None = None,
    event: str = "",
    recompute: Callable[[Suite], Recompute] | None = None,
) -> IdleReport:
    """Sync until nothing is due, at most for `seconds`, or until `stop`. Raises RedisMissing and SettingsError.

    `event` is the payload of the webhook that started the process; its keys are marked first.
    """
    began = time.monotonic()
    context = open_sync_context(settings, recompute)
    commits = _commits(context)
    for repo in thread_repos(context):
        forget_page(context, repo)
    for mark in read_delivery(event.encode(), context.board).marks:
        context.mark(mark.key, mark.priority)
    mark_former_paths(context, wait=0.0)  # no process of an earlier version runs beside this one
    schedule, watch = Schedule(context), IdleWatch(context, stop, seconds)
    schedule.tick()  # marks the first round: until its keys are synced, nothing is quiet
    run_parts(context, [*sync_loops(context), schedule, watch], stop)
    return _report(context, watch.remains, time.monotonic() - began, commits)


def _report(context: BoardContext, remains: str, seconds: float, commits: float) -> IdleReport:
    return IdleReport(
        remains=remains,
        seconds=seconds,
        calls=context.hub.session.answers,
        commits=int(_commits(context) - commits),
        requests=context.index.count(),
        waiting=context.index.count_waiting(),
        later=len(context.dirty),
        parked=len(context.parking.all()),
    )


def _commits(context: BoardContext) -> float:
    """Commits that the processes of this Redis have made, as far as they were counted."""
    context.meters.flush()
    return sum(value for labels, value in context.meters.all() if labels == ("hub_calls", "commit"))
