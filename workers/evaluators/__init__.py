"""Evaluators other than lm-eval that ship with Steward; they get only what the evaluator contract provides."""
