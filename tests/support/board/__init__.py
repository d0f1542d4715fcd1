"""Shared helpers of the tests: board."""
