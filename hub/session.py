"""Sends one HTTP call to the Hub, bounded in time and bytes; this module never repeats a call.

It does not use the client of huggingface_hub, which keeps one session per process without a timeout, repeats some calls
itself (waiting minutes for a rate limit) and others never, and exposes neither author ids nor the headers of a
redirect. It uses that package's parser of rate limit headers.
"""

from __future__ import annotations

import io
import json as jsonlib
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import __version__ as client_version

from hub.answers import error_for, rate_limit
from hub.errors import BadRequest, Garbled, HubError, TooLarge, Transient, Unreachable
from hub.git import GitAddress, git_address
from hub.records import RateLimit, Repo

OnCall = Callable[[str, str], None]
"""Called with the method and the route (`tree`, `commit`, `comment`, …) before each request. It may wait, or raise
RateLimited, as a budget does."""

MIB = 1024 * 1024
MAX_ANSWER = 64 * MIB
_MAX_REFUSAL = 65_536
_MAX_HOPS = 5
_FROM_FIRST_HOP = ("x-repo-commit", "x-linked-etag", "x-linked-size")
"""Headers about a file that the first response of a chain of redirects has, and the later ones lack."""
_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True)
class HubResponse:
    """A response: lower-case headers, whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises Garbled, and TooLarge for values that exceed the parser's limits."""
        try:
            return jsonlib.loads(self.body)
        except (jsonlib.JSONDecodeError, UnicodeDecodeError) as error:
            raise Garbled("The Hub's response is not JSON; perhaps a proxy sent it.") from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
            raise TooLarge("The Hub's response is nested too deeply, or holds too large a number.") from error


@dataclass(frozen=True)
class _Body:
    """The limits and the destination of a response's body: see `HubSession.send`."""

    limit: int
    first: int | None = None
    into: BinaryIO | None = None
    check: Callable[[Mapping[str, str]], None] | None = None

    def expect(self, length: str, path: str) -> None:
        """Raise TooLarge if the headers already announce too many bytes."""
        if self.first is None and length.isdecimal() and len(length) < 20 and int(length) > self.limit:
            raise TooLarge(f"{path} has {int(length):,} bytes; the limit is {self.limit:,}.")


