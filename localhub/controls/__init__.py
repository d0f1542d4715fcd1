"""Faults and rate limits that tests set, and statistics that they read."""
