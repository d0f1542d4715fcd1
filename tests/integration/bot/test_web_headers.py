"""Security headers of every route, forms of errors, and limits of header sizes and event streams."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi.routing import APIRoute

from bot.processes.web_app import create_app
from bot.read_models.lists import QueueReader
from steward.valkey import Valkey
from tests.support.board.sign_in import Browser, SignInSite

READER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EXAMPLES = {
    "path": "nobody/nothing_eval_request_False_float32_Original.json",
    "name": "queue",
    "delivery": "none",
    "key": "none",
    "by": "time",
}
"""A value for each part of an address that varies."""
PLAIN = {"default-src 'none'", "frame-ancestors 'none'"}
PAGE = {
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


def routes(site: SignInSite) -> list[tuple[str, str]]:
    """Return method and address of every route, with examples for the parts of the address that vary."""
    addresses = []
    for route in every(create_app(site.settings).routes):
        address = re.sub(r"\{(\w+)(:path)?\}", lambda part: EXAMPLES[part[1]], route.path)
        addresses += [(method, address) for method in sorted(route.methods)]
    return [*addresses, ("GET", "/openapi.json"), ("GET", "/nowhere"), ("POST", "/results"), ("GET", "/static/none")]


def every(routes: Iterable[object]) -> Iterator[APIRoute]:
    """Yield the routes, including those of routers that were included."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from every(getattr(getattr(route, "original_router", None), "routes", ()))


def policy(answer: httpx2.Response) -> set[str]:
    """Return the parts of an answer's Content-Security-Policy."""
    return {part.strip() for part in answer.headers["content-security-policy"].split(";")}


def guarded(browser: Browser, site: SignInSite) -> dict[str, set[str]]:
    """Check the headers of every route; return the policies of the pages among them."""
    pages = {}
    for method, address in routes(site):
        if address in ("/signout", "/events"):
            continue
        answer = browser.request(method, address, headers=READER)
        where = (method, address, answer.status_code)
        assert answer.status_code < 500 or address == "/readyz", where
        assert answer.headers["x-content-type-options"] == "nosniff", where
        assert answer.headers["referrer-policy"] == "no-referrer", where
        assert not re.search(r"unsafe|\*|data:|blob:", answer.headers["content-security-policy"]), where
        if answer.headers.get("content-type", "").startswith("text/html"):
            pages[address] = policy(answer)
            assert "default-src 'none'" in pages[address], where
            assert answer.headers["x-frame-options"] == "DENY", where
        elif not address.endswith(".svg"):
            assert policy(answer) == PLAIN, where
    return pages


@pytest.mark.parametrize("who", ["", "mia"])
def test_every_answer_of_every_route_is_guarded(site: SignInSite, who: str) -> None:
    """Pages, pictures, JSON, refusals and redirects have the security headers, for visitors and for a maintainer."""
    browser = site.browser()
    if who:
        browser.sign_in(who)
    pages = guarded(browser, site)
    assert {"/", "/queue", "/times", "/maintain/parked", "/nowhere"} <= pages.keys()
    assert [address for address, headers in pages.items() if not headers >= PAGE] == []


def test_no_page_of_another_site_reads_what_a_cookie_opens(site: SignInSite) -> None:
    """No answer allows credentials, so browsers hide what a request with cookies gets from pages of other sites."""
    browser = site.browser()
    browser.sign_in("mia")
    for address in ("/api/me", "/api/maintain/parked", "/api/queue"):
        answer = browser.get(address, headers={"origin": "https://evil.example"})
        assert answer.status_code == 200
        assert "access-control-allow-credentials" not in answer.headers
    assert "private" in browser.get("/api/me").headers["cache-control"]


def test_only_those_origins_that_are_named_may_frame_a_page(site: SignInSite) -> None:
    """An origin in `frame_ancestors` may frame a page, but no page for people who are signed in."""
    settings = site.settings.model_copy(update={"frame_ancestors": "https://huggingface.co"})

    async def play() -> tuple[httpx2.Response, ...]:
        transport = httpx2.ASGITransport(app=create_app(settings))
        async with httpx2.AsyncClient(transport=transport, base_url="http://x", headers=READER) as client:
            return await client.get("/"), await client.get("/nowhere"), await client.get("/maintain/parked")

    queue, nowhere, alone = asyncio.run(play())
    for answer in (queue, nowhere):
        assert "frame-ancestors https://huggingface.co" in policy(answer)
        assert "x-frame-options" not in answer.headers
    assert "frame-ancestors 'none'" in policy(alone)


def test_a_fault_of_our_own_has_the_shape_of_all_errors(site: SignInSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server error has the security headers, and is JSON for programs and a page for people."""
    monkeypatch.setattr(QueueReader, "queue", lambda *_, **__: 1 / 0)

    async def play() -> tuple[httpx2.Response, ...]:
        transport = httpx2.ASGITransport(app=create_app(site.settings), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/api/queue"), await client.get("/queue", headers=READER)

    api_answer, page = asyncio.run(play())
    assert (api_answer.status_code, api_answer.json()["code"], policy(api_answer)) == (500, "broken", PLAIN)
    assert (page.status_code, "tell the maintainers" in page.text, policy(page) >= PAGE) == (500, True, True)
    for answer in (api_answer, page):
        assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")


def test_people_are_told_of_problems_by_a_page_and_programs_as_json(site: SignInSite, tmp_path: Path) -> None:
    """For an unknown address a browser gets a page and a program JSON; without Redis, the page has status 503."""
    browser = site.browser()
    page = browser.get("/nowhere", headers=READER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no page at this address" in page.text
    assert browser.get("/nowhere").json()["code"] == "not-found"
    assert browser.get("/api/nowhere", headers=READER).json()["code"] == "not-found"
    with Valkey(tmp_path) as server:
        app = create_app(site.settings.model_copy(update={"redis_url": server.url}))

    async def play() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x", headers=READER) as client:
            return await client.get("/")

    away = asyncio.run(play())
    assert (away.status_code, away.headers["retry-after"]) == (503, "60")
    assert "Try again in a minute" in away.text


def test_a_head_without_end_is_refused(site: SignInSite) -> None:
    """The server accepts an Accept header of 50 kB, and refuses one of a megabyte."""
    browser = site.browser()
    assert browser.get("/", headers={"accept": "text/html," * 5_000}).status_code == 200
    host, port = browser.base_url.host, browser.base_url.port or 80
    with socket.create_connection((host, port), timeout=30) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: ")
        try:
            for _ in range(16):
                stream.sendall(b"text/html," * 6_400)
            response = stream.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            return  # the server closed the connection early
    assert response.startswith(b"HTTP/1.1 431") or response == b""


def test_streams_are_guarded_and_bounded(site: SignInSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event stream has its content type and policy, and a viewer beyond the limit gets status 503."""
    browser = site.browser()
    with browser.stream("GET", "/events", headers=READER) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert policy(answer) == PLAIN
        pieces = answer.iter_bytes()
        assert next(pieces).startswith(b"retry:")
        monkeypatch.setattr("bot.web.live.VIEWERS", 1)
        full = site.browser().get("/events")
        assert (full.status_code, full.json()["code"]) == (503, "too-many")
        assert "Too many viewers watch already." in site.browser().get("/events", headers=READER).text
        assert next(pieces), "the stream of an earlier viewer has ended"
