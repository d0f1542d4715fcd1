"""The table of causes, one module a family; `leaderboard.failures` puts them in order."""
