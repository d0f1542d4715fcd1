"""Calls to the Hub that are repeated after errors: reads, idempotent writes, and lists with pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hub import parse
from hub.errors import Garbled
from hub.retries import Retries
from hub.session import MAX_ANSWER, HubResponse, HubSession


class HubCalls:
    """The base of all parts of `Hub`: one session, and the rule by which its calls are repeated."""

    def __init__(self, session: HubSession, retries: Retries) -> None:
        self.session = session
        self.retries = retries

    def _get(
        self,
        path: str,
        route: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_ANSWER,
    ) -> HubResponse:
        """Send a GET, and repeat it after transient errors."""

        def once() -> HubResponse:
            return self.session.send("GET", path, route=route, params=params, headers=headers, limit=limit)

        return self.retries.call(once, repeatable=True)

    def _repeated(
        self, method: str, path: str, route: str, body: object, params: Mapping[str, str] | None = None
    ) -> HubResponse:
        """Send an idempotent call with a body, and repeat it after transient errors."""
        return self.retries.call(
            lambda: self.session.send(method, path, route=route, json=body, params=params), repeatable=True
        )

    def _pages(self, path: str, route: str, params: Mapping[str, str]) -> Iterator[Any]:
        """Yield the items of a list with pages, following the `Link` headers."""
        answer, read = self._get(path, route, params), set[str]()
        yield from parse.parsed(parse.items, answer.json())
        while following := parse.next_page(answer.headers):
            if following in read:
                raise Garbled(f"The Hub's pages of {path} lead in a circle.")
            read.add(following)
            answer = self._get(following, route)
            yield from parse.parsed(parse.items, answer.json())
