"""What to do about one request: a pure function of what was read about it.

The file on the Hub is the truth about what was decided; Redis is the truth about what is alive. Their combination is
looked at afresh in every sync, so a lost, doubled or late event costs time and nothing else:

    waits    and nobody evaluates it          -> admit: refuse, or let it wait for its turn
    waits    and a worker took it             -> claim: the commit of RUNNING, then the worker may go on
    RUNNING  by us, and it ended              -> publish, or fail, or try again where the fault is ours
             with results of an earlier suite -> they count as none, and the fault is ours
    RUNNING  by us, and it is silent          -> look for what it published; else it is lost: try again
    RUNNING  by another backend               -> none of our business
    an end                                    -> report it; stop whoever still evaluates it

Attempts are numbered by path, and no number is ever used twice. The file keeps the highest that was claimed, or ended:
`steward.spent`. A file that waits at such a number was put back by somebody, be it from an end or out of the middle,
and its next attempt is the one after that, at the commit that the file asks for now. So the commit that reopens a
request raises its number, whoever makes it and whatever else it says. Where somebody wrote a new file over ours, what
was spent is known to the index, or looked for elsewhere (`bot.request_files.attempt_numbers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leaderboard.attempts import Failure, Outcome, attempt_id, number_in
from leaderboard.failures import cause
from leaderboard.requests import Request, Status

AttemptLife = Literal["unseen", "queued", "taken", "running", "ended", "handed-back", "silent"]
"""What Redis knows of an attempt; `silent` means that it lived and does not beat any more."""


@dataclass(frozen=True)
class Admit:
    """Gather facts about the model and judge it."""


@dataclass(frozen=True)
class Wait:
    """Accepted already: let it have its turn."""

    attempt: str


@dataclass(frozen=True)
class ConfirmClaim:
    """Commit RUNNING, unless the file says so already, and tell the worker."""

    attempt: str
    committed: bool


@dataclass(frozen=True)
class ShowProgress:
    """It runs; show how far."""

    attempt: str


@dataclass(frozen=True)
class Finish:
    """The current attempt published something: check it, copy it, say FINISHED."""

    outcome: Outcome


@dataclass(frozen=True)
class Fail:
    """The current attempt ended without results, for good."""

    failure: Failure
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Reopen:
    """The current attempt ended for a reason that is ours: the next one waits."""

    failure: Failure
    outcome: Outcome | None
    cause: str


@dataclass(frozen=True)
class Recover:
    """It fell silent: look at what it may have published before calling it lost."""

    attempt: str


@dataclass(frozen=True)
class NothingToDo:
    """Nothing more will happen to it by itself."""


@dataclass(frozen=True)
class LeaveForeign:
    """Another backend runs it, or it is in a state that Steward does not know: hands off."""


Step = Admit | Wait | ConfirmClaim | ShowProgress | Finish | Fail | Reopen | Recover | NothingToDo | LeaveForeign


@dataclass(frozen=True)
class AttemptFacts:
    """What is known of a request's current attempt: its life, what it reported, and the digest of the board's suite."""

    life: AttemptLife = "unseen"
    reported: Outcome | None = None
    suite: str = ""

    @property
    def outcome(self) -> Outcome | None:
        """What it reported, as it counts: results of another version of the suite than the board has now are none."""
        outcome = self.reported
        if outcome is None or outcome.details is None or outcome.suite_digest == self.suite:
            return outcome
        words = f"from {outcome.suite_digest[:12]} to {self.suite[:12]}."
        return outcome.model_copy(update={"details": None, "failure": cause("suite-changed").failure(words)})


@dataclass(frozen=True)
class CurrentAttempt:
    """Which attempt of a request is the current one.

    `first` is the first since people asked last: the ones before it are not held against the budget of tries.
    `revision` is the commit that is pinned for it, None where that is still to be found out.
    """

    number: int
    first: int
    revision: str | None

    @property
    def tries(self) -> int:
        """How many attempts there were since people asked last, this one included."""
        return self.number - self.first + 1


def highest_used_number(request: Request) -> int:
    """The highest number of an attempt that was claimed, or ended, as far as the file tells; 0 where none was."""
    facts, status = request.file.steward, request.status
    over = 0 if status is None or status.waits else facts.attempt
    return max(facts.spent, over, number_in(request.file.job_id))


def find_current_attempt(request: Request, used: int = 0) -> CurrentAttempt:
    """The current attempt of `request`, where those up to `used` are known to be spent, whatever the file says."""
    facts, status = request.file.steward, request.status
    if status is None or not status.waits:
        number = max(1, facts.attempt)
        return CurrentAttempt(number, min(facts.first, number), facts.revision)
    over = max(highest_used_number(request), used)
    if facts.attempt > over:
        return CurrentAttempt(facts.attempt, min(facts.first, facts.attempt), facts.revision)
    return CurrentAttempt(over + 1, over + 1, facts.revision if facts.attempt == 0 else None)


def current_attempt_id(board: str, request: Request, now: CurrentAttempt, sha: str | None = None) -> str | None:
    """The id of the attempt `now`: at the pinned revision, or at `sha` before one is pinned; None without either."""
    revision = now.revision or sha
    return attempt_id(board, str(request.path), revision, now.number) if revision is not None else None


def next_step(request: Request, attempt: str | None, seen: AttemptFacts, *, may_try_again: bool) -> Step:
    """What to do about `request`, whose current attempt is `attempt` and was `seen` so.

    `may_try_again` says whether the fault and the board's budget allow another attempt.
    """
    status = request.status
    if status is None:
        return LeaveForeign()
    if status.waits:
        return _waiting(attempt, seen, may_try_again=may_try_again)
    if status is Status.RUNNING:
        return _running(request, attempt, seen, may_try_again=may_try_again)
    return NothingToDo()


def _waiting(attempt: str | None, seen: AttemptFacts, *, may_try_again: bool) -> Step:
    if attempt is None or seen.life in ("unseen", "silent"):
        return Admit()
    if seen.life == "taken":
        return ConfirmClaim(attempt, committed=False)
    if seen.life == "ended" and seen.outcome is not None:
        return _ended(seen.outcome, may_try_again=may_try_again)
    return Wait(attempt)


def _running(request: Request, attempt: str | None, seen: AttemptFacts, *, may_try_again: bool) -> Step:
    ours = request.file.steward.attempt > 0 and attempt is not None and request.file.job_id == attempt
    if not ours or attempt is None:
        return LeaveForeign()
    if seen.life == "ended" and seen.outcome is not None:
        return _ended(seen.outcome, may_try_again=may_try_again)
    if seen.life == "taken":
        return ConfirmClaim(attempt, committed=True)
    if seen.life == "running":
        return ShowProgress(attempt)
    if seen.life in ("handed-back", "queued"):
        return Wait(attempt)  # a worker gave it back, and no other has it yet
    return Recover(attempt)


def _ended(outcome: Outcome, *, may_try_again: bool) -> Step:
    if outcome.ok:
        return Finish(outcome)
    failure = outcome.failure or Failure(
        cause="unknown", fault="unknown", message="The worker reported neither results nor a reason."
    )
    if may_try_again:
        return Reopen(failure, outcome, cause=f"{outcome.attempt}:{failure.cause}")
    return Fail(failure, outcome)


def submission_digest(request: Request) -> str:
    """What identifies one submission at a path: a person who submits again writes a new file at the same path."""
    return f"{request.file.revision or 'main'} {request.file.submitted_time or ''}"
