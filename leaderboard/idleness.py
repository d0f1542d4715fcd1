"""Whether a bot that runs only for a while has nothing left to do: the rule of `steward sync --until-idle`.

Work that is due within AWAKE_SECONDS counts as work now: a staged edit waits about that long for the budget of commits,
a failed call to an unavailable Hub is repeated within it, and a start of the bot takes as long. Work that is due later
is left to a later start, which finds it again, because a start reads everything from the Hub.
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
    """Whether a sync of a restless key is due or runs: the timer marks such a key at each tick while requests wait."""
    unread_pages: int = 0
    """Repos with pages of open discussions that the bot has not read yet."""
    running: int = 0
    """Attempts that a worker has: it needs this bot for its claim, its heartbeats and its outcome."""
    queued: int = 0
    """Attempts that a worker, or a run of a backend, will soon take; not those that a limit of costs keeps waiting."""
    runs: int = 0
    """Live runs of backends: each has to end, or to be cancelled, because it costs money."""

    @property
    def remains(self) -> str:
        """The work for which the bot must stay awake, as a text; empty if there is none, not counting restless keys."""
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
    """Detects that nothing was left to do for `seconds`, which is longer than the timer takes between two ticks.

    The timer marks restless keys at each tick, so they may be due at any moment: `note` must see them at rest once.
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
