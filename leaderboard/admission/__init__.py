"""Admission: facts about a submission in, a verdict with every reason out."""

from leaderboard.admission.rules import RULES, Submission, Verdict, judge, refusal

__all__ = ["RULES", "Submission", "Verdict", "judge", "refusal"]
