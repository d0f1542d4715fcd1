"""Shared helpers of the tests: workers."""
