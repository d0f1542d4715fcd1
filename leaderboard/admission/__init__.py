"""Admission: facts about a submission in, a verdict with every reason out."""

from leaderboard.admission.rules import REASONS, RULES, Outcome, Result, Verdict, judge, refusal, unreadable
from leaderboard.admission.submission import Rule, Submission

__all__ = [
    "REASONS",
    "RULES",
    "Outcome",
    "Result",
    "Rule",
    "Submission",
    "Verdict",
    "judge",
    "refusal",
    "unreadable",
]
