"""Routing of URLs in which a revision or a path is one quoted segment.

A server decodes `%2F` before it routes, which would split `refs%2Fpr%2F3`. `RawPathMiddleware` decodes segment by
segment and replaces a slash inside a segment by a character that no client can send (a lone surrogate); the convertors
below restore it. Routes write `{rev:seg}` for one segment, `/{path:rest}` for the rest, `{path:sub}` for an
optional path with its slash, `{operation:operation}` for a word after a repo's name, `{prefix:prefix}` for the
`datasets/`, `spaces/` or nothing before that name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Literal
from urllib.parse import unquote

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SLASH = "\udc2f"

RepoKind = Literal["models", "datasets", "spaces"]


class HubRoute(APIRoute):
    """A route that answers reads in the event loop: most take less time than a switch to another thread and back.

    A read waits for no write. A write runs in a thread of its own, where it may wait for another write.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        is_read = set(options.get("methods") or ("GET",)) <= {"GET", "HEAD"}
        if is_read and not inspect.iscoroutinefunction(endpoint):
            endpoint = _in_the_event_loop(endpoint)
        super().__init__(path, endpoint, **options)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Compare the path alone first: a call may be compared with a hundred routes, and FastAPI is slow."""
        return super().matches(scope) if self.path_regex.match(scope["path"]) else (Match.NONE, {})


class HubRouter(APIRouter):
    """A router whose routes are HubRoutes."""

    def __init__(self, *, route_class: type[HubRoute] = HubRoute, **options: Any) -> None:
        super().__init__(route_class=route_class, **options)

    def join(self, router: HubRouter) -> None:
        """Take over the routes of another router, whose prefix and tags they keep.

        Unlike `include_router` it leaves one flat list of routes: FastAPI searches each included router twice.
        """
        self.routes.extend(router.routes)


def _in_the_event_loop(endpoint: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @wraps(endpoint)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return endpoint(*args, **kwargs)

    return call


class RawPathMiddleware:
    """Middleware: routes on the path as it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            raw: str = scope["raw_path"].decode("latin-1").partition("?")[0]
            # The scope is changed in place, because outer middlewares read the matched route from it. The decoded path
            # is restored with the answer, because the server's log cannot write a lone surrogate.
            decoded_path = scope["path"]
            scope["path"] = "/".join(_segment(part) for part in raw.split("/"))

            async def answer(message: Message) -> None:
                scope["path"] = decoded_path
                await send(message)

            await self.app(scope, receive, answer)
        else:
            await self.app(scope, receive, send)


class _Segment(Convertor[str]):
    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return value.replace(SLASH, "/")

    def to_string(self, value: str) -> str:
        return value


class _Rest(_Segment):
    regex = ".*"


class _Sub(Convertor[str]):
    """An optional path with the slash before it; the value is without that slash."""

    regex = "(?:/.*)?"

    def convert(self, value: str) -> str:
        return value.removeprefix("/").replace(SLASH, "/")

    def to_string(self, value: str) -> str:
        return f"/{value}" if value else ""


class _Kind(Convertor[str]):
    regex = "models|datasets|spaces"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Operation(_Segment):
    """A word that follows a repo's name in an address of the API."""

    regex = "commit|commits|compare|discussions|paths-info|preupload|refs|revision|tag|tree"


class _Prefix(Convertor[str]):
    """`datasets/`, `spaces/`, or nothing for models; the value is the kind."""

    regex = "(?:datasets/|spaces/)?"

    def convert(self, value: str) -> str:
        return value.rstrip("/") or "models"

    def to_string(self, value: str) -> str:
        return "" if value == "models" else f"{value}/"


register_url_convertor("seg", _Segment())
register_url_convertor("rest", _Rest())
register_url_convertor("sub", _Sub())
register_url_convertor("kind", _Kind())
register_url_convertor("operation", _Operation())
register_url_convertor("prefix", _Prefix())


def _segment(part: str) -> str:
    return unquote(part, errors="replace").replace("/", SLASH)
