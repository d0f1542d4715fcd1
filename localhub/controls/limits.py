"""Rate limits: off by default; `limits: hub` in the world file sets the figures of the real Hub.

Calls are counted per account (per address without one) in fixed windows of five minutes, separately for the API, for
resolved files and for pages. Commits are counted per repo over the last hour; only the text of that refusal names the
limit, while `RateLimit` still shows calls that are left, as on the real Hub.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.accounts.store import Accounts
from localhub.clock import Clock
from localhub.errors import HubError
from localhub.json_values import JsonObject
from localhub.repos.records import Repo

WINDOW_SECONDS = 300.0
HOUR_SECONDS = 3600.0
CallFamily = Literal["api", "resolvers", "pages"]


@dataclass(frozen=True)
class RateLimitSettings:
    """The limits; None means no limit. The `anonymous_*` limits, if set, hold for callers without an account.

    `simultaneous`: whether a commit waits for another one on the same repo, or gets 409.
    """

    api: int | None = None
    resolvers: int | None = None
    pages: int | None = None
    anonymous_api: int | None = None
    anonymous_resolvers: int | None = None
    anonymous_pages: int | None = None
    commits_per_hour: int | None = None
    simultaneous: Literal["wait", "refuse"] = "wait"


HUB_RATE_LIMITS = RateLimitSettings(
    api=1000,
    resolvers=5000,
    pages=200,
    anonymous_api=500,
    anonymous_resolvers=3000,
    anonymous_pages=100,
    commits_per_hour=128,
)
"""The limits that the real Hub sets for free accounts and for callers without one."""


@dataclass(frozen=True)
class RateLimitStatus:
    """One caller's use of a limit: `left` calls of `quota`, until `resets` seconds from now."""

    family: CallFamily
    quota: int
    left: int
    resets: int
    refused: bool

    def headers(self) -> dict[str, str]:
        """The headers in which the Hub reports the limit."""
        headers = {
            "RateLimit": f'"{self.family}";r={self.left};t={self.resets}',
            "RateLimit-Policy": f'"fixed window";"{self.family}";q={self.quota};w={int(WINDOW_SECONDS)}',
        }
        return headers | ({"Retry-After": str(self.resets)} if self.refused else {})


class RateLimits:
    """The limits and their counters; both may change at any time."""

    def __init__(self, clock: Clock) -> None:
        self.settings = RateLimitSettings()
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, CallFamily], tuple[int, int]] = {}
        self._commits: dict[str, deque[float]] = defaultdict(deque)

    @property
    def active(self) -> bool:
        """Whether calls are counted at all."""
        return self.settings != replace(RateLimitSettings(), commits_per_hour=self.settings.commits_per_hour)

    def as_dict(self) -> JsonObject:
        """The limits in force."""
        return asdict(self.settings)

    def set(self, **settings: Any) -> None:
        """Change some limits and reset the counters; `TypeError` or `ValueError` for an invalid one."""
        for name, value in settings.items():
            if name == "simultaneous":
                if value not in ("wait", "refuse"):
                    raise ValueError("simultaneous is wait or refuse")
            elif value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{name} is a number of calls, or null for no limit")
        with self._lock:
            self.settings = replace(self.settings, **settings)
            self._windows.clear()
            self._commits.clear()

    def take(self, caller_key: str, family: CallFamily, *, anonymous: bool) -> RateLimitStatus | None:
        """Count a call; None if there is no limit."""
        quota: int | None = getattr(self.settings, family)
        of_anonymous: int | None = getattr(self.settings, f"anonymous_{family}")
        if anonymous and of_anonymous is not None:
            quota = of_anonymous
        if quota is None:
            return None
        window, passed = divmod(self._clock.seconds(), WINDOW_SECONDS)
        with self._lock:
            started, used = self._windows.get((caller_key, family), (int(window), 0))
            used = used + 1 if started == int(window) else 1
            self._windows[caller_key, family] = (int(window), used)
        resets = max(1, int(WINDOW_SECONDS - passed))
        return RateLimitStatus(family, quota, max(0, quota - used), resets, refused=used > quota)

    def count_commit(self, repo: Repo) -> None:
        """Count a commit that is about to be made; 429 if the repo has reached its limit in the last hour."""
        limit, now = self.settings.commits_per_hour, self._clock.seconds()
        if limit is None:
            return
        with self._lock:
            times = self._commits[repo.oid]
            while times and times[0] <= now - HOUR_SECONDS:
                times.popleft()
            if len(times) >= limit:
                raise HubError(
                    429,
                    f"You have exceeded the rate limit for repository commits ({limit} per hour)."
                    " You can retry this action in about 1 hour.",
                )
            times.append(now)


class RateLimitMiddleware:
    """Middleware: counts calls, refuses those beyond the limit, and reports the limit in headers."""

    def __init__(self, app: ASGIApp, limits: RateLimits, accounts: Accounts) -> None:
        self.app = app
        self.limits = limits
        self.accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        family = _family(scope) if scope["type"] == "http" else None
        allowance = self._allowance(scope, family) if family and self.limits.active else None
        if allowance is None:
            await self.app(scope, receive, send)
        elif allowance.refused:
            message = f"We had to rate limit you: you hit the quota of {allowance.quota} {allowance.family} requests."
            await HubError(429, message, headers=allowance.headers()).response()(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(send, allowance.headers()))

    def _allowance(self, scope: Scope, family: CallFamily) -> RateLimitStatus | None:
        account = self.accounts.by_headers(scope["headers"])
        if account is not None:
            return self.limits.take(account.id, family, anonymous=False)
        address = scope["client"][0] if scope.get("client") else ""
        return self.limits.take(address, family, anonymous=True)


def _family(scope: Scope) -> CallFamily | None:
    path: str = scope["path"]
    if path.startswith(("/_", "/lfs-storage/")):
        return None
    if path.startswith("/api/"):
        return "api"
    return "resolvers" if "/resolve/" in path else "pages"


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sending
