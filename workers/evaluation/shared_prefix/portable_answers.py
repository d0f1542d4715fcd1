"""Answers by request, with which a worker on another machine continues an evaluation.

A journal of batches is of use on the same machine only: elsewhere batches differ, and so do last digits. These answers
have the request alone as their key: its kind, its texts and its options. They are recorded in a journal of their own,
which the worker uploads from time to time, and another worker offers them to its child.

Offered answers are checked first. Before any of a journal is used, this machine computes some of its answers afresh, of
every task in turn, chosen at random. If they differ by more than the engine may differ from the harness,
OfferedAnswersDiffer ends the child, and the worker starts another one without them.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import torch

from workers.evaluation.shared_prefix import trust
from workers.evaluation.shared_prefix.batches import draws_at_random
from workers.evaluation.shared_prefix.generation import AnswerChecker, AnswersDiffer
from workers.evaluation.shared_prefix.generation_requests import TOLERANCES
from workers.evaluation.shared_prefix.journal import AnswerJournal, read_scores, unit_key
from workers.evaluation.shared_prefix.tree import ScoredAnswer

log = logging.getLogger(__name__)

SCORES, TEXTS = "loglikelihood", "generate_until"
"""The kinds of requests whose answers are portable, by the names of the harness's methods."""
MAX_VALUE_BYTES = 1 << 20
"""The largest answer: longer texts are computed again."""
MIN_CHECKED, CHECKED_SHARE = 16, 100
"""Answers of each journal that are computed afresh: at least MIN_CHECKED, and one in CHECKED_SHARE."""
GREEDY_SHARE = 0.05
"""Half precision: the share of answers that may be the most likely ones on one of two machines only."""
OUTLIER_FACTOR = 8
"""Half precision: the largest difference in relation to that which 95 % of the differences may have."""


class PortableAnswers:
    """The answers of this attempt by request, in `own`, and those of other machines, in `offered`."""

    def __init__(self, own: AnswerJournal | None = None, offered: Iterable[AnswerJournal] = ()) -> None:
        self.own = own or AnswerJournal()
        self.offered = [journal for journal in offered if journal.units]
        self.used = 0
        """Answers of other machines that were used."""

    def note(self, kind: str, request: Any, answer: Any) -> None:
        """Record an answer that this process computed, unless it is recorded or offered already."""
        if not self.own.is_open or kind not in (SCORES, TEXTS):
            return
        key = request_key(kind, request)
        if key is not None and key not in self.own and not any(key in journal for journal in self.offered):
            self.own.add(key, answer)

    def complete(
        self,
        kind: str,
        requests: Sequence[Any],
        tasks: Sequence[str],
        *,
        compute: Callable[[list[int]], list[Any]],
        differ: Callable[[Mapping[int, Any], Mapping[int, Any]], str],
        report: Callable[[int, Any], None],
    ) -> list[Any]:
        """The answers to all requests; computes only those that are not offered, and a sample of the offered ones.

        `compute` computes and reports the answers to the requests of these indexes, `report` reports an offered answer,
        and `differ` says how offered answers differ from computed ones, "" if they agree.
        Raises OfferedAnswersDiffer.
        """
        answers, sources = self._find(kind, requests)
        sample = choose_sample(sources, tasks)
        if len(sample) == len(answers):  # too few to gain anything
            answers, sample = {}, []
        if sample:
            fresh = dict(zip(sample, compute(sample), strict=True))
            if difference := differ({index: answers[index] for index in sample}, fresh):
                raise trust.OfferedAnswersDiffer(difference)
            log.info(
                "%d of %d answers come from other machines; %d were computed again, and agree",
                len(answers) - len(sample), len(requests), len(sample),
            )  # fmt: skip
            for index in sorted(answers.keys() - fresh.keys()):
                self.used += 1
                report(index, answers[index])
            answers |= fresh
        missing = [index for index in range(len(requests)) if index not in answers]
        if missing or not requests:
            answers |= dict(zip(missing, compute(missing), strict=True))
        return [answers[index] for index in range(len(requests))]

    def _find(self, kind: str, requests: Sequence[Any]) -> tuple[dict[int, Any], dict[int, int]]:
        """The offered answers by index of the request, and the number of the journal that each comes from."""
        answers, sources = dict[int, Any](), dict[int, int]()
        for index, request in enumerate(requests if self.offered else ()):
            key = request_key(kind, request)
            for number, journal in enumerate(self.offered if key is not None else ()):
                answer = read_answer(kind, journal.get(key)) if key is not None and key in journal else None
                if answer is not None:
                    answers[index], sources[index] = answer, number
                    break
        return answers, sources


def request_key(kind: str, request: Any) -> bytes | None:
    """The key of a request, a pair of texts, or a text and its options; None where tokens are drawn at random."""
    first, second = request
    if kind == SCORES:
        return unit_key(kind, None, [first, second])
    if draws_at_random(second):
        return None
    return unit_key(kind, second, [first])


