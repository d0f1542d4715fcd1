"""Errors of the wire.

WireError
├── RedisMissing     REDIS_URL leads to no Redis that lets us in
│   └── RedisAway    nothing answers there just now
├── SecretMissing    the file that a secret should come from cannot be read
└── BadMessage       a message in Redis is not what its writer should have written
"""

from __future__ import annotations


class RedisStateError(Exception):
    """The root of what can go wrong between Steward's processes."""


class RedisMissing(RedisStateError):
    """REDIS_URL leads to no Redis that lets us in."""


class RedisAway(RedisMissing):
    """Nothing answers at REDIS_URL just now: it may be there in a moment."""


class SecretMissing(RedisStateError):
    """The file that a secret should come from cannot be read, or is empty."""


class BadMessage(RedisStateError):
    """A message in Redis is not what its writer should have written."""
