"""The turns of the Jobs on the Hub that run a board's syncs: one Job at a time runs them.

Each webhook starts a Job, the bot's own commits too, and each Job has a Redis of its own. Two bots at once would do the
same work twice, and might comment twice. So of all live Jobs with the board's label the oldest one runs, the next one
waits until it has ended, and all others end at once: the one that waits reads everything later than they would have.

Race closed: an event comes while the oldest Job ends. The Job of that event waits for it, and then reads everything.
Race closed: the list of Jobs lags behind a Job's start. A Job that sees only others asks again for a while.
Race accepted: a Job is lost by its platform while it waits. The next event, or the next scheduled Job, does its work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog

from hub.client import Hub
from hub.errors import RateLimited, Transient
from hub.records import HubJob
from redis_state.stopping import Stop

log = structlog.get_logger()

SYNC_LABEL = "steward-sync"
"""Name of the label; its value is the board's name."""
LIVE_STAGES = ("SCHEDULING", "RUNNING")
PAUSE_SECONDS = 10.0
MAX_UNLISTED = 6
"""Lists without this Job after which it runs all the same: the Hub's list may lag behind a Job's start."""
MAX_LIVE = 1_000
Turn = Literal["run", "wait", "leave"]


def turn_of(live: list[HubJob], own: str) -> Turn:
    """The turn of the Job `own` among these live Jobs. A Job that the Hub does not list runs: it has no known place."""
    places = {job.id: (job.created, job.id) for job in live}
    if own not in places:
        return "run"
    older = sum(place < places[own] for place in places.values())
    return "run" if not older else "wait" if older == 1 else "leave"


@dataclass(frozen=True)
class JobTurns:
    """The Jobs in `namespace` that sync the board named `board`; `own` is the id of this process's Job."""

    hub: Hub
    namespace: str
    board: str
    own: str
    pause: float = PAUSE_SECONDS

    def wait(self, stop: Stop) -> bool:
        """Wait for this Job's turn; False if it may end, or `stop` is set. Raises HubError, such as Denied."""
        logged: Turn = "run"
        unlisted = 0
        while not stop.is_set():
            try:
                live = self._live()
                turn = turn_of(live, self.own)
                if live and self.own not in {job.id for job in live}:
                    unlisted += 1
                    turn = "wait" if unlisted < MAX_UNLISTED else "run"
            except (RateLimited, Transient) as error:
                log.warning("the Jobs cannot be listed", error=str(error))
                turn = "wait"
            if turn != "wait":
                return turn == "run"
            if turn != logged:
                logged = turn
                log.info("another Job runs the syncs: this one waits for its end", job=self.own)
            stop.wait(self.pause)
        return False

    def _live(self) -> list[HubJob]:
        live = []
        # The Hub's filters may be incomplete: only live Jobs of this board count.
        for number, job in enumerate(self.hub.jobs(self.namespace, {SYNC_LABEL: self.board}, LIVE_STAGES)):
            if number >= MAX_LIVE:
                break
            if job.stage in LIVE_STAGES and job.labels.get(SYNC_LABEL) == self.board:
                live.append(job)
        if self.own not in {job.id for job in live}:
            log.warning("this Job is not listed with the board's label", job=self.own, label=SYNC_LABEL)
        return live
