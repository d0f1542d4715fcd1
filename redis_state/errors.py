"""Errors of the wire.

WireError
├── RedisMissing     REDIS_URL leads to no Redis that lets us in
│   └── RedisAway    nothing answers there just now
├── SecretMissing    the file that a secret should come from cannot be read
└── BadMessage       a message in Redis is not what its writer should have written
"""

from __future__ import annotations


class WireError(Exception):
    """The root of what can go wrong between Steward's processes."""


class RedisMissing(WireError):
    """REDIS_URL leads to no Redis that lets us in."""


class RedisAway(RedisMissing):
    """Nothing answers at REDIS_URL just now: it may be there in a moment."""


class SecretMissing(WireError):
    """The file that a secret should come from cannot be read, or is empty."""


class BadMessage(WireError):
    """A message in Redis is not what its writer should have written."""
