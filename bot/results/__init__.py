"""The aggregated table, the scoreboard, and search."""
