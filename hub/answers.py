"""Maps the Hub's error responses to the exceptions of `errors.py`, without I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]  # it is documented

from hub.errors import (
    BadRequest,
    BadToken,
    Busy,
    Conflict,
    Denied,
    Disabled,
    EntryNotFound,
    Garbled,
    Gated,
    HubError,
    NotFound,
    RateLimited,
    RepoNotFound,
    RevisionNotFound,
    StaleParent,
    ThreadNotFound,
    TooLarge,
    Transient,
)
from hub.records import RateLimit

_BY_CODE: dict[str, type[HubError]] = {
    "RepoNotFound": RepoNotFound,
    "RevisionNotFound": RevisionNotFound,
    "EntryNotFound": EntryNotFound,
    "GatedRepo": Gated,
}
_BY_STATUS: dict[int, type[HubError]] = {
    402: Denied,
    403: Denied,
    404: NotFound,
    408: Transient,
    409: Conflict,
    412: StaleParent,
    413: TooLarge,
    425: Transient,
    451: Disabled,
}
_WAITS = re.compile(r"(?:about|in|after)\s+(?:an?|(\d+))\s+(second|minute|hour)", re.IGNORECASE)
_UNIT = {"second": 1.0, "minute": 60.0, "hour": 3600.0}

DEFAULT_WAIT, COMMITS_WAIT, QUEUE_WAIT = 60.0, 3600.0, 5.0
"""Seconds to wait after a 429 without a time: in general, for commits, and for concurrent calls."""


def error_for(
    status: int, headers: Mapping[str, str], body: bytes, *, call: str, path: str, with_token: bool
) -> HubError:
    """Return the error that a response means. `call` is `GET /api/…` for the message; header names are lower-case."""
    text = error_message(headers, body)
    request_id = headers.get("x-request-id") or headers.get("x-amzn-trace-id")
    sentence = f"The Hub answered {status} to {call}: {text or 'no reason given'}"
    if status == 429:
        seconds, quota = retry_wait(headers, text)
        return RateLimited(sentence, seconds=seconds, what=quota, request_id=request_id)
    kind = _kind(status, headers.get("x-error-code", ""), text, path, with_token=with_token)
    return kind(sentence, status=status, request_id=request_id)


def _kind(status: int, code: str, text: str, path: str, *, with_token: bool) -> type[HubError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if text == "Access to this resource is disabled.":
        return Disabled
    if status == 401:
        # Without a token, the Hub answers 401 for missing repos, so that names of private repos stay secret.
        return RepoNotFound if not with_token and _names_a_repo(path) else BadToken
    if status == 404 and text.startswith("No discussion found"):
        return ThreadNotFound
    if status == 404 and text.startswith("Repository not found"):
        return RepoNotFound
    if status in (403, 404) and not code and not text:
        return Garbled  # the Hub always gives a reason; a proxy, or the store of large files, does not
    if status == 409 and "in progress" in text:
        return Busy
    if status >= 500 and status != 501:
        return Transient
    return _BY_STATUS.get(status, BadRequest)


def _names_a_repo(path: str) -> bool:
    return path.startswith(("/api/models/", "/api/datasets/", "/api/spaces/")) or "/resolve/" in path


def error_message(headers: Mapping[str, str], body: bytes) -> str:
    """Return the Hub's error message, at most 500 characters: from a header, else from JSON `error`, else empty."""
    return " ".join((headers.get("x-error-message") or _json_error(body)).split())[:500]


def _json_error(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):  # a page of a proxy, which is not useful to people
        return ""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error") or answer.get("error_description") or answer.get("errors") or ""
    if isinstance(error, list):
        return "; ".join(str(item.get("message", item)) if isinstance(item, dict) else str(item) for item in error)
    return str(error)


def retry_wait(headers: Mapping[str, str], text: str) -> tuple[float, str]:
    """Return the seconds that a 429 asks to wait, and its quota.

    Only the text names the quota of commits per repo; the `RateLimit` header then still has calls left.
    """
    if "repository commits" in text:
        return _seconds_in(text) or COMMITS_WAIT, "commits"
    limit = rate_limit(headers)
    if limit is not None and limit.remaining == 0:
        return limit.resets_in + 1.0, limit.resource
    quota = limit.resource if limit is not None else "api"
    if (seconds := _retry_after(headers)) is not None:
        return seconds, quota
    if "concurrency queue" in text:
        return QUEUE_WAIT, "concurrency"
    return _seconds_in(text) or DEFAULT_WAIT, quota


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return the quota in the `RateLimit` headers, which successful responses have as well."""
    info = parse_ratelimit_headers(headers)
    return RateLimit(info.resource_type, info.remaining, float(info.reset_in_seconds), info.limit) if info else None


def _seconds_in(text: str) -> float | None:
    """Return the seconds to wait that a sentence names, such as "in about 2 minutes"; None if it names none."""
    match = _WAITS.search(text)
    return float(match.group(1) or 1) * _UNIT[match.group(2).lower()] if match else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        # Only the server's own `Date` has the same clock as its `Retry-After`.
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])).total_seconds())
    except (ValueError, TypeError, KeyError):
        return None
