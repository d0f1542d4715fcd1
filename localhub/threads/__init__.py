"""Discussions and pull requests."""
