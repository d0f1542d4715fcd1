"""The script of a month: every action with its time, determined by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from simulations.month.models import BAD, GOOD

SUBMISSIONS, PEOPLE, REPORTS, BURSTS, RENAMES, FLAGS, SCRAWLS = 3_000, 400, 200, 120, 60, 40, 60
MODEL_PAGES, TRIALS = 40, 60
"""The numbers of a whole month at full scale.

SCRAWLS are pull requests that are no submissions. For each of MODEL_PAGES an owner asks for scores on the model's own
page; for each of TRIALS a person asks for a trial of a model.
"""
BAD_SHARE = 1 / 3
WAYS = {"form": 0.5, "page": 0.2, "pull": 0.22, "command": 0.08}
"""`form` is the front end of the board, `page` the form of Steward's own web server."""
FATES = {"ok": 0.88, "dies": 0.08, "flaky": 0.04}
MONTH = 30


@dataclass(frozen=True)
class Scale:
    """The size of the simulation: `share` of the people and of their actions, over `days` days of `hours` hours."""

    share: float
    days: int
    hours: float
    tenths: tuple[int, int]
    """The shortest and the longest evaluation, in tenths of a real second."""

    def count(self, of: int) -> int:
        """Return the scaled number of `of` in a whole month."""
        return max(1, round(of * self.share * self.days / MONTH))

    @property
    def people(self) -> int:
        """Return the number of people."""
        return max(4, round(PEOPLE * self.share))


@dataclass(frozen=True)
class Submission:
    """One model with its submitter, its way in, and the end of its evaluation."""

    number: int
    person: int
    kind: str
    way: str
    fate: str
    tenths: int

    @property
    def owner(self) -> str:
        """Return the account that owns the model."""
        return name_of(self.person)

    @property
    def model(self) -> str:
        """The model's name, which encodes the end of its evaluation."""
        return f"{self.owner}/{self.kind}-{self.number:04}-{self.fate}-{self.tenths}"


@dataclass(frozen=True, order=True)
class Act:
    """One action; `second` counts from the start of the day."""

    day: int
    second: float
    what: str
    number: int
    """The number of the submission, or the seed of the action."""


@dataclass(frozen=True)
class Script:
    """The whole month."""

    scale: Scale
    submissions: tuple[Submission, ...]
    acts: tuple[Act, ...]

    def day(self, number: int) -> list[Act]:
        """Return the actions of one day, in order."""
        return [act for act in self.acts if act.day == number]


def name_of(person: int) -> str:
    """Return the account of a person."""
    return f"person-{person:03}"


def write(seed: int, scale: Scale) -> Script:
    """Return the script of `seed`."""
    random = Random(seed)
    submissions = tuple(_submissions(random, scale))
    acts = [*_people(random, scale, submissions), *_faults(random, scale)]
    return Script(scale, submissions, tuple(sorted(acts)))


def _submissions(random: Random, scale: Scale) -> Iterator[Submission]:
    count = scale.count(SUBMISSIONS)
    bad = round(count * BAD_SHARE)
    # Every kind of bad model occurs before any occurs twice.
    kinds = [BAD[number % len(BAD)].name for number in range(bad)]
    kinds += random.choices([kind.name for kind in GOOD], [6, 3, 1], k=count - bad)
    random.shuffle(kinds)
    for number, kind in enumerate(kinds):
        yield Submission(
            number,
            random.randrange(scale.people),
            kind,
            _choice(random, WAYS),
            _choice(random, FATES),
            random.randint(*scale.tenths),
        )


def _people(random: Random, scale: Scale, submissions: tuple[Submission, ...]) -> Iterator[Act]:
    for submission in submissions:
        yield Act(*_moment(random, scale), "submit", submission.number)
    for what, count in (("report", REPORTS), ("burst", BURSTS), ("scrawl", SCRAWLS), ("try_out", TRIALS)):
        for _ in range(scale.count(count)):
            yield Act(*_moment(random, scale, first=min(1, scale.days - 1)), what, random.getrandbits(32))
    for what, count in (("rename", RENAMES), ("flag", FLAGS), ("publish_scores", MODEL_PAGES)):
        for _ in range(scale.count(count)):
            yield Act(*_moment(random, scale, first=min(2, scale.days - 1)), what, random.getrandbits(32))


FAULTS = (
    # day of the month, part of the day, fault; the most important come first
    (8, 0.5, "redis"),
    (4, 0.4, "outage"),
    (16, 0.2, "forger"),
    (6, 0.4, "kill"),
    (10, 0.3, "upgrade"),
    (12, 0.02, "breakage"),
    (20, 0.1, "suite"),
    (18, 0.4, "silence"),
    (27, 0.5, "restart"),
    (15, 0.3, "kill"),
    (24, 0.3, "upgrade"),
    (22, 0.6, "kill"),
    (3, 0.3, "restart"),
)


def _faults(random: Random, scale: Scale) -> Iterator[Act]:
    """Yield all faults of a whole month; in a shorter one at most one a day, and none on the first day."""
    chosen = sorted(FAULTS[: max(0, scale.days - 1)])
    for number, (day, part, what) in enumerate(chosen):
        fits = day if scale.days >= MONTH else 1 + number * (scale.days - 1) // len(chosen)
        yield Act(fits, part * scale.hours * 3600, what, random.getrandbits(32))


def _moment(random: Random, scale: Scale, *, first: int = 0) -> tuple[int, float]:
    return random.randrange(first, scale.days), random.random() * scale.hours * 3600


def _choice(random: Random, shares: dict[str, float]) -> str:
    return random.choices(list(shares), list(shares.values()))[0]
