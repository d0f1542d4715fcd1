"""Shared helpers of the tests: docs."""
