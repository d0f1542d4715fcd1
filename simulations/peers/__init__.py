"""Compares several ways of running a leaderboard: see `__main__`."""
