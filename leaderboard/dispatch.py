"""Who runs next: one pure rule, from which turn, position and hold-ups all follow.

RQ is kept nearly empty on purpose: each worker has at most one attempt running and one ahead of it, so that no GPU
waits for the bot, and everything else can still be ordered, cancelled and explained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

AHEAD = 1


@dataclass(frozen=True)
class Waiting:
    """A request that was accepted and waits for its turn."""

    path: str
    attempt: str
    submitter: str
    submitted: float


@dataclass(frozen=True)
class Busy:
    """An attempt that a worker runs, or that lies ready in RQ for one."""

    attempt: str
    submitter: str


def in_turn(waiting: Iterable[Waiting], running: Iterable[Busy]) -> list[Waiting]:
    """All of `waiting` in the order in which they will run.

    Fair turns: the next one is the oldest request of whoever has the fewest attempts running or chosen before it. It
    takes n log n steps for n requests.
    """
    rounds = Counter(busy.submitter for busy in running)
    ordered: list[tuple[int, float, str, Waiting]] = []
    for request in sorted(waiting, key=lambda one: (one.submitted, one.path)):
        ordered.append((rounds[request.submitter], request.submitted, request.path, request))
        rounds[request.submitter] += 1
    return [request for *_, request in sorted(ordered, key=lambda entry: entry[:3])]


def next_attempts(waiting: Iterable[Waiting], running: Sequence[Busy], workers: int) -> list[Waiting]:
    """Those of `waiting` to put into RQ now, so that each of `workers` has one attempt ahead of the one it runs."""
    free = workers * (1 + AHEAD) - len(running)
    return in_turn(waiting, running)[:free] if free > 0 else []
