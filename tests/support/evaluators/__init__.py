"""Evaluators for tests: a good one, and the same with one fault each."""
