"""Shared helpers of the tests: models."""
