"""`steward demo`: a whole leaderboard on one machine, with a local Hub instead of the internet."""
