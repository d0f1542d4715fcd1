"""Shared helpers of the tests: hub."""
