"""Steward's sync loop and schedule on a simulated clock."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bot.core.context import BoardContext, repo_of, thread_key
from bot.probe import Probe
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from localhub.repos.events import HubEvent
from localhub.threads.service import DiscussionEvent
from redis_state import jobs
from redis_state.attempts import AttemptProgress
from redis_state.dirty import SyncPriority
from redis_state.heartbeats import WorkerCard
from redis_state.redis import connect
from simulations.adoption.user_actions import BOT, REQUESTS, TimedAction, token

STEP = 1_800.0
"""Maximal simulated seconds between two ticks."""
WORKER = "gpu-1"


class BotDriver:
    """The bot of one board; `restart` reads the board file again."""

    def __init__(self, hub: Any, redis_url: str, board: Path, mirrors: Path) -> None:
        self.hub, self.redis, self.board, self.mirrors = hub, connect(redis_url), board, mirrors
        self.running: dict[str, str] = {}
        """Paths by attempt of the one worker's evaluations, which do not end within the simulated days."""
        self.context: BoardContext
        self.probe = Probe()  # kept over a restart, because its imports take seconds
        self._start()
        hub.state.subscribe(self._deliver)

    def _start(self) -> None:
        board = parse_board(self.board.read_text())
        client = Hub(self.hub.url, token(BOT))
        now = self.hub.state.clock.seconds
        self.context = BoardContext(
            board, find_suite(board.suite), client, self.redis, now=now, probe=self.probe, mirrors=self.mirrors
        )
        self.loop, self.schedule = SyncLoop(self.context), Schedule(self.context)

    def restart(self) -> None:
        """Restart with the present board file."""
        self.context.hub.close()
        self._start()

    def close(self) -> None:
        """Close the probe and the Hub's client."""
        self.context.hub.close()
        self.probe.close()

    def live(self, seconds: float, acts: Iterable[TimedAction] = ()) -> None:
        """Let `seconds` pass, and run `acts` at their times, which are in order and in seconds from now."""
        clock, todo = self.hub.state.clock, list(acts)
        began = clock.seconds()
        while (gone := clock.seconds() - began) < seconds:
            until = min([gone + STEP, seconds, *(max(gone, at) for at, _ in todo[:1])])
            clock.advance(until - gone)
            while todo and todo[0][0] <= clock.seconds() - began:
                todo.pop(0)[1]()
            self.tick()

    def tick(self) -> None:
        """Do all work that is due now."""
        now = self.context.now()
        self.context.workers.announce(WorkerCard(name=WORKER, tiers=("all",), since=now, beat=now))
        for attempt, path in self.running.items():
            self.context.attempts.beat(attempt, AttemptProgress("evaluate"), now=now, worker=WORKER, path=path)
        self.schedule.tick()
        while self.loop.step() or self._take():
            pass

    def _take(self) -> bool:
        """Let the worker take all jobs and claim them; return whether there were any."""
        waiting_jobs = [job for name in self.context.queues for job in jobs.queue(self.redis, name).jobs]
        for job in waiting_jobs:
            message = jobs.parse(job.kwargs["message"])
            job.delete()
            self.running[message.attempt] = message.path
            self.context.attempts.take(message.attempt, message.path, WORKER, now=self.context.now())
            self.context.mark(f"request:{message.path}")
        return bool(waiting_jobs)

    def _deliver(self, event: HubEvent) -> None:
        """Mark the key of an event dirty, as the delivery of a webhook does."""
        repo = repo_of(f"{event.repo.type}/{event.repo.full_name}")
        is_ours = event.actor is not None and event.actor.name == BOT
        if event.kind == "repo.content" and event.repo.full_name == REQUESTS:
            self.context.mark("requests", SyncPriority.PERSON)
        if (
            isinstance(event, DiscussionEvent)
            and not is_ours
            and repo in (self.context.requests, self.context.community)
        ):
            self.context.mark(thread_key(repo, event.thread.num), SyncPriority.PERSON)
