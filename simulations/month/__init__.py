"""A month in the life of a busy leaderboard, played from a seed: `python -m simulations.month --help`."""
