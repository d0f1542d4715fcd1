"""The harness's own batches: which requests it computes at once, and their replay from a journal.

A request's last digits depend on its batch, so a batch is computed, journalled and replayed as a whole. The harness
orders its batches by the requests alone: computed one at a time they are the same as in one call of all requests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from lm_eval.models.utils import Collator

from workers.evaluation.shared_prefix.journal import AnswerJournal, unit_key
from workers.evaluation.shared_prefix.tree import AnswerRequest

Answer = TypeVar("Answer")


def answer_batches(
    requests: Sequence[tuple[Any, list[int], list[int]]], size: int, *, by_context: bool
) -> list[list[int]]:
    """The indexes of log-likelihood requests in the harness's batches of `size`, each in the order of its answers.

    `by_context`: requests that read the same tokens are one row of a batch.
    """
    collator = Collator(
        [(index, context, answer) for index, (_, context, answer) in enumerate(requests)],
        sort_fn=lambda request: (-len(request[1] + request[2]), tuple(request[1] + request[2])),
        group_by="contexts" if by_context else None,
        group_fn=lambda request: request[1] + request[2][:-1],
    )
    row = torch.zeros(1, 1, 1)
    return [
        [number for index, context, answer in batch for number, _, _ in collator.get_cache(index, context, answer, row)]
        for batch in collator.get_batched(n=size)
    ]


def split_differently(requests: Sequence[tuple[Any, list[int], list[int]]]) -> set[int]:
    """The indexes of requests whose tokens another request splits elsewhere into context and answer.

    The harness computes both from the same logits if it caches these, and reads those of the shorter answer at the
    longer one's first tokens: its log-likelihoods are not the model's.
    """
    by_input: dict[bytes, list[int]] = {}
    for index, (_, context, answer) in enumerate(requests):
        key = hashlib.blake2b(AnswerRequest(context, answer).input_bytes(), digest_size=16).digest()
        by_input.setdefault(key, []).append(index)
    groups = (group for group in by_input.values() if len({len(requests[index][2]) for index in group}) > 1)
    return {index for group in groups for index in group}


def text_batches(
    requests: Sequence[tuple[str, dict[str, Any]]], size: int, length_of: Callable[[str], int]
) -> list[list[int]]:
    """The indexes of generation requests in the harness's batches of `size`; `length_of` counts a text's tokens."""
    collator = Collator(
        [(context, options, index) for index, (context, options) in enumerate(requests)],
        sort_fn=lambda request: (-length_of(request[0]), request[0]),
        group_by="gen_kwargs",
        group_fn=lambda request: request[1],
    )
    return [[index for _, _, index in batch] for batch in collator.get_batched(n=size)]


def answer_key(
    requests: Sequence[tuple[Any, list[int], list[int]]], batch: Sequence[int], *, by_context: bool
) -> bytes:
    """The journal's key of a batch of log-likelihood requests."""
    tokens = [part for index in batch for part in requests[index][1:]]
    return unit_key("batch", {"by_context": by_context}, tokens)


def text_key(requests: Sequence[tuple[str, dict[str, Any]]], batch: Sequence[int]) -> bytes | None:
    """The journal's key of a batch of generation requests; None if tokens are drawn at random: those are not stored."""
    options = requests[batch[0]][1]
    if draws_at_random(options):
        return None
    return unit_key("texts", options, [requests[index][0] for index in batch])


def draws_at_random(options: Mapping[str, Any]) -> bool:
    """Whether texts with these options differ from run to run."""
    return bool(options.get("do_sample") or options.get("temperature"))


class BatchReplay(Generic[Answer]):
    """Computes batches, or takes them from the journal.

    `compute` computes the answers of a batch and reports them; `recompute` computes them without a report. `read`
    parses a value of the journal as answers (None: it holds none), and `report` reports an answer from the journal.
    """

    def __init__(
        self,
        journal: AnswerJournal,
        *,
        compute: Callable[[list[int]], list[Answer]],
        recompute: Callable[[list[int]], list[Answer]],
        read: Callable[[Any, int], list[Answer] | None],
        report: Callable[[int, Answer], None],
    ) -> None:
        self.journal = journal
        self.compute = compute
        self.recompute = recompute
        self.read = read
        self.report = report

    def answers(self, batches: Sequence[list[int]], keys: Sequence[bytes | None]) -> dict[int, Answer]:
        """The answers of all batches, by the index of the request."""
        stored = self._stored_answers(batches, keys)
        answers: dict[int, Answer] = {}
        for number, (batch, key) in enumerate(zip(batches, keys, strict=True)):
            if number in stored:
                self.journal.replayed += len(batch)
                for index, answer in zip(batch, stored[number], strict=True):
                    self.report(index, answer)
            else:
                stored[number] = self.compute(batch)
                if key is not None:
                    self.journal.add(key, stored[number])
            answers |= dict(zip(batch, stored.pop(number), strict=True))
        return answers

    def _stored_answers(self, batches: Sequence[list[int]], keys: Sequence[bytes | None]) -> dict[int, list[Answer]]:
        """The answers in the journal by number of the batch, after a sample of the batches was computed afresh."""
        stored = {
            number: answers
            for number, (batch, key) in enumerate(zip(batches, keys, strict=True))
            if key is not None and (answers := self.read(self.journal.get(key), len(batch))) is not None
        }
        for number in self.journal.choose_sample(stored):
            if self.recompute(batches[number]) != stored[number]:
                self.journal.discard("a batch that is computed again gives other answers")
                return {}
        return stored


def read_texts(value: Any, count: int) -> list[str] | None:
    """A value of the journal as `count` texts; None if it is something else."""
    if isinstance(value, list) and len(value) == count and all(isinstance(text, str) for text in value):
        return value
    return None
