"""Admission: judges the facts about a submission and returns a verdict with every reason."""

from leaderboard.admission.rules import REASONS, RULES, Outcome, RuleResult, Verdict, judge, refusal, unreadable
from leaderboard.admission.submission import AdmissionRule, Submission

__all__ = [
    "REASONS",
    "RULES",
    "AdmissionRule",
    "Outcome",
    "RuleResult",
    "Submission",
    "Verdict",
    "judge",
    "refusal",
    "unreadable",
]
