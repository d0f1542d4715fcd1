"""The connection to Redis (or Valkey), and the clear word when there is none."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from redis_state.errors import RedisAway, RedisMissing

Redis = redis.Redis
Fields = dict[Any, Any]
"""What is written into a hash: redis-py wants a mapping of every encodable type at once."""
TRANSIENT = (redis.ConnectionError, redis.TimeoutError)
"""Errors after which the same call may succeed in a moment."""
SILENCE = 20.0
"""Seconds after which a call counts as failed: a connection may die without a word. Longer than any pop blocks."""


def connect(url: str, **options: Any) -> Redis:
    """A client for `url`, checked with one PING.

    Raises RedisAway, with a sentence that names the setting, where nothing answers, and RedisMissing where that will
    stay so: it can be no address, or who answers does not let us in.
    """
    try:
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=5,
            socket_keepalive=True,
            health_check_interval=30,
            retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), 3),
            retry_on_error=list(TRANSIENT),
            **{"socket_timeout": SILENCE, **options},
        )
    except ValueError:
        # Its words may hold a part of a password.
        raise RedisMissing(
            "REDIS_URL is no address of a queue server: write redis://host:6379/0, or rediss://… with TLS. "
            "What is special in a password is written as %2F and the like."
        ) from None
    try:
        client.ping()
    except redis.RedisError as error:
        refused = isinstance(error, redis.AuthenticationError) or "certificate" in str(error).lower()
        kind = RedisAway if isinstance(error, TRANSIENT) and not refused else RedisMissing
        raise kind(missing(url, error)) from error
    return client


def text(value: Any) -> str:
    """A value that Redis answered, as text: connections answer bytes, as RQ needs them to."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def missing(url: str, error: Exception) -> str:
    """What an operator reads when Redis cannot be reached; a password in the URL is left out."""
    parts = urlsplit(url)
    where = f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
    if isinstance(error, (redis.AuthenticationError, redis.exceptions.NoPermissionError)):
        return f"Redis at {where} refuses the user or the password in REDIS_URL."
    if "certificate" in str(error).lower():
        return (
            f"The certificate of Redis at {where} is not trusted. Name the file of the authority that signed it: "
            "rediss://…/0?ssl_ca_certs=/path/to/ca.pem in REDIS_URL."
        )
    return (
        f"Redis does not answer at {where} ({type(error).__name__}). Start redis-server or valkey-server there, "
        "or set REDIS_URL to the address of a running one."
    )
