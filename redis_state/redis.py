"""Connects to Redis (or Valkey), and explains failures in terms of the settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from redis_state.errors import RedisAway, RedisMissing

Redis = redis.Redis
Fields = dict[Any, Any]
"""Fields of a hash to write; redis-py's own type accepts only mappings of all encodable types."""
TRANSIENT = (redis.ConnectionError, redis.TimeoutError)
"""Errors after which the same call may succeed later."""
SOCKET_TIMEOUT_SECONDS = 20.0
"""Seconds after which a call counts as failed, because a connection may break unnoticed. Longer than any pop blocks."""


def connect(url: str, **options: Any) -> Redis:
    """Connect to `url`, and check the connection with one PING.

    Raises RedisAway if no server answers, and RedisMissing if a retry cannot help: the URL is invalid, or the server
    refuses the connection. Messages name the setting.
    """
    try:
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=5,
            socket_keepalive=True,
            health_check_interval=30,
            retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), 3),
            retry_on_error=list(TRANSIENT),
            **{"socket_timeout": SOCKET_TIMEOUT_SECONDS, **options},
        )
    except ValueError:
        # The error's text may contain a part of a password.
        raise RedisMissing(
            "REDIS_URL is no address of a queue server: write redis://host:6379/0, or rediss://… with TLS. "
            "Write special characters of a password percent-encoded, such as %2F for a slash."
        ) from None
    try:
        client.ping()
    except redis.RedisError as error:
        refused = isinstance(error, redis.AuthenticationError) or "certificate" in str(error).lower()
        kind = RedisAway if isinstance(error, TRANSIENT) and not refused else RedisMissing
        raise kind(missing(url, error)) from error
    return client


def is_away(error: Exception) -> bool:
    """Whether the same call may succeed later: the server does not answer, or refuses all writes for now.

    It refuses them while it has no memory left, cannot save them to its disk, or follows another server.
    """
    # For an error in a pipeline, redis-py writes the command before the server's words.
    if isinstance(error, redis.ResponseError) and str(error).rpartition("caused error: ")[2].startswith("MISCONF"):
        return True
    return isinstance(error, (*TRANSIENT, redis.OutOfMemoryError, redis.ReadOnlyError))


def text(value: Any) -> str:
    """A value from Redis as text; connections return bytes, which RQ needs."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def missing(url: str, error: Exception) -> str:
    """The message for an operator when Redis cannot be reached, without the password in the URL."""
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
