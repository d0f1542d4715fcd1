"""Plans how to compute log-likelihoods with few tokens: from requests and a memory budget to an order of steps; pure.

    requests                        prefix tree                    steps
    P q₁ → A                        P ─┬─ q₁ ─┬─ A                 1  P          its keys and values are kept
    P q₁ → B                           │      └─ B                 2  q₁ [A B]   both rows continue the cache of step 1
    P q₂ → A                           └─ q₂ ─┬─ A                    q₂ [A C]
    P q₂ → C                                  └─ C

A step computes the rows of one batch. All its rows continue the same number of cached tokens, with no padding among
them; a shorter row is padded at its end, where no other token sees the padding.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from workers.evaluation.shared_prefix.tree import AnswerRequest, Branch, Score, Segment, build_branches

MAX_PADDED_SHARE = 1 / 8
"""Padding in a step in relation to its tokens; a row that needs more goes to another step."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most tokens whose keys and values may be in memory at once, and the most tokens of one step.

    A step of one row may be longer, and needs no cache if its row is a whole sequence.
    """

    cache_tokens: int
    step_tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a step's batch. It continues row `parent_row` of the step's parent."""

    segments: tuple[Segment, ...]
    parent_row: int = 0

    @property
    def width(self) -> int:
        """Tokens of the row."""
        return sum(len(segment.tokens) for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Step:
    """A batch: rows that continue `start` cached tokens each, from the rows of step `parent` (None: from no cache).

    The step's own cache is kept until step `kept_until` has run, the last that continues it (None: it is not kept).
    """

    rows: tuple[Row, ...]
    start: int = 0
    parent: int | None = None
    kept_until: int | None = None

    @property
    def width(self) -> int:
        """Tokens of the longest row; the others are padded at the end."""
        return max(row.width for row in self.rows)

    @property
    def scores(self) -> tuple[Score, ...]:
        """The tokens of answers that the step scores, in order."""
        return tuple(score for row in self.rows for segment in row.segments for score in segment.scores)

    @property
    def tokens(self) -> int:
        """Tokens that the step computes, padding included."""
        return len(self.rows) * self.width

    @property
    def cache_tokens(self) -> int:
        """Tokens whose keys and values the step holds; a batch that neither continues nor keeps a cache has none."""
        if self.parent is None and self.kept_until is None:
            return 0
        return len(self.rows) * (self.start + self.width)


@dataclass(frozen=True)
class Plan:
    """Steps, in order, that compute every request."""

    requests: Sequence[AnswerRequest]
    steps: tuple[Step, ...]

    @cached_property
    def tokens(self) -> int:
        """Tokens that all steps compute."""
        return sum(step.tokens for step in self.steps)

    @cached_property
    def digest(self) -> bytes:
        """A digest of all steps: plans with the same digest compute the same numbers."""
        digest = hashlib.blake2b(digest_size=16)
        for step in self.steps:
            numbers = (len(step.rows), step.start, _or_none(step.parent), _or_none(step.kept_until))
            digest.update(array("q", numbers).tobytes())
            for row in step.rows:
                digest.update(array("q", (row.parent_row, len(row.segments))).tobytes())
                for segment in row.segments:
                    sizes = (len(segment.tokens), len(segment.scores), _or_none(segment.parent))
                    digest.update(array("q", (*sizes, *segment.tokens)).tobytes())
                    for score in segment.scores:
                        digest.update(array("q", (score.request, score.index, score.position, score.token)).tobytes())
        return digest.digest()

    def with_parents(self, numbers: Iterable[int]) -> list[int]:
        """These steps and those whose caches they continue, in order."""
        needed = set(numbers)
        for number in range(len(self.steps) - 1, -1, -1):
            parent = self.steps[number].parent
            if number in needed and parent is not None:
                needed.add(parent)
        return sorted(needed)

    @cached_property
    def peak_cache_tokens(self) -> int:
        """The most tokens whose keys and values are in memory at once."""
        kept: dict[int, int] = {}
        peak = 0
        for index, step in enumerate(self.steps):
            peak = max(peak, sum(kept.values()) + step.cache_tokens)
            if step.kept_until is not None:
                kept[index] = step.cache_tokens
            kept = {other: tokens for other, tokens in kept.items() if self.steps[other].kept_until != index}
        return peak


def _or_none(number: int | None) -> int:
    """A number of a step or a segment for a digest; -1 for none."""
    return -1 if number is None else number


def make_plan(requests: Sequence[AnswerRequest], budget: Budget, *, trees_in_rows: bool) -> Plan:
    """Plan `requests` within `budget`; `trees_in_rows` if the model can mask what a token of a row sees."""
    scheduler = _Scheduler(budget)
    scheduler.schedule([(branch, 0) for branch in build_branches(requests, trees_in_rows=trees_in_rows)])
    return Plan(requests, tuple(scheduler.steps))


def separate_tokens(requests: Iterable[AnswerRequest], *, once_per_input: bool) -> int:
    """Tokens of the requests as sequences of their own, without padding; `once_per_input`: equal inputs count once."""
    if not once_per_input:
        return sum(request.input_length for request in requests)
    return sum({request.input_bytes(): request.input_length for request in requests}.values())


_Continuation = tuple[Branch, int]
"""A branch, and the row of the parent step that it continues."""


class _Scheduler:
    """Appends steps, depth first: the caches in memory are those of one path through the tree.

    Every call of `schedule` finds room for `reach` tokens of each of its branches, so that even alone a branch can
    be computed to its ends.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.steps: list[Step] = []

    def schedule(
        self, branches: Iterable[_Continuation], start: int = 0, parent: int | None = None, in_use: int = 0
    ) -> None:
        """Append the steps for branches that continue `start` tokens of step `parent`, with `in_use` cached tokens."""
        free = self.budget.cache_tokens - in_use
        prefixes, ends = self._part(branches, start, free)
        for batch in self._batches(ends, start, free if parent is not None else None):
            self._append(batch, start, parent)
        room_below = start + max((branch.reach for branch, _ in prefixes), default=0)
        for batch in self._batches(prefixes, start, min(free // 2, free - room_below)):
            index = self._append(batch, start, parent)
            self.steps[index] = replace(self.steps[index], kept_until=index)
            used = in_use + self.steps[index].cache_tokens
            for end, continuations in _by_end(batch, start).items():
                self.schedule(continuations, end, index, used)
            self.steps[index] = replace(self.steps[index], kept_until=len(self.steps) - 1)

    def _part(
        self, branches: Iterable[_Continuation], start: int, free: int
    ) -> tuple[list[_Continuation], list[_Continuation]]:
        """The branches to compute as prefixes of others, and those to compute as ends.

        A prefix for which the memory is too small is dissolved: each branch below it computes its tokens anew.
        """
        prefixes, ends, pending = [], [], list(branches)
        for branch, row in pending:  # which grows
            if not branch.below:
                ends.append((branch, row))
            elif start + branch.width + start + branch.reach <= free:
                prefixes.append((branch, row))
            else:
                pending += [(dissolved, row) for dissolved in branch.without_prefix()]
        return prefixes, ends

    def _batches(
        self, branches: list[_Continuation], start: int, cache_tokens: int | None
    ) -> Iterator[list[_Continuation]]:
        """Batches of similar width, longest first, of one row or within the budget (None: they need no cache)."""
        branches.sort(key=lambda continuation: (-continuation[0].width, continuation[1]))
        batch: list[_Continuation] = []
        tokens = 0
        for branch, row in branches:
            rows, width = len(batch) + 1, batch[0][0].width if batch else branch.width
            fits = rows * width <= min(self.budget.step_tokens, (tokens + branch.width) * (1 + MAX_PADDED_SHARE))
            if batch and not (fits and (cache_tokens is None or rows * (start + width) <= cache_tokens)):
                yield batch
                batch, tokens = [], 0
            batch.append((branch, row))
            tokens += branch.width
        if batch:
            yield batch

    def _append(self, batch: list[_Continuation], start: int, parent: int | None) -> int:
        """Append the step of a batch; return its index."""
        self.steps.append(Step(tuple(Row(branch.segments, row) for branch, row in batch), start, parent))
        return len(self.steps) - 1


def _by_end(batch: list[_Continuation], start: int) -> dict[int, list[_Continuation]]:
    """Number of cached tokens → the branches that continue this number, each with its row of the batch."""
    groups: dict[int, list[_Continuation]] = {}
    for row, (branch, _) in enumerate(batch):
        groups.setdefault(start + branch.width, []).extend((below, row) for below in branch.below)
    return groups
