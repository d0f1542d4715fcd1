"""Shared helpers of the tests: units."""
