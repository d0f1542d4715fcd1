"""Evaluators other than lm-eval that ship with Steward: they know the contract alone."""
