"""Computes the figures of each peer from the observations."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from simulations.peers.environment import EPOCH, Machines, Try
from simulations.peers.hub_observer import Seen
from simulations.peers.scenario import Submission

REASONS = ("error_msg", "error", "reason", "traceback")
"""Fields of request files in which boards give reasons, beside Steward's own."""


def figures(seen: Seen | None, machines: Machines, threads: Iterable[str]) -> dict[str, Any]:
    """Return the figures of one peer. `seen` is None without a board; `threads` holds the texts of its discussions.

    Times are in seconds, sorted, for the submissions with known times.
    """
    begun, done = _begun(machines.tries), _published(seen, machines)
    found = {
        "submissions": len(machines.scenario.submissions),
        "to_start": sorted(
            begun[one.path] - EPOCH - one.at for one in machines.scenario.submissions if one.path in begun
        ),
        "to_scores": sorted(
            done[one.path] - EPOCH - one.at for one in machines.scenario.submissions if one.path in done
        ),
        "good": sum(one.fate != "broken" for one in machines.scenario.submissions),
        "scored": len(done),
        "tries": len(machines.tries),
        "evaluated_twice": _twice(machines.tries),
        "machine_hours": round(sum(one.seconds for one in machines.tries) / 3600, 1),
        "repeated_hours": round(sum(one.seconds for one in _repeats(machines.tries)) / 3600, 1),
    }
    return found | (_on_the_board(seen, machines, done, list(threads)) if seen is not None else {})


def _on_the_board(seen: Seen, machines: Machines, done: Mapping[str, float], threads: list[str]) -> dict[str, Any]:
    everybody = machines.scenario.submissions
    ended = {one.path: at for one in everybody if (at := seen.ended(one.path)) is not None}
    right = [one for one in everybody if one.path in ended and _is_right(seen, one, done)]
    failed = [one for one in everybody if seen.status(one.path) == "FAILED"]
    finished = [one for one in everybody if seen.status(one.path) == "FINISHED"]
    return {
        "to_right_end": sorted(ended[one.path] - EPOCH - one.at for one in right),
        "finished": len(finished),
        "failed": len(failed),
        "without_end": len(everybody) - len(ended),
        "wrongly_failed": sum(one.fate != "broken" for one in failed),
        "wrongly_finished": sum(one.path not in done for one in finished),
        "changed_its_mind": sum(_changed_its_mind(seen, one) for one in everybody),
        "silent_ends": sum(not _says_why(seen, one, threads) for one in failed),
        "commits": sum(map(len, seen.commits.values())),
        "busiest_hour": seen.busiest_hour,
    }


def quantile(values: list[float], share: float) -> float | None:
    """Return the value below which `share` (0 to 1) of `values` lies; None without values."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[min(98, round(share * 100) - 1)]


def _begun(tries: list[Try]) -> dict[str, float]:
    found = dict[str, float]()
    for one in tries:
        found.setdefault(one.submission.path, one.began)
    return found


def _published(seen: Seen | None, machines: Machines) -> dict[str, float]:
    """Return the time of the published scores of each request."""
    return dict(seen.scores) if seen is not None and seen.scores else dict(machines.published)


def _twice(tries: list[Try]) -> int:
    """Count evaluations that began while another of the same request ran, or after a successful one."""
    twice = 0
    for number, one in enumerate(tries):
        others = [other for other in tries[:number] if other.submission == one.submission]
        twice += any(other.ending == "well" or other.began + other.seconds > one.began for other in others)
    return twice


def _repeats(tries: list[Try]) -> list[Try]:
    """Return the evaluations that followed another one of the same request."""
    return [one for n, one in enumerate(tries) if any(other.submission == one.submission for other in tries[:n])]


def _is_right(seen: Seen, one: Submission, done: Mapping[str, float]) -> bool:
    """Whether a broken submission is FAILED, or another one is FINISHED with its own scores."""
    return one.fate == "broken" if seen.status(one.path) == "FAILED" else one.path in done


def _changed_its_mind(seen: Seen, one: Submission) -> bool:
    """Whether its file was FINISHED or FAILED, and later had another status."""
    history = [status for _, status in seen.statuses.get(one.path, [])]
    return any(status in ("FINISHED", "FAILED") for status in history[:-1])


def _says_why(seen: Seen, one: Submission, threads: list[str]) -> bool:
    """Whether its submitter can read a reason in the request file or in a discussion that names it."""
    fields = seen.files[one.path]
    failure = (fields.get("steward") or {}).get("failure") or {}
    if failure.get("message") or any(fields.get(name) for name in REASONS):
        return True
    return any(one.path in text for text in threads)
