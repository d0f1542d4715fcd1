"""Errors of the wire.

WireError
├── RedisMissing     nothing answers at REDIS_URL
└── BadMessage       a message in Redis is not what its writer should have written
"""

from __future__ import annotations


class WireError(Exception):
    """The root of what can go wrong between Steward's processes."""


class RedisMissing(WireError):
    """Nothing answers at REDIS_URL."""


class BadMessage(WireError):
    """A message in Redis is not what its writer should have written."""
