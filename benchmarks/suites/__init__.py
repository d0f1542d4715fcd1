"""Evaluates a whole suite at its real shape through Steward: `python -m benchmarks.suites --help`."""
