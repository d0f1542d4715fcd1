"""Simulates a month of a busy leaderboard from a seed: `python -m simulations.month --help`."""
