"""Shared helpers of the tests: localhub."""
