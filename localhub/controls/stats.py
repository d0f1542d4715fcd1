"""Counters of calls, commits and deliveries, read and reset over the admin API."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.accounts.store import Accounts
from localhub.clock import Clock, iso
from localhub.git.refs import RefChange
from localhub.json_values import JsonObject
from localhub.repos.events import HubEvent
from localhub.repos.records import Repo

CallKey = tuple[str, str, str, int]  # method, route, account, status


class Stats:
    """Counters since the last reset."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._since = iso(self._clock.now())
        self._calls: Counter[CallKey] = Counter()
        self._commits: Counter[str] = Counter()
        self._deliveries: dict[str, Counter[str]] = {}

    def call(self, method: str, route: str, account: str, status: int) -> None:
        """Count a call; status 0 stands for a call without an answer."""
        with self._lock:
            self._calls[method, route, account, status] += 1

    def commit(self, repo: Repo) -> None:
        """Count a commit under the repo's path on the web: `datasets/board/requests`."""
        with self._lock:
            self._commits[repo.web_path[1:]] += 1

    def delivery(self, webhook_id: str, outcome: str) -> None:
        """Count an outcome: queued, attempted, delivered, failed, dropped, over-quota or suspended."""
        with self._lock:
            self._deliveries.setdefault(webhook_id, Counter())[outcome] += 1

    def read(self) -> JsonObject:
        """`{since, total, calls: [{method, route, account, status, count}], commits: {repo: n}, deliveries: {…}}`."""
        with self._lock:
            return self._as_dict()

    def reset(self) -> JsonObject:
        """Return the counters and set them to zero; no call in between is lost."""
        with self._lock:
            last = self._as_dict()
            self._clear()
            return last

    def account_of(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The name of the account whose token the headers carry."""
        account = self._accounts.by_headers(headers)
        return account.name if account is not None else None

    def count_commits(self, event: HubEvent) -> None:
        """Count the commits of an event."""
        for change in event.updated_refs:
            if _is_commit(event.repo, change):
                self.commit(event.repo)

    def _as_dict(self) -> JsonObject:
        names = ("method", "route", "account", "status")
        calls = [{**dict(zip(names, key, strict=True)), "count": count} for key, count in self._calls.most_common()]
        return {
            "since": self._since,
            "total": self._calls.total(),
            "calls": calls,
            "commits": dict(self._commits),
            "deliveries": {webhook: dict(outcomes) for webhook, outcomes in self._deliveries.items()},
        }


class StatsMiddleware:
    """Middleware: counts every call except those to the admin API and to the pages' static files."""

    def __init__(self, app: ASGIApp, stats: Stats) -> None:
        self.app = app
        self.stats = stats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_"):
            await self.app(scope, receive, send)
            return
        counted = False

        def count(status: int) -> None:
            nonlocal counted
            counted = True
            self.stats.call(scope["method"], _route(scope), self._account(scope), status)

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and not counted:
                count(message["status"])  # before the answer is sent: the caller may read the counters next
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            if not counted:
                count(0)  # the call got no answer

    def _account(self, scope: Scope) -> str:
        """The account that the routes noted; the token's account if a fault kept the call from the routes."""
        account: str | None = scope.get("state", {}).get("account")
        return account or self.stats.account_of(scope["headers"]) or "anonymous"


def _is_commit(repo: Repo, change: RefChange) -> bool:
    """Whether the ref moved by a commit: a new branch or a new draft only names an existing one."""
    if change.new is None or change.ref.startswith("refs/tags/"):
        return False
    if change.old is None:
        return change.ref.startswith("refs/pr/") and change.new != repo.git.head()
    return True


def _route(scope: Scope) -> str:
    """The route's template, so that many repos count as one; else the pattern of the fault that answered the call."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    return str(path or scope.get("state", {}).get("fault") or "(no route)")