def read_answer(kind: str, value: Any) -> Any:
    """A value of a journal as an answer to a request of this kind; None if it is something else."""
    if kind == TEXTS:
        return value if isinstance(value, str) else None
    scores = read_scores([value], 1)
    return scores[0] if scores else None


def choose_sample(sources: Mapping[int, int], tasks: Sequence[str]) -> list[int]:
    """Indexes of answers to compute afresh: of each source enough, of each task in turn, at random.

    `sources` maps indexes of answers to their sources.
    """
    generator = random.SystemRandom()
    chosen: list[int] = []
    for source in set(sources.values()):
        by_task: dict[str, list[int]] = {}
        for index, other in sources.items():
            if other == source:
                by_task.setdefault(tasks[index], []).append(index)
        for indexes in by_task.values():
            generator.shuffle(indexes)
        in_turn = [index for index in chain.from_iterable(zip_longest(*by_task.values())) if index is not None]
        count = max(MIN_CHECKED, len(by_task), math.ceil(len(in_turn) / CHECKED_SHARE))
        chosen += in_turn[:count]
    return sorted(chosen)


# --- whether answers agree


def scores_differ(
    offered: Mapping[int, ScoredAnswer], computed: Mapping[int, ScoredAnswer], epsilon: float | None
) -> str:
    """How log-likelihoods of two machines differ by more than they may; "" if they do not.

    `epsilon` is None in float32, else the distance of 1.0 to the next number of the model's dtype. In half precision
    single answers differ, so spread, mean and largest difference are limited, in relation to the rounding of a logit.
    """
    if epsilon is None:
        return trust.Comparison(computed).disagreement(offered)
    differences = [offered[index][0] - computed[index][0] for index in computed]
    size = sum(abs(score) for score, _ in computed.values()) / len(computed)
    unit = epsilon * max(size, trust.LOGIT_SIZE)
    spread, largest = (trust.percentile([abs(value) for value in differences], share) for share in (0.95, 1.0))
    if not spread <= trust.SPREAD_FACTOR * unit:
        return f"log-likelihoods differ by {spread:.4f}"
    if not abs(sum(differences)) <= unit * len(differences):
        return f"log-likelihoods differ by {sum(differences) / len(differences):.4f} on average"
    if not largest <= OUTLIER_FACTOR * trust.SPREAD_FACTOR * unit:
        return f"a log-likelihood differs by {largest:.4f}"
    flips = sum(offered[index][1] != computed[index][1] for index in computed)
    if flips > max(1, GREEDY_SHARE * len(computed)):
        return f"{flips} of {len(computed)} answers are the most likely ones on one machine only"
    return ""


def epsilon_of(lm: Any) -> float | None:
    """The `epsilon` of a harness model's log-likelihoods, as `scores_differ` takes it."""
    dtype = lm.model.dtype
    if (lm.softmax_dtype or dtype) == dtype == torch.float32:
        return None
    return float(torch.finfo(dtype).eps)


def texts_differ(
    lm: Any, contexts: Sequence[str], prompts: Sequence[list[int]], offered: Sequence[str], computed: Sequence[str]
) -> str:
    """How texts of two machines differ by more than they may; "" if they do not.

    Where they differ, each token of the offered text must be the most likely one on this machine, or nearly so: then
    they first differ where two tokens have nearly the same score. `prompts` are the tokens of `contexts`.
    """
    tolerance = TOLERANCES.get(str(lm.model.dtype).removeprefix("torch."), 0.0)
    checker = AnswerChecker(lm.model, tolerance, len(offered), 1)
    for context, prompt, text, other in zip(contexts, prompts, offered, computed, strict=True):
        if text == other:
            continue
        if lm.backend != "causal" or lm.think_end_token is not None:
            return "a text is another one"
        if text.startswith(other) or other.startswith(text):
            return "a text ends elsewhere"
        tokens, own_tokens = (answer_tokens(lm, context, words) for words in (text, other))
        if not tokens:
            return "a text is another one"
        if tokens[:-1] != own_tokens[: len(tokens) - 1]:
            tokens = tokens[:-1]  # the texts differ before the last token, which a stop sequence may have cut
        if checker.add(prompt, tokens) and (problem := checker_problem(checker)):
            return problem
    return checker_problem(checker)


def checker_problem(checker: AnswerChecker) -> str:
    """Why the collected texts are not the model's; "" if they are."""
    try:
        checker.check()
    except AnswersDiffer as error:
        return f"a text is not the model's: {error}"
    return ""


def answer_tokens(lm: Any, context: str, text: str) -> list[int]:
    """The tokens of `text` when it follows `context`."""
    before, whole = (lm.tok_batch_encode([words])[0][0].tolist() for words in (context, context + text))
    if whole[: len(before)] == before:
        tokens: list[int] = whole[len(before) :]
        return tokens
    return list(lm.tokenizer.encode(text, add_special_tokens=False))
