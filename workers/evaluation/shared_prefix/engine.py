"""Computes the answers of a plan with a transformers model: one batch for each step, each continuing a cache.

The numbers are the harness's: it takes the log-softmax over the vocabulary in the same dtype, of the positions where
answers are scored, and adds up the answer's tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from workers.evaluation.shared_prefix import caches
from workers.evaluation.shared_prefix.journal import AnswerJournal, read_scores, unit_key
from workers.evaluation.shared_prefix.plan import Plan, Row, Step
from workers.evaluation.shared_prefix.tree import AnswerRequest, Score, ScoredAnswer

_SCORE_DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Numerics:
    """The dtypes of a computation, as the harness's model has them."""

    softmax_dtype: Any = None
    mixed_precision_dtype: Any = None


class PrefixEngine:
    """Computes log-likelihoods with `model`, which must be one that `admission` admits.

    `cache` is any cache that the model filled: it shows the kinds of layers.
    """

    def __init__(self, model: Any, cache: Any, device: Any, numerics: Numerics) -> None:
        self.model = model
        self.device = torch.device(device)
        self.numerics = numerics
        self._empty_cache = caches.empty_like(cache)

    def answers(self, plan: Plan, journal: AnswerJournal | None = None) -> Iterator[tuple[int, ScoredAnswer]]:
        """Compute `plan`; yield the index and the answer of each request as soon as it is known.

        Steps in the journal are not computed, unless others continue their caches. Where an earlier attempt ran out of
        memory, this one does too.
        """
        journal = AnswerJournal() if journal is None else journal
        stored = self._stored_steps(plan, journal)
        missing = [number for number, step in enumerate(plan.steps) if step.scores and number not in stored]
        end = len(plan.steps)
        if missing and journal.units and journal.get(out_of_memory_key(plan)) is True:
            end = missing[0]
        computed = self._compute_steps(plan, plan.with_parents(missing))
        pending = [_PendingAnswer(request) for request in plan.requests]
        for number, step in enumerate(plan.steps[:end]):
            if not step.scores:
                continue
            scored = stored.get(number)
            if scored is None:
                scored = next(tokens for computed_number, tokens in computed if computed_number == number)
                if journal.is_open:
                    journal.add(_step_key(plan, number), [scored.dtype, scored.tokens])
            for score, (log_probability, greedy) in zip(step.scores, scored.tokens, strict=True):
                answer = pending[score.request].add(score.index, log_probability, greedy=greedy, dtype=scored.dtype)
                if answer is not None:
                    journal.replayed += number in stored
                    yield score.request, answer
        if end < len(plan.steps):
            raise MemoryError("an earlier attempt had too little memory for the next step")

    def _stored_steps(self, plan: Plan, journal: AnswerJournal) -> dict[int, ScoredTokens]:
        """The steps in the journal, after a sample of them was computed afresh."""
        stored = {
            number: scored
            for number, step in enumerate(plan.steps if journal.units else ())
            if (scored := ScoredTokens.read(journal.get(_step_key(plan, number)), len(step.scores))) is not None
        }
        for number, scored in self._compute_steps(plan, plan.with_parents(journal.choose_sample(stored))):
            if stored.get(number, scored) != scored:
                journal.discard("a step that is computed again gives other log-likelihoods")
                return {}
        return stored

    def _compute_steps(self, plan: Plan, numbers: Sequence[int]) -> Iterator[tuple[int, ScoredTokens]]:
        """Compute these steps, which include those that they continue; yield the scored tokens of each."""
        caches_by_step: dict[int, Any] = {}
        for number in numbers:
            step = plan.steps[number]
            parent = None if step.parent is None else caches_by_step[step.parent]
            cache, scored = self._compute(step, parent)
            caches_by_step = {n: other for n, other in caches_by_step.items() if _last_use(plan, n) > number}
            if _last_use(plan, number) > number:
                caches_by_step[number] = cache
            del cache, parent
            yield number, ScoredTokens.of(scored)

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not followed
    def _compute(self, step: Step, parent: Any) -> tuple[Any, list[tuple[Score, float, bool, Any]]]:
        """The step's cache, and the log-probability of each scored token with whether it is the most likely one."""
        cache = None
        if parent is not None:
            cache = caches.continue_rows(parent, [row.parent_row for row in step.rows], step.start)
        elif step.kept_until is not None:
            cache = caches.empty_like(self._empty_cache)
        scores = [(number, *scored) for number, row in enumerate(step.rows) for scored in _scores(row)]
        columns = sorted({position for _, position, _ in scores}) or [0]
        logits = self._logits(step, cache, columns)
        if not scores:
            return cache, []
        places = list(dict.fromkeys((row, position) for row, position, _ in scores))
        rows = torch.tensor([row for row, _ in places], device=logits.device)
        picked = torch.tensor([columns.index(position) for _, position in places], device=logits.device)
        log_probabilities = torch.log_softmax(logits[rows, picked], dim=-1, dtype=self.numerics.softmax_dtype)
        of_place = {place: index for index, place in enumerate(places)}
        indexes = torch.tensor([of_place[row, position] for row, position, _ in scores], device=logits.device)
        tokens = torch.tensor([score.token for _, _, score in scores], device=logits.device)
        values = log_probabilities[indexes, tokens].tolist()
        greedy = (log_probabilities.argmax(dim=-1)[indexes] == tokens).tolist()
        dtype = log_probabilities.dtype
        return cache, [
            (score, value, most_likely, dtype)
            for (_, _, score), value, most_likely in zip(scores, values, greedy, strict=True)
        ]

    def _logits(self, step: Step, cache: Any, columns: list[int]) -> Any:
        """The logits [row, column, vocabulary] of the positions `columns` of the step."""
        width = step.width
        tokens = torch.zeros((len(step.rows), width), dtype=torch.long)
        for number, row in enumerate(step.rows):
            tokens[number, : row.width] = torch.tensor([token for part in row.segments for token in part.tokens])
        options: dict[str, Any] = {"cache": cache} if cache is not None else {}
        if any(len(row.segments) > 1 for row in step.rows):
            visible, positions = _tree_mask(step)
            if getattr(self.model.config, "_attn_implementation", None) == "eager":
                hidden = torch.finfo(self.model.dtype).min
                visible = torch.zeros(visible.shape, dtype=self.model.dtype).masked_fill(~visible, hidden)
            options |= {"attention_mask": visible.to(self.device), "position_ids": positions.to(self.device)}
        dtype = self.numerics.mixed_precision_dtype
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            return self.model(
                tokens.to(self.device),
                use_cache=cache is not None,
                logits_to_keep=torch.tensor(columns, device=self.device),
                **options,
            ).logits


