"""Errors of the wire.

WireError
├── RedisMissing     nothing answers at REDIS_URL
├── SecretMissing    the file that a secret should come from cannot be read
└── BadMessage       a message in Redis is not what its writer should have written
"""

from __future__ import annotations


class WireError(Exception):
    """The root of what can go wrong between Steward's processes."""


class RedisMissing(WireError):
    """Nothing answers at REDIS_URL."""


class SecretMissing(WireError):
    """The file that a secret should come from cannot be read, or is empty."""


class BadMessage(WireError):
    """A message in Redis is not what its writer should have written."""
