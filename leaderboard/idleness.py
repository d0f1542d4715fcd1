"""Whether a bot that runs only for a while has nothing left to do: the rule of `steward sync --until-idle`.

Work that is due within AWAKE_SECONDS counts as work now: a staged edit waits about that long for the budget of commits,
a failed call to a Hub that is away is repeated within it, and a start of the bot costs as much. Work that is due later
is left to a later start, which finds it again: everything is read from the Hub.
"""

from __future__ import annotations

from dataclasses import dataclass

AWAKE_SECONDS = 120.0


@dataclass(frozen=True)
class BoardActivity:
    """The work that is due or in progress at one moment."""

    due: int = 0
    """Keys whose sync is due within AWAKE_SECONDS, without the restless ones."""
    syncing: int = 0
    """Keys whose sync runs, without the restless ones."""
    restless: bool = False
    """Whether a sync is due, or runs, of a key that the timer marks at each tick while requests wait."""
    unread_pages: int = 0
    """Repos of which pages of open discussions were not read yet."""
    running: int = 0
    """Attempts that a worker has: it needs this bot for its claim, its heartbeats and its outcome."""
    queued: int = 0
    """Attempts that a worker, or a run of a backend, will soon take; not those that a limit of costs keeps waiting."""
    runs: int = 0
    """Runs of backends that live: each has to end, or to be cancelled, because it costs money."""

    @property
    def remains(self) -> str:
        """Why the bot has to stay awake, in words; empty if it need not, restless keys apart."""
        counts = (
            (self.syncing, "sync runs", "syncs run"),
            (self.due, "sync is due", "syncs are due"),
            (self.unread_pages, "repo has unread discussions", "repos have unread discussions"),
            (self.running, "evaluation runs", "evaluations run"),
            (self.queued, "evaluation is queued", "evaluations are queued"),
            (self.runs, "run of a backend lives", "runs of backends live"),
        )
        return ", ".join(f"{count} {singular if count == 1 else plural}" for count, singular, plural in counts if count)


@dataclass
class QuietPeriod:
    """Tells when nothing was left to do for `seconds`, longer than the timer takes between two ticks.

    A restless key may be due at any moment, because the timer marks it at each tick: it has to be seen at rest once.
    """

    seconds: float
    since: float | None = None
    was_at_rest: bool = False

    def note(self, activity: BoardActivity, now: float) -> bool:
        """Note the activity at the time `now` of a monotonic clock; return whether nothing was left for long enough."""
        if activity.remains:
            self.since, self.was_at_rest = None, False
            return False
        self.since = now if self.since is None else self.since
        self.was_at_rest |= not activity.restless
        return self.was_at_rest and now - self.since >= self.seconds
