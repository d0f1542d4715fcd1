"""Computes the answers of a plan with a transformers model: one batch for each step, each continuing a cache.

The numbers are the harness's: it takes the log-softmax over the vocabulary in the same dtype, of the positions where
answers are scored, and adds up the answer's tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from workers.evaluation.shared_prefix import caches
from workers.evaluation.shared_prefix.plan import Plan, Row, Step
from workers.evaluation.shared_prefix.tree import AnswerRequest, Score, ScoredAnswer


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

    def answers(self, plan: Plan) -> Iterator[tuple[int, ScoredAnswer]]:
        """Compute `plan`; yield the index and the answer of each request as soon as it is known."""
        kept: dict[int, Any] = {}
        pending = [_PendingAnswer(request) for request in plan.requests]
        for number, step in enumerate(plan.steps):
            parent = None if step.parent is None else kept[step.parent]
            cache, scored = self._compute(step, parent)
            if step.kept_until is not None:
                kept[number] = cache
            del cache, parent
            kept = {other: cache for other, cache in kept.items() if plan.steps[other].kept_until != number}
            for score, log_probability, greedy, dtype in scored:
                answer = pending[score.request].add(score.index, log_probability, greedy=greedy, dtype=dtype)
                if answer is not None:
                    yield score.request, answer

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


class _PendingAnswer:
    """The log-probabilities of an answer's tokens, of which the steps compute some at a time."""

    def __init__(self, request: AnswerRequest) -> None:
        self.values = [0.0] * request.answer_length
        self.missing = request.answer_length
        self.greedy = True

    def add(self, index: int, value: float, *, greedy: bool, dtype: Any) -> ScoredAnswer | None:
        """Add a token; return the answer if it was the last that was missing."""
        self.values[index] = value
        self.greedy = self.greedy and greedy
        self.missing -= 1
        return None if self.missing else (float(torch.tensor(self.values, dtype=dtype).sum()), self.greedy)


def _scores(row: Row) -> Iterator[tuple[int, Score]]:
    """The scores of a row, each with its position in the row."""
    offset = 0
    for segment in row.segments:
        for score in segment.scores:
            yield offset + score.position, score
        offset += len(segment.tokens)


def _tree_mask(step: Step) -> tuple[Any, Any]:
    """What each token may see, [row, 1, token, cached and own tokens], and its position in its sequence.

    A token sees the cached tokens, and in its row those of the segments that its own one continues.
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
