"""The records and rules of a leaderboard, as pure types and functions: no network, no Redis, no clock."""

__version__ = "1.0.0"
"""The version of Steward; the build reads it from here."""
