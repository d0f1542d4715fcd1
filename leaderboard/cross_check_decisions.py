"""Decides about the answers that a worker claims, by the cross-check reports of workers of other accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from leaderboard.cross_checks import CheckedQuestion, CrossCheckReport


@dataclass(frozen=True)
class CrossCheckVote:
    """A report, and the Hub account that committed it."""

    account: str
    report: CrossCheckReport


_REASONS_OF = ("differs", "agrees", "not-compared")
"""Verdicts, in the order in which their reasons are named."""
CrossCheckOutcome = Literal["open", "agrees", "differs", "undecided", "nothing"]


@dataclass(frozen=True)
class CrossCheckDecision:
    """The decision about a claim that follows from the reports.

    `open`: another worker has to compute. `agrees`: the claim holds; `alone` is the account of a worker that reported
    otherwise. `differs`: two workers report that the same answers are not the model's. `undecided`: the two report
    different answers. `nothing`: no answer is of a kind that can be compared. `by` are the accounts that decided.
    """

    outcome: CrossCheckOutcome
    by: tuple[str, ...] = ()
    alone: str = ""
    compared: int = 0
    questions: tuple[CheckedQuestion, ...] = ()
    reason: str = ""


def decide(votes: Sequence[CrossCheckVote]) -> CrossCheckDecision:
    """Decide about a claim by `votes`, reports of workers of different accounts in the order of their jobs."""
    usable = [vote for vote in votes if not vote.report.problem]
    if not usable:
        return CrossCheckDecision("open")
    first = usable[0]
    differing = first.report.with_verdict("differs")
    if not differing:
        outcome: CrossCheckOutcome = "agrees" if first.report.compared else "nothing"
        return CrossCheckDecision(outcome, (first.account,), compared=first.report.compared, reason=_reason(first))
    if len(usable) == 1:
        questions = tuple(sorted(differing))
        return CrossCheckDecision(
            "open", (first.account,), compared=first.report.compared, questions=questions, reason=_reason(first)
        )
    return _decide_between(first, usable[1])


def _decide_between(first: CrossCheckVote, second: CrossCheckVote) -> CrossCheckDecision:
    """Decide with the second report, after the first one disagreed with the claim."""
    by, differing = (first.account, second.account), first.report.with_verdict("differs")
    compared = second.report.compared
    if both := differing & second.report.with_verdict("differs"):
        return CrossCheckDecision(
            "differs", by, compared=compared, questions=tuple(sorted(both)), reason=_reason(first)
        )
    if not second.report.with_verdict("differs") and differing <= second.report.with_verdict("agrees"):
        return CrossCheckDecision("agrees", (second.account,), first.account, compared, reason=_reason(second))
    questions = tuple(sorted(differing | second.report.with_verdict("differs")))
    return CrossCheckDecision("undecided", by, compared=compared, questions=questions, reason=_reason(first))


def _reason(vote: CrossCheckVote) -> str:
    """Return the first reason in a report: of answers that differ, else of those that agree; "" if it has none."""
    ordered = sorted(vote.report.answers, key=lambda answer: _REASONS_OF.index(answer.verdict))
    return next(
        (f"{answer.task}, question {answer.number}: {answer.reason}" for answer in ordered if answer.reason), ""
    )
