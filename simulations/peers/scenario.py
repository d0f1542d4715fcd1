"""The scenario of every peer's board, from a seed: submissions, durations, and faults."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Fate = Literal["good", "broken", "unlucky"]
"""The end of an evaluation: success; always failure, because the submission is broken; success after a first failure
through the service's fault."""

HOUR, MINUTE = 3600.0, 60.0
MEAN_MINUTES = 30.0
BROKEN, UNLUCKY = 0.15, 0.10
BURST = 0.2
"""The share of submissions within BURST_MINUTES."""
BURST_MINUTES = 5.0
AGAIN = 0.3
"""The share of submissions of an earlier model in its other precision."""
REPAIR = 5 * MINUTE
"""Seconds for which a killed machine is unavailable."""
DEATHS = (0.2, 0.75)
"""Shares of the hours: of the first good submission after each, the first evaluation is killed with its machine."""


@dataclass(frozen=True)
class Submission:
    """One request; `at` and `seconds` (of a whole evaluation) by the board's clock, which starts at 0."""

    number: int
    model: str
    precision: str
    at: float
    seconds: float
    fate: Fate

    @property
    def path(self) -> str:
        """The path of its request file."""
        return f"{self.model}_eval_request_False_{self.precision}_Original.json"


@dataclass(frozen=True)
class Scenario:
    """Everything that is equal for all peers.

    `deaths`: the numbers of the submissions whose first evaluation is killed with its machine. `outage`: when the Hub
    is unreachable, in seconds; None: never.
    """

    machines: int
    hours: float
    submissions: tuple[Submission, ...]
    outage: tuple[float, float] | None
    deaths: tuple[int, ...]

    @property
    def models(self) -> list[str]:
        """Return the models in the order of their first submissions."""
        return list(dict.fromkeys(submission.model for submission in self.submissions))


def scenario(*, seed: int, machines: int, hours: float, load: float, faults: bool = True) -> Scenario:
    """Return a scenario that keeps `machines` machines busy for the share `load` (0 to 1) of `hours` hours.

    Without `faults` the same evaluations come at the same times, all succeed, and the Hub is always reachable.
    """
    chance = random.Random(seed)
    count = max(5, round(load * machines * hours * 60 / MEAN_MINUTES))
    submissions = tuple(_submissions(chance, sorted(_times(chance, count, hours))))
    if not faults:
        submissions = tuple(replace(submission, fate="good") for submission in submissions)
    return Scenario(
        machines=machines,
        hours=hours,
        submissions=submissions,
        outage=(0.5 * hours * HOUR, 0.5 * hours * HOUR + 30 * MINUTE) if faults else None,
        deaths=tuple(_first_good(submissions, share * hours * HOUR) for share in DEATHS) if faults else (),
    )


def _first_good(submissions: tuple[Submission, ...], at: float) -> int:
    """Return the number of the first good submission from `at` on, or of the last good one of all."""
    good = [submission for submission in submissions if submission.fate == "good"]
    return next((submission for submission in good if submission.at >= at), good[-1]).number


def _times(chance: random.Random, count: int, hours: float) -> Iterator[float]:
    burst = round(BURST * count)
    for number in range(count):
        if number < burst:
            yield 0.3 * hours * HOUR + chance.uniform(0, BURST_MINUTES * MINUTE)
        else:
            yield chance.uniform(0, 0.9 * hours * HOUR)


def _submissions(chance: random.Random, times: list[float]) -> Iterator[Submission]:
    once: list[str] = []
    for number, at in enumerate(times):
        if once and chance.random() < AGAIN:
            model, precision = once.pop(chance.randrange(len(once))), "float16"
        else:
            model, precision = f"org-{number % 17}/model-{number}", "bfloat16"
            once.append(model)
        yield Submission(number, model, precision, round(at, 1), _seconds(chance), _fate(chance))


def _seconds(chance: random.Random) -> float:
    spread = 0.6
    drawn = chance.lognormvariate(math.log(MEAN_MINUTES) - spread**2 / 2, spread)
    return round(min(120.0, max(5.0, drawn)) * MINUTE, 1)


def _fate(chance: random.Random) -> Fate:
    drawn = chance.random()
    if drawn < BROKEN:
        return "broken"
    return "unlucky" if drawn < BROKEN + UNLUCKY else "good"
