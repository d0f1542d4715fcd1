"""Shared helpers of the tests: browser."""
