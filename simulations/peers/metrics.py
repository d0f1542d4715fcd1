"""Computes the figures of each peer from the observations."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from simulations.peers.environment import EPOCH, EvaluationTry, Machines
from simulations.peers.hub_observer import BoardObservations
from simulations.peers.scenario import Submission

REASONS = ("error_msg", "error", "reason", "traceback")
"""Fields of request files in which boards give reasons, beside Steward's own."""


def figures(observed: BoardObservations | None, machines: Machines, threads: Iterable[str]) -> dict[str, Any]:
    """Return the figures of one peer. `observed` is None without a board; `threads` holds the texts of its discussions.

    Times are in seconds, sorted, for the submissions with known times.
    """
    begun, done = _begun(machines.tries), _published(observed, machines)
    figures_of_peer = {
        "submissions": len(machines.scenario.submissions),
        "to_start": sorted(
            begun[submission.path] - EPOCH - submission.at
            for submission in machines.scenario.submissions
            if submission.path in begun
        ),
        "to_scores": sorted(
            done[submission.path] - EPOCH - submission.at
            for submission in machines.scenario.submissions
            if submission.path in done
        ),
        "good": sum(submission.fate != "broken" for submission in machines.scenario.submissions),
        "scored": len(done),
        "tries": len(machines.tries),
        "evaluated_twice": _twice(machines.tries),
        "machine_hours": round(sum(attempt.seconds for attempt in machines.tries) / 3600, 1),
        "repeated_hours": round(sum(attempt.seconds for attempt in _repeats(machines.tries)) / 3600, 1),
    }
    return figures_of_peer | (_on_the_board(observed, machines, done, list(threads)) if observed is not None else {})


def _on_the_board(
    observed: BoardObservations, machines: Machines, done: Mapping[str, float], threads: list[str]
) -> dict[str, Any]:
    submissions = machines.scenario.submissions
    ended = {submission.path: at for submission in submissions if (at := observed.ended(submission.path)) is not None}
    right = [
        submission for submission in submissions if submission.path in ended and _is_right(observed, submission, done)
    ]
    failed = [submission for submission in submissions if observed.status(submission.path) == "FAILED"]
    finished = [submission for submission in submissions if observed.status(submission.path) == "FINISHED"]
    return {
        "to_right_end": sorted(ended[submission.path] - EPOCH - submission.at for submission in right),
        "finished": len(finished),
        "failed": len(failed),
        "without_end": len(submissions) - len(ended),
        "wrongly_failed": sum(submission.fate != "broken" for submission in failed),
        "wrongly_finished": sum(submission.path not in done for submission in finished),
        "changed_its_mind": sum(_changed_its_mind(observed, submission) for submission in submissions),
        "silent_ends": sum(not _says_why(observed, submission, threads) for submission in failed),
        "commits": sum(map(len, observed.commits.values())),
        "busiest_hour": observed.busiest_hour,
    }


def quantile(values: list[float], share: float) -> float | None:
    """Return the value below which `share` (0 to 1) of `values` lies; None without values."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[min(98, round(share * 100) - 1)]


def _begun(tries: list[EvaluationTry]) -> dict[str, float]:
    begun = dict[str, float]()
    for attempt in tries:
        begun.setdefault(attempt.submission.path, attempt.began)
    return begun


def _published(observed: BoardObservations | None, machines: Machines) -> dict[str, float]:
    """Return the time of the published scores of each request."""
    return dict(observed.scores) if observed is not None and observed.scores else dict(machines.published)


def _twice(tries: list[EvaluationTry]) -> int:
    """Count evaluations that began while another of the same request ran, or after a successful attempt."""
    twice = 0
    for number, attempt in enumerate(tries):
        others = [other for other in tries[:number] if other.submission == attempt.submission]
        twice += any(other.ending == "well" or other.began + other.seconds > attempt.began for other in others)
    return twice


def _repeats(tries: list[EvaluationTry]) -> list[EvaluationTry]:
    """Return the evaluations that followed another one of the same request."""
    return [
        attempt for n, attempt in enumerate(tries) if any(other.submission == attempt.submission for other in tries[:n])
    ]


def _is_right(observed: BoardObservations, submission: Submission, done: Mapping[str, float]) -> bool:
    """Whether a broken submission is FAILED, or another one is FINISHED with its own scores."""
    return submission.fate == "broken" if observed.status(submission.path) == "FAILED" else submission.path in done


def _changed_its_mind(observed: BoardObservations, submission: Submission) -> bool:
    """Whether the request file was FINISHED or FAILED, and later had another status."""
    history = [status for _, status in observed.statuses.get(submission.path, [])]
    return any(status in ("FINISHED", "FAILED") for status in history[:-1])


def _says_why(observed: BoardObservations, submission: Submission, threads: list[str]) -> bool:
    """Whether the submitter can read a reason in the request file or in a discussion that names it."""
    fields = observed.files[submission.path]
    failure = (fields.get("steward") or {}).get("failure") or {}
    if failure.get("message") or any(fields.get(name) for name in REASONS):
        return True
    return any(submission.path in text for text in threads)
