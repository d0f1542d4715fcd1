"""Admission: facts about a submission in, a verdict with every reason out."""

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
