"""A client of a web server, and a reader of its pages."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx2

from bot.core.settings import BotSettings
from bot.web import site
from steward.testing.board import BOARD, SECRET
from steward.testing.running import client_of
from steward.valkey import Valkey

Client = httpx2.Client
PAGES = tuple(page.path for page in site.PAGES if page.template and "{" not in page.path)


def serving(valkey: Valkey, folder: Path, name: str, suite: str | Path = "starter") -> Iterator[Client]:
    """A client of a web server of the board `name`, whose queue server already has data."""
    board = BOARD.replace("name: demo", f"name: {name}").replace("suite: starter", f"suite: {suite}")
    board = board.replace("repos: {", "repos: {flags: board/flags, ")
    (folder / "board.yaml").write_text(board)
    settings = BotSettings(redis_url=valkey.url, board=folder / "board.yaml", webhook_secret=SECRET, port=0)
    with client_of(settings) as client:
        yield client


def page(client: Client, path: str, **params: str | list[str]) -> str:
    """Return the HTML of a page that answers 200."""
    answer = client.get(path, params=params or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


class Reader(HTMLParser):
    """Reads a page as a browser does, and notes its tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        self.tags.append((tag, dict(attrs)))
