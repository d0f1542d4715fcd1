"""Ways of running a leaderboard, side by side: see `__main__`."""
