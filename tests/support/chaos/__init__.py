"""Shared helpers of the tests: chaos."""
