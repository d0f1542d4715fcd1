"""Whether a submission may be evaluated: facts about its file and its model in, a verdict with every reason out.

The rules are tables, a family a module beside this one: `RULES` of each says what is asked and why, `REASONS` what
people read. A rule whose facts are missing is silent, since another one has said already why they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leaderboard import requests
from leaderboard.admission import base, card, config, model, precision, repeats, request, tokenizer, weights
from leaderboard.admission.submission import AdmissionRule, Submission
from leaderboard.attempts import Failure
from leaderboard.policy import AdmissionPolicy
from leaderboard.reasons import Problem, Reason

_FAMILIES = (request, model, config, weights, precision, tokenizer, base, card, repeats)
RULES: tuple[AdmissionRule, ...] = tuple(rule for family in _FAMILIES for rule in family.RULES)
REASONS: Mapping[str, Reason] = {
    code: reason for family in (requests, *_FAMILIES) for code, reason in family.REASONS.items()
}
"""Every sentence of a refusal, by its code; of a base model it is told with the code behind `base-`."""
MAX_TEXT = 2_000
"""Characters of the message, and of the advice, that a request file keeps."""

Outcome = Literal["passed", "failed", "not-looked-at"]


@dataclass(frozen=True)
class RuleResult:
    """What one rule says of a submission."""

    rule: AdmissionRule
    outcome: Outcome
    reasons: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Accepted at one commit, or refused with every reason. `results` are those of the rules that the board goes by."""

    sha: str | None
    reasons: tuple[Problem, ...] = ()
    results: tuple[RuleResult, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether there is nothing against it."""
        return not self.reasons and self.sha is not None


def judge(submission: Submission) -> Verdict:
    """The verdict on a submission: every rule speaks, so that a submitter hears everything at once."""
    results = tuple(_result(rule, submission) for rule in rules_in_force(submission.policy))
    reasons = tuple(dict.fromkeys(problem for result in results for problem in result.reasons))
    return Verdict(submission.model.sha, reasons, results)


def rules_in_force(policy: AdmissionPolicy) -> Iterator[AdmissionRule]:
    """The rules that a board goes by."""
    return (rule for rule in RULES if policy.holds(rule.name))


def unreadable(problems: Sequence[Problem]) -> Verdict:
    """The verdict on a file that cannot be read as a request, and whose model is not known for that reason."""
    first, *others = RULES
    failed = RuleResult(first, "failed", tuple(problems))
    return Verdict(None, tuple(problems), (failed, *(RuleResult(rule, "not-looked-at") for rule in others)))


def _result(rule: AdmissionRule, submission: Submission) -> RuleResult:
    if not rule.known(submission):
        return RuleResult(rule, "not-looked-at")
    reasons = tuple(rule.check(submission))
    return RuleResult(rule, "failed" if reasons else "passed", reasons)


def refusal(reasons: Sequence[Problem]) -> Failure:
    """`reasons` as the failure that the request file and the thread report; there must be at least one.

    Whole sentences are kept as far as they fit; how many did not is said.
    """
    cause = reasons[0].code if len(reasons) == 1 else "several-reasons"
    message = _fitting([f"{one.message} (See {one.link})" if one.link else one.message for one in reasons])
    advice = _fitting(list(dict.fromkeys(one.advice for one in reasons if one.advice)))
    return Failure(cause=cause[:64], fault="submission", message=message, advice=advice)


def _fitting(sentences: Sequence[str]) -> str:
    room = MAX_TEXT - len(" (And 1000000 more.)")
    kept: list[str] = []
    for sentence in sentences:
        room -= len(sentence) + 1
        if room < 0:
            break
        kept.append(sentence)
    if not kept and sentences:
        kept = [sentences[0][: MAX_TEXT - 30] + " …"]
    left = len(sentences) - len(kept)
    return " ".join([*kept, f"(And {left} more.)"] if left else kept)
