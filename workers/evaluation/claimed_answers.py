"""Compares answers that another worker claims with those that the model gives on this machine.

The harness makes all prompts, so that they are those of the evaluation: examples are drawn in the same order. Only the
claimed questions are computed. For these the harness scores the claimed answers, not the computed ones: then questions,
prompts and metrics of an honest worker are the same letter for letter, and answers alone differ in the last digits.

    log-likelihoods   float32: each one, within what the engine may differ from the harness. Half precision: within the
                      rounding of a logit, and another choice only where two are nearly as likely
    texts             the claimed text is fed to the model: each of its tokens, and its end, has to be the most likely
                      one or nearly so
    others            tokens drawn at random, and log-likelihoods of whole documents, are not compared
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from lm_eval.api.registry import register_model
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs

from workers.common.run_plan import CLAIMS_COMPARED, RunPlan
from workers.evaluation.harness_model import ReportingModel
from workers.evaluation.shared_prefix import trust
from workers.evaluation.shared_prefix.batches import draws_at_random
from workers.evaluation.shared_prefix.generation import AnswerChecker
from workers.evaluation.shared_prefix.generation_requests import TOLERANCES
from workers.evaluation.shared_prefix.portable_answers import (
    OUTLIER_FACTOR,
    answer_tokens,
    checker_problem,
    epsilon_of,
)
from workers.evaluation.shared_prefix.tree import ScoredAnswer

CLAIMS_MODEL = "steward-claims"
"""The name under which `ClaimsModel` is registered with the harness."""
NOT_ASKED: ScoredAnswer = (-1.0, False)
"""The answer to questions that are not computed; their scores mean nothing."""
AT_RANDOM = "its tokens are drawn at random"
CLAIM_TOLERANCE = 10 * trust.TOLERANCE
"""The largest permitted difference of a log-likelihood in float32: other hardware rounds differently."""
LONG_CHARACTERS = 100_000
"""Answers with more characters may have been cut when they were published."""
UNREADABLE = "its answers cannot be read, and the model's have {count} characters"
TOO_LONG = "its answers were cut when they were published"
OTHER_NUMBER = "it has {claimed} answers where {here} are asked"


class NotComparable(Exception):
    """An answer is of a kind that cannot be compared; the message says which."""


@register_model(CLAIMS_MODEL)
class ClaimsModel(ReportingModel):
    """A harness model that computes only the questions with claimed answers, and compares its answers with these."""

    def __init__(self, *, plan: RunPlan, **arguments: Any) -> None:
        super().__init__(plan=plan, **arguments)
        self._claims = {(claim.task, claim.number): claim for claim in plan.claimed}
        self.compared: dict[tuple[str, int], tuple[str, str]] = {}
        """Question (task, number) → verdict and reason."""

    def loglikelihood(self, requests: Any, *arguments: Any, **options: Any) -> Any:
        """The claimed log-likelihoods, after comparison with the computed ones."""
        compute = super().loglikelihood
        return self._complete(
            requests,
            NOT_ASKED,
            compute=lambda chosen: compute(chosen, *arguments, **options),
            differ=lambda _, claimed, computed: scores_differ(claimed, computed, epsilon_of(self)),
        )

    def loglikelihood_rolling(self, requests: Any, *_: Any, **__: Any) -> list[float]:
        """A placeholder for each request: log-likelihoods of whole documents are neither computed nor compared."""
        return [NOT_ASKED[0]] * len(requests)

    def generate_until(self, requests: Any, *arguments: Any, **options: Any) -> Any:
        """The claimed texts, after comparison with the computed ones."""
        compute = super().generate_until
        return self._complete(
            requests,
            "",
            compute=lambda chosen: compute(chosen, *arguments, **options),
            differ=lambda chosen, claimed, computed: self._texts_differ(chosen, claimed, computed),
        )

    def _complete(
        self,
        requests: Sequence[Any],
        nothing: Any,
        *,
        compute: Callable[[list[Any]], list[Any]],
        differ: Callable[[list[Any], list[Any], list[Any]], str],
    ) -> list[Any]:
        """The claimed answers to claimed questions (the computed ones if their number differs), `nothing` to others."""
        questions: dict[tuple[str, int], list[int]] = {}
        for index, request in enumerate(requests):
            question = str(request.task_name), int(request.doc_id)
            if question in self._claims:
                questions.setdefault(question, []).append(index)
        chosen = [index for indexes in questions.values() for index in indexes]
        computed = dict(zip(chosen, compute([requests[i] for i in chosen]), strict=True)) if chosen else {}
        answers = [nothing] * len(requests)
        for question, indexes in questions.items():
            ordered = sorted(indexes, key=lambda index: requests[index].idx)
            here, claimed = [computed[index] for index in ordered], list(self._claims[question].answers)
            self.compared[question] = self._compare([requests[i] for i in ordered], claimed, here, differ)
            is_whole = len(claimed) == len(here)
            for index, answer in zip(ordered, claimed if is_whole else here, strict=True):
                answers[index] = answer
        return answers

    def _compare(
        self,
        requests: list[Any],
        claimed: list[Any],
        computed: list[Any],
        differ: Callable[[list[Any], list[Any], list[Any]], str],
    ) -> tuple[str, str]:
        """Verdict and reason for the answers to one question."""
        if not claimed:
            count = sum(len(str(answer)) for answer in computed)
            return (
                ("not-compared", TOO_LONG) if count > LONG_CHARACTERS else ("differs", UNREADABLE.format(count=count))
            )
        if len(claimed) != len(computed):
            return "differs", OTHER_NUMBER.format(claimed=len(claimed), here=len(computed))
        pairs = zip(claimed, computed, strict=True)
        if any(isinstance(claim, str) != isinstance(answer, str) for claim, answer in pairs):
            return "differs", "it has another kind of answer"
        try:
            reason = differ(requests, claimed, computed)
        except NotComparable as error:
            return "not-compared", str(error)
        return ("differs", reason) if reason else ("agrees", "")

    def _texts_differ(self, requests: list[Any], claimed: list[str], computed: list[str]) -> str:
        for request, text, own in zip(requests, claimed, computed, strict=True):
            if draws_at_random(request.args[1]):
                raise NotComparable(AT_RANDOM)
            if text != own and (reason := text_differs(self, request, text, own)):
                return reason
        return ""

    def get_model_info(self) -> Any:
        """Write the verdicts of the comparison to the spool: the harness calls this right after its evaluation."""
        compared = [
            {"task": task, "number": number, "verdict": verdict, "reason": reason}
            for (task, number), (verdict, reason) in self.compared.items()
        ]
        (self.plan.spool / CLAIMS_COMPARED).write_text(json.dumps(compared))
        return super().get_model_info()


# --- whether the answers to one question agree


def scores_differ(claimed: Sequence[ScoredAnswer], computed: Sequence[ScoredAnswer], epsilon: float | None) -> str:
    """How the log-likelihoods of the answers to one question differ by more than they may; "" if they do not.

    `epsilon` is None in float32, else the distance of 1.0 to the next number of the model's dtype. Then whether an
    answer is the most likely text is not compared: two tokens may be equally likely.
    """
    if epsilon is None:
        comparison = trust.Comparison(dict(enumerate(computed)), tolerance=CLAIM_TOLERANCE)
        return comparison.disagreement(dict(enumerate(claimed)))
    scores, own = [float(score) for score, _ in claimed], [float(score) for score, _ in computed]
    unit = trust.SPREAD_FACTOR * epsilon * max(trust.LOGIT_SIZE, sum(map(abs, own)) / len(own))
    differences = sorted(abs(score - other) for score, other in zip(scores, own, strict=True))
    if not differences[-1] <= OUTLIER_FACTOR * unit:  # also if it is not a number
        return f"a log-likelihood differs by {differences[-1]:.4f}"
    if not differences[len(differences) // 2] <= unit:
        return f"log-likelihoods differ by {differences[len(differences) // 2]:.4f}"
    choice = max(range(len(scores)), key=scores.__getitem__)
    if not max(own) - own[choice] <= 2 * unit:
        return f"another choice is more likely by {max(own) - own[choice]:.4f}"
    return ""


def text_differs(lm: Any, request: Any, text: str, own: str) -> str:
    """How the claimed `text` differs from the model's text `own`; "" if the model may give the claimed text, too."""
    if lm.backend != "causal" or lm.think_end_token is not None:
        raise NotComparable("texts of such a model are compared letter for letter, and this one is another")
    context, prompt = request.args[0], lm._prompt_of(request)
    tokens = answer_tokens(lm, context, text) if text else []
    own_tokens = answer_tokens(lm, context, own) if own else []
    ends_early = own.startswith(text)
    if not ends_early and tokens[:-1] != own_tokens[: len(tokens) - 1]:
        tokens = tokens[:-1]  # the texts differ before the last token, which a stop sequence may have cut
    if not ends_early:
        return _tokens_differ(lm, prompt, tokens)
    return _end_differs(lm, request, prompt, tokens)


def _end_differs(lm: Any, request: Any, prompt: list[int], tokens: list[int]) -> str:
    """Why a text cannot end after `tokens`: no token that ends it is nearly as likely as the best one; or ""."""
    options = normalize_gen_kwargs(request.args[1], lm.max_gen_toks)
    until = handle_stop_sequences(options.get("until"), eos=lm.tok_decode(lm.eot_token_id, skip_special_tokens=False))
    ends = {lm.eot_token_id}
    for words in until:
        ends.update(lm.tokenizer.encode(words, add_special_tokens=False)[:1])
    reasons = [_tokens_differ(lm, prompt, [*tokens, end]) for end in sorted(ends)]
    return "" if "" in reasons else f"a text ends elsewhere: {reasons[0]}"


def _tokens_differ(lm: Any, prompt: list[int], tokens: list[int]) -> str:
    """Why the model does not generate these tokens after the prompt; "" if each is the likeliest, or nearly so."""
    if not tokens:
        return ""
    tolerance = TOLERANCES.get(str(lm.model.dtype).removeprefix("torch."), 0.0)
    checker = AnswerChecker(lm.model, tolerance, 1, 1)
    checker.add(prompt, tokens)
    return checker_problem(checker)
