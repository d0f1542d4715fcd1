"""One HTTP call to the Hub: bounded in time and bytes, counted, never repeated here.

Why not the client of huggingface_hub: it keeps one session for the whole process, without any timeout, repeats some
calls by itself (sleeping out a rate limit of minutes) and others never, and shows neither author ids nor the headers
of a redirect. Its knowledge of headers and limits is used where it is to be had.
"""

from __future__ import annotations

import io
import json as jsonlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import __version__ as client_version

from hub.answers import error_for, rate_limit
from hub.errors import BadRequest, Garbled, HubError, TooLarge, Transient, Unreachable
from hub.git import GitAddress, git_address
from hub.records import RateLimit, Repo

OnCall = Callable[[str, str], None]
"""Told the method and the route (`tree`, `commit`, `comment`, …) of each request that is about to leave. It may wait,
or raise RateLimited: that is where a budget comes in."""

MIB = 1024 * 1024
MAX_ANSWER = 64 * MIB
_MAX_REFUSAL = 65_536
_MAX_HOPS = 5
_FROM_FIRST_HOP = ("x-repo-commit", "x-linked-etag", "x-linked-size")
_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True)
class HubResponse:
    """What came back: lower-case headers, whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; Garbled where it is not."""
        try:
            return jsonlib.loads(self.body)
        except (ValueError, RecursionError) as error:  # a card's metadata, say, are as deep as a stranger nested them
            raise Garbled("The Hub answered with something that is not JSON; a proxy may stand in between.") from error


@dataclass(frozen=True)
class _Body:
    """How much of an answer is wanted, and where to: see `HubSession.send`."""

    limit: int
    first: int | None = None
    into: BinaryIO | None = None

    def expect(self, told: str, what: str) -> None:
        """TooLarge where the headers tell already that there is too much."""
        if self.first is None and told.isdigit() and int(told) > self.limit:
            raise TooLarge(f"{what} is {int(told):,} bytes long; we take {self.limit:,} at most.")


class HubSession:
    """Connections to one endpoint in the name of one token. Safe to share between threads, and to carry over a fork.

    `timeout` (seconds) bounds each wait for the network; a whole answer may take three times as long.
    """

    def __init__(self, endpoint: str, token: str | None, *, timeout: float, on_call: OnCall | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.limits: dict[str, RateLimit] = {}  # by resource, as the newest answers told them
        self.answers = 0
        """How often the Hub answered something else than that it cannot."""
        self._token = token
        self._timeout = timeout
        self._on_call = on_call
        self._client: httpx2.Client | None = None
        self._pid = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Hangs up. The next call would connect again."""
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
    ) -> HubResponse:
        """One call. `path` starts with `/`, or is a whole address that the Hub itself gave; `limit` in bytes.

        With `first`, only that many bytes of a longer answer are read. With `into`, the body of a good answer is
        written there, from its start, and not kept in memory. Neither does anything to the body of a refusal.
        Raises HubError: Transient if it broke off, TooLarge if the answer is longer than `limit`.
        """
        url = path if "://" in path else self.endpoint + path
        sent = dict(headers or {})
        if json is not None:
            content, sent = jsonlib.dumps(json).encode(), {"content-type": "application/json"} | sent
        try:
            request = self._connection().build_request(
                method, url, params=params, content=content, headers=self._headers(url) | sent
            )
            return self._follow(request, route, _Body(limit, first, into))
        except _NOTHING_SENT as error:
            raise Unreachable(f"The Hub at {self.endpoint} cannot be reached: {_error_name(error)}.") from error
        except httpx2.InvalidURL as error:
            raise BadRequest(f"That is no address on the Hub: {error}.") from error
        except httpx2.HTTPError as error:
            raise Transient(f"{method} {path} broke off: {_error_name(error)}.") from error

    def git(self, repo: Repo) -> GitAddress:
        """Where, and as whom, git fetches `repo`; what a fetch costs at least is counted here, as route `git`."""
        if self._on_call is not None:
            self._on_call("GET", "git")
            self._on_call("POST", "git")
        return git_address(self.endpoint, repo.web, self._token)

    def _follow(self, request: httpx2.Request, route: str, body: _Body) -> HubResponse:
        """Follows redirects that keep the method: to a renamed repo, and of a read to the file store."""
        first: dict[str, str] = {}
        deadline = time.monotonic() + 3 * self._timeout
        for _ in range(_MAX_HOPS):
            if self._on_call is not None:
                self._on_call(request.method, route)
            response = self._connection().send(request, stream=True)
            try:
                self._note_limits(response)
                self.answers += response.status_code < 500
                first = {name: response.headers[name] for name in _FROM_FIRST_HOP if name in response.headers} | first
                if response.next_request is None:
                    return self._read(response, first, body, deadline)
                if request.method not in ("GET", "HEAD") and response.status_code not in (307, 308):
                    # Followed, it would turn into a GET and look like a success.
                    raise BadRequest(f"The Hub answered {response.status_code} to a write at {request.url.path}.")
                request = response.next_request
            finally:
                response.close()
        raise Transient(f"The Hub sent us round in circles at {request.url.path}.")

    def _read(self, response: httpx2.Response, first: dict[str, str], body: _Body, deadline: float) -> HubResponse:
        ok = response.is_success or response.status_code == 304
        headers = {name.lower(): value for name, value in response.headers.items()} | first
        if ok and response.request.method != "HEAD":
            told = headers.get("x-linked-size") or headers.get("content-length", "")
            body.expect(told, response.request.url.path)
        kept = io.BytesIO()
        sink = body.into if ok and body.into is not None else kept
        sink.seek(0)
        sink.truncate()
        self._copy(response, sink, body if ok else _Body(max(body.limit, _MAX_REFUSAL)), deadline)
        if not ok:
            raise self._refusal(response, headers, kept.getvalue())
        return HubResponse(response.status_code, headers, kept.getvalue())

    def _copy(self, response: httpx2.Response, sink: BinaryIO, body: _Body, deadline: float) -> None:
        what, size = response.request.url.path, 0
        for chunk in response.iter_bytes():
            wanted = chunk if body.first is None else chunk[: body.first - size]
            size += len(wanted)
            if size > body.limit:
                raise TooLarge(f"{what} is longer than the {body.limit:,} bytes that we take.")
            if time.monotonic() > deadline:
                raise Transient(f"The Hub took too long over {what}.")
            sink.write(wanted)
            if size == body.first:
                return  # whoever does not know of ranges goes on with the whole file

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
        """The token goes to the endpoint alone: uploads are sent to addresses of other hosts that the Hub names."""
        headers = {"user-agent": f"steward; hf_hub/{client_version}"}
        if self._token is not None and urlsplit(url).netloc == urlsplit(self.endpoint).netloc:
            headers["authorization"] = f"Bearer {self._token}"
        return headers

    def _connection(self) -> httpx2.Client:
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                # A forked child must not write into its parent's sockets, nor close them: it leaves them alone.
                # Idle connections are dropped before servers drop them, so that a write seldom meets a dying one.
                self._client = httpx2.Client(timeout=self._timeout, limits=httpx2.Limits(keepalive_expiry=3.0))
                self._pid = os.getpid()
            return self._client


def _error_name(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
