"""Judges whether a submission may be evaluated, from the facts about its file and its model.

The rules are tables, one module per family: `RULES` holds what is required and why, `REASONS` the sentences that people
read. A rule with missing facts gives no result, because another rule already reports why they are missing.
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
"""Every reason by its code; reasons about a base model have the prefix `base-`."""
MAX_TEXT = 2_000
"""Characters of the message, and of the advice, in a request file."""

Outcome = Literal["passed", "failed", "not-looked-at"]


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule for a submission."""

    rule: AdmissionRule
    outcome: Outcome
    reasons: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Accepted at one commit, or refused with every reason. `results` holds the results of the board's rules."""

    sha: str | None
    reasons: tuple[Problem, ...] = ()
    results: tuple[RuleResult, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the submission is accepted."""
        return not self.reasons and self.sha is not None


def judge(submission: Submission) -> Verdict:
    """Judge a submission by every rule, so that the submitter sees all problems at once."""
    results = tuple(_result(rule, submission) for rule in rules_in_force(submission.policy))
    reasons = tuple(dict.fromkeys(problem for result in results for problem in result.reasons))
    return Verdict(submission.model.sha, reasons, results)


def rules_in_force(policy: AdmissionPolicy) -> Iterator[AdmissionRule]:
    """Return the rules that hold on a board."""
    return (rule for rule in RULES if policy.holds(rule.name))


def unreadable(problems: Sequence[Problem]) -> Verdict:
    """Return the verdict on a submission that `problems` refuse before its model is read, as of an unreadable file."""
    first, *others = RULES
    failed = RuleResult(first, "failed", tuple(problems))
    return Verdict(None, tuple(problems), (failed, *(RuleResult(rule, "not-looked-at") for rule in others)))


def _result(rule: AdmissionRule, submission: Submission) -> RuleResult:
    if not rule.known(submission):
        return RuleResult(rule, "not-looked-at")
    reasons = tuple(rule.check(submission))
    return RuleResult(rule, "failed" if reasons else "passed", reasons)


def refusal(reasons: Sequence[Problem]) -> Failure:
    """Return `reasons`, of which there must be at least one, as the failure for the request file and the thread.

    Its texts have as many whole sentences as fit, and the number of those that are left out.
    """
    cause = reasons[0].code if len(reasons) == 1 else "several-reasons"
    message = _fitting([f"{it.message} (See {it.link})" if it.link else it.message for it in reasons])
    advice = _fitting(list(dict.fromkeys(reason.advice for reason in reasons if reason.advice)))
    return Failure(cause=cause[:64], fault="submission", message=message, advice=advice)


def _fitting(sentences: Sequence[str]) -> str:
    left_chars = MAX_TEXT - len(" (And 1000000 more.)")
    kept: list[str] = []
    for sentence in sentences:
        left_chars -= len(sentence) + 1
        if left_chars < 0:
            break
        kept.append(sentence)
    if not kept and sentences:
        kept = [sentences[0][: MAX_TEXT - 30] + " …"]
    left = len(sentences) - len(kept)
    return " ".join([*kept, f"(And {left} more.)"] if left else kept)