@dataclass(frozen=True)
class ScoredTokens:
    """The log-probability of each token that a step scores, with whether it is the most likely one, and their dtype."""

    dtype: str
    tokens: tuple[tuple[float, bool], ...]

    @classmethod
    def of(cls, scored: Sequence[tuple[Score, float, bool, Any]]) -> ScoredTokens:
        """Convert the scores that a step computed."""
        dtype = str(scored[0][3]).removeprefix("torch.") if scored else ""
        return cls(dtype, tuple((value, greedy) for _, value, greedy, _ in scored))

    @classmethod
    def read(cls, value: Any, count: int) -> ScoredTokens | None:
        """Parse a value of the journal; None if it does not hold `count` scored tokens."""
        if not (isinstance(value, list) and len(value) == 2 and value[0] in _SCORE_DTYPES):
            return None
        tokens = read_scores(value[1], count)
        return None if tokens is None else cls(value[0], tuple(tokens))


def out_of_memory_key(plan: Plan) -> bytes:
    """The key under which the journal notes that there was too little memory for a step of `plan`."""
    return unit_key("out of memory", None, [plan.digest])


def _step_key(plan: Plan, number: int) -> bytes:
    return unit_key("step", number, [plan.digest])


def _last_use(plan: Plan, number: int) -> int:
    """The last step that continues the cache of step `number`; -1 if that step keeps no cache."""
    last = plan.steps[number].kept_until
    return -1 if last is None else last


class _PendingAnswer:
    """The log-probabilities of an answer's tokens, of which the steps compute some at a time."""

    def __init__(self, request: AnswerRequest) -> None:
        self.values = [0.0] * request.answer_length
        self.missing = request.answer_length
        self.greedy = True

    def add(self, index: int, value: float, *, greedy: bool, dtype: str) -> ScoredAnswer | None:
        """Add a token; return the answer if it was the last that was missing."""
        self.values[index] = value
        self.greedy = self.greedy and greedy
        self.missing -= 1
        return (
            None if self.missing else (float(torch.tensor(self.values, dtype=getattr(torch, dtype)).sum()), self.greedy)
        )


def _scores(row: Row) -> Iterator[tuple[int, Score]]:
    """The scores of a row, each with its position in the row."""
    offset = 0
    for segment in row.segments:
        for score in segment.scores:
            yield offset + score.position, score
        offset += len(segment.tokens)


def _tree_mask(step: Step) -> tuple[Any, Any]:
    """The mask of the tokens that each token sees, [row, 1, token, cached and own tokens], and its position.

    A token sees the cached tokens and, in its row, the earlier tokens of its segment and of those that this continues.
    """
    count, width = len(step.rows), step.width
    visible = torch.zeros((count, 1, width, step.start + width), dtype=torch.bool)
    visible[..., : step.start] = True
    positions = torch.zeros((count, width), dtype=torch.long)
    for number, row in enumerate(step.rows):
        own = torch.eye(width, dtype=torch.bool)  # so that padding, which no other token sees, sees one token
        ends: list[int] = []
        offset = 0
        for segment in row.segments:
            length = len(segment.tokens)
            first = step.start
            if segment.parent is not None:
                last = ends[segment.parent] - 1
                own[offset : offset + length, :offset] = own[last, :offset]
                first = int(positions[number, last]) + 1
            own[offset : offset + length, offset : offset + length] = torch.ones(length, length).tril().bool()
            positions[number, offset : offset + length] = torch.arange(first, first + length)
            offset += length
            ends.append(offset)
        visible[number, 0, :, step.start :] = own
    return visible, positions
