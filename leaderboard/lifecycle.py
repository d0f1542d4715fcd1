"""The next step for one request, as a pure function of its file and of the state of its current attempt.

The file on the Hub is the truth about decisions; Redis is the truth about live attempts. Every sync reads both again,
so a lost, duplicated or late event only costs time:

    waits    and no worker has it             -> admit: refuse it, or let it wait in the queue
    waits    and a worker took it             -> claim: commit RUNNING, then the worker continues
    RUNNING  by Steward, and it ended         -> publish, or fail, or retry if the fault is the service's
             with results of an earlier suite -> they do not count, and the fault is the service's
    RUNNING  by Steward, and it is silent     -> look for a publication; else it is lost: retry
    RUNNING  by another backend               -> leave it alone
    an end                                    -> report it; stop a worker that still evaluates it

Attempts are numbered by path, and no number is used twice. The file stores the highest number that was claimed or has
ended: `steward.spent`. If a waiting file has such a number, a person or a program reopened the request; its next
attempt has the next number and evaluates the commit that the file names now. So every commit that reopens a request
raises its number. If another program overwrites the file, the index knows the spent number, or
`bot.request_files.attempt_numbers` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leaderboard.attempts import Failure, Outcome, attempt_id, number_in
from leaderboard.failures import cause
from leaderboard.requests import Request, Status

AttemptLife = Literal["unseen", "queued", "taken", "running", "ended", "handed-back", "silent"]
"""The state of an attempt in Redis; `silent` means that its heartbeats have stopped."""


@dataclass(frozen=True)
class Admit:
    """Gather facts about the model and judge it."""


@dataclass(frozen=True)
class Wait:
    """The request is accepted: let it wait in the queue."""

    attempt: str


@dataclass(frozen=True)
class ConfirmClaim:
    """Commit RUNNING, unless it is `committed` already, and confirm the claim to the worker."""

    attempt: str
    committed: bool


@dataclass(frozen=True)
class ShowProgress:
    """The attempt runs: show its progress."""

    attempt: str


@dataclass(frozen=True)
class Finish:
    """The current attempt published results: check them, copy them, commit FINISHED."""

    outcome: Outcome


@dataclass(frozen=True)
class Fail:
    """The current attempt ended without results and is not retried."""

    failure: Failure
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Reopen:
    """The current attempt failed through a fault of the service: let the next attempt wait."""

    failure: Failure
    outcome: Outcome | None
    cause: str


@dataclass(frozen=True)
class Recover:
    """The attempt is silent: look for its publication before treating it as lost."""

    attempt: str


@dataclass(frozen=True)
class NothingToDo:
    """The request has ended."""


@dataclass(frozen=True)
class LeaveForeign:
    """Another backend runs the request, or its status is unknown to Steward: leave it alone."""


Step = Admit | Wait | ConfirmClaim | ShowProgress | Finish | Fail | Reopen | Recover | NothingToDo | LeaveForeign


@dataclass(frozen=True)
class AttemptFacts:
    """The state of the current attempt, the outcome that it reported, and the digest of the board's suite."""

    life: AttemptLife = "unseen"
    reported: Outcome | None = None
    suite: str = ""

    @property
    def outcome(self) -> Outcome | None:
        """The reported outcome; a failure if its results belong to another version of the suite than the board's."""
        outcome = self.reported
        if outcome is None or outcome.details is None or outcome.suite_digest == self.suite:
            return outcome
        versions = f"from {outcome.suite_digest[:12]} to {self.suite[:12]}."
        return outcome.failed_with(cause("suite-changed").failure(versions))


@dataclass(frozen=True)
class CurrentAttempt:
    """The current attempt of a request.

    `first` is the first attempt since a person last asked for one: earlier attempts do not count towards the limit.
    `revision` is the pinned commit, None before one is pinned.
    """

    number: int
    first: int
    revision: str | None

    @property
    def tries(self) -> int:
        """The number of attempts since a person last asked for one, including this one."""
        return self.number - self.first + 1


def highest_used_number(request: Request) -> int:
    """Return the highest number of a claimed or ended attempt that the file shows; 0 without one.

    The number of an ended request counts only if its commit is pinned: a person's relaunch raises it and pins none, and
    the request may be refused before that attempt begins.
    """
    facts, status = request.file.steward, request.status
    is_over = status is not None and not status.waits and facts.revision is not None
    return max(facts.spent, facts.attempt if is_over else 0, number_in(request.file.job_id))


def find_current_attempt(request: Request, used: int = 0) -> CurrentAttempt:
    """Return the current attempt of `request`; numbers up to `used` are spent, even if the file does not say so."""
    facts, status = request.file.steward, request.status
    if status is None or not status.waits:
        number = max(1, facts.attempt)
        return CurrentAttempt(number, min(facts.first, number), facts.revision)
    spent = max(highest_used_number(request), used)
    if facts.attempt > spent:
        return CurrentAttempt(facts.attempt, min(facts.first, facts.attempt), facts.revision)
    return CurrentAttempt(spent + 1, spent + 1, facts.revision if facts.attempt == 0 else None)


def current_attempt_id(board: str, request: Request, now: CurrentAttempt, sha: str | None = None) -> str | None:
    """Return the id of the attempt `now` at its pinned revision, or else at `sha`; None without both."""
    revision = now.revision or sha
    return attempt_id(board, str(request.path), revision, now.number) if revision is not None else None


def next_step(request: Request, attempt: str | None, seen: AttemptFacts, *, may_try_again: bool) -> Step:
    """Return the next step for `request`, whose current attempt has the id `attempt` and the state `seen`.

    `may_try_again`: whether the fault and the board's limit allow another attempt.
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
        return Wait(attempt)  # a worker returned it, and no other worker has taken it yet
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
    """Return a text that identifies a submission at its path, because a person who submits again reuses the path."""
    return f"{request.file.revision or 'main'} {request.file.submitted_time or ''}"
