"""Errors of `redis_state`.

RedisStateError
├── RedisMissing     REDIS_URL leads to no Redis that accepts the connection
│   └── RedisAway    no server answers at the moment
├── SecretMissing    the file of a secret cannot be read, or is empty
└── BadMessage       a message in Redis is malformed
"""

from __future__ import annotations


class RedisStateError(Exception):
    """The base class of errors of `redis_state`."""


class RedisMissing(RedisStateError):
    """REDIS_URL leads to no Redis that accepts the connection."""


class RedisAway(RedisMissing):
    """No server answers at REDIS_URL at the moment; a later try may succeed."""


class SecretMissing(RedisStateError):
    """The file of a secret cannot be read, or is empty."""


class BadMessage(RedisStateError):
    """A message in Redis is malformed."""
