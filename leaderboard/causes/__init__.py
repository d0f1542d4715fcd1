"""The table of causes, one module per family; `leaderboard.failures` sets their order."""