class HubSession:
    """Connections to one endpoint with one token. Safe to share between threads and over a fork.

    `timeout` (seconds) bounds each wait on the network; a whole response may take three times as long.
    """

    def __init__(self, endpoint: str, token: str | None, *, timeout: float, on_call: OnCall | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.limits: dict[str, RateLimit] = {}  # by resource, from the newest responses
        self.answers = 0
        """The number of responses with a status below 500."""
        self._token = token
        self._timeout = timeout
        self._on_call = on_call
        self._client: httpx2.Client | None = None
        self._pid = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections. The next call connects again."""
        with self._lock:
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = None

    def send(
        self,
        method: str,
        path: str,
        *,
        route: str,
        params: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_ANSWER,
        first: int | None = None,
        into: BinaryIO | None = None,
        check: Callable[[Mapping[str, str]], None] | None = None,
    ) -> HubResponse:
        """Send one call. `path` starts with `/`, or is a whole URL from the Hub; `limit` in bytes.

        With `first`, it reads only that many bytes of a longer response. With `into`, it writes the body of a
        successful response there, from the start, instead of keeping it in memory. `check` sees the headers before the
        body is read, and may raise HubError. All three ignore error responses.
        Raises HubError: Transient if the connection broke, TooLarge if the response is longer than `limit`.
        """
        url = path if "://" in path else self.endpoint + path
        sent = dict(headers or {})
        if json is not None:
            content, sent = jsonlib.dumps(json).encode(), {"content-type": "application/json"} | sent
        try:
            # An empty mapping of parameters would remove those of the URL.
            request = self._connection().build_request(
                method, url, params=params or None, content=content, headers=self._headers(url) | sent
            )
            return self._follow(request, route, _Body(limit, first, into, check))
        except HubError as error:
            error.path = urlsplit(url).path
            raise
        except _NOTHING_SENT as error:
            raise Unreachable(f"The Hub at {self.endpoint} cannot be reached: {_error_name(error)}.") from error
        except httpx2.InvalidURL as error:
            raise BadRequest(f"This is no valid URL on the Hub: {error}.") from error
        except httpx2.HTTPError as error:
            broken = Transient(f"The connection broke during {method} {path}: {_error_name(error)}.")
            broken.path = urlsplit(url).path
            raise broken from error

    def git(self, repo: Repo) -> GitAddress:
        """Return the git address of `repo`, and count the minimal calls of a fetch as route `git`."""
        if self._on_call is not None:
            self._on_call("GET", "git")
            self._on_call("POST", "git")
        return git_address(self.endpoint, repo.web, self._token)

    def _follow(self, request: httpx2.Request, route: str, body: _Body) -> HubResponse:
        """Follow redirects that keep the method: to a renamed repo, and from reads to the file store."""
        first_hop: dict[str, str] = {}
        deadline = time.monotonic() + 3 * self._timeout
        for _ in range(_MAX_HOPS):
            if self._on_call is not None:
                self._on_call(request.method, route)
            response = self._connection().send(request, stream=True)
            try:
                self._note_limits(response)
                self.answers += response.status_code < 500
                own = {name: response.headers[name] for name in _FROM_FIRST_HOP if name in response.headers}
                first_hop = own | first_hop
                if response.next_request is None:
                    return self._read(response, first_hop, body, deadline)
                if request.method not in ("GET", "HEAD") and response.status_code not in (307, 308):
                    # The redirected call would be a GET and look like a success.
                    raise BadRequest(f"The Hub answered {response.status_code} to a write at {request.url.path}.")
                request = response.next_request
            finally:
                response.close()
        raise Transient(f"The Hub redirected {request.url.path} too many times.")

    def _read(self, response: httpx2.Response, first_hop: dict[str, str], body: _Body, deadline: float) -> HubResponse:
        ok = response.is_success or response.status_code == 304
        headers = {name.lower(): value for name, value in response.headers.items()} | first_hop
        if ok and body.check is not None:
            body.check(headers)
        if ok and response.request.method != "HEAD":
            length = headers.get("x-linked-size") or headers.get("content-length", "")
            body.expect(length, response.request.url.path)
        memory = io.BytesIO()
        sink = body.into if ok and body.into is not None else memory
        sink.seek(0)
        sink.truncate()
        self._copy(response, sink, body if ok else _Body(max(body.limit, _MAX_REFUSAL)), deadline)
        if not ok:
            raise self._refusal(response, headers, memory.getvalue())
        return HubResponse(response.status_code, headers, memory.getvalue())

    def _copy(self, response: httpx2.Response, sink: BinaryIO, body: _Body, deadline: float) -> None:
        path, size = response.request.url.path, 0
        for chunk in response.iter_bytes():
            part = chunk if body.first is None else chunk[: body.first - size]
            size += len(part)
            if size > body.limit:
                raise TooLarge(f"{path} has more than {body.limit:,} bytes, the limit.")
            if time.monotonic() > deadline:
                raise Transient(f"The Hub took too long to send {path}.")
            sink.write(part)
            if size == body.first:
                return  # a server without support for ranges would send the whole file

    def _refusal(self, response: httpx2.Response, headers: dict[str, str], body: bytes) -> HubError:
        path = response.request.url.path
        call = f"{response.request.method} {path}"
        with_token = self._token is not None
        return error_for(response.status_code, headers, body, call=call, path=path, with_token=with_token)

    def _note_limits(self, response: httpx2.Response) -> None:
        limit = rate_limit(response.headers)
        if limit is not None:
            self.limits[limit.resource] = replace(limit, at=time.monotonic())

    def _headers(self, url: str) -> dict[str, str]:
        """Return the headers, with the token for the endpoint only: the Hub names other hosts for uploads."""
        headers = {"user-agent": f"steward; hf_hub/{client_version}"}
        if self._token is not None and urlsplit(url).netloc == urlsplit(self.endpoint).netloc:
            headers["authorization"] = f"Bearer {self._token}"
        return headers

    def _connection(self) -> httpx2.Client:
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                # A forked child must neither write to its parent's sockets nor close them: it ignores them.
                # Idle connections expire before servers drop them, so that a write seldom meets a closing one.
                limits = httpx2.Limits(keepalive_expiry=3.0)
                self._client = httpx2.Client(timeout=self._timeout, limits=limits, verify=_tls_context())
                self._pid = os.getpid()
            return self._client


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the TLS context, cached per process: reading the certificates for every client takes ten milliseconds."""
    return httpx2.create_ssl_context()


def _error_name(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
