"""What a leaderboard is: records and rules. Pure: no network, no Redis, no clock of its own."""

__version__ = "0.2.0.dev0"
"""The version of Steward; the build reads it from here."""
