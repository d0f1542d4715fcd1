"""The static page of a Space, which the Hub shows in a frame: what it may load, and whom it sends messages to."""

from __future__ import annotations

import re

import pytest

from bot.web.space import INDEX, space_files
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from steward.testing.board import BOARD

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The files of a Space whose board has a hostile title."""
    board = parse_board(BOARD)
    repos = board.repos.model_copy(update={"contents": "board/contents"})
    board = board.model_copy(update={"title": HOSTILE, "repos": repos})
    contents = space_files(board, find_suite(board.suite), "https://hub.example", "https://board.example")
    return {name: data.decode() for name, data in contents.items()}


def test_only_files_of_the_space_run(files: dict[str, str]) -> None:
    """The page's policy allows only scripts and styles of the Space itself; a hostile title stays text."""
    page = files[INDEX]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert (rules["default-src"], rules["script-src"], rules["style-src"]) == ("'none'", "'self'", "'self'")
    assert (rules["form-action"], rules["base-uri"]) == ("'self'", "'none'")
    assert "<script>alert" not in page
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    assert scripts and not any(text.strip() for text in scripts)
    assert not re.search(r"<[^>]+\son\w+=", page)
    sources = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', page)
    assert sources and not [source for source in sources if "//" in source]


def test_the_page_hears_no_messages_and_sends_them_to_the_hub_alone(files: dict[str, str]) -> None:
    """The page's scripts send messages to the Hub's origin only, receive none, and write no HTML."""
    scripts = "\n".join(text for name, text in files.items() if name.endswith(".js"))
    assert re.findall(r"postMessage\(.*?, ([\w.]+)\);", scripts) == ["this.hub"]
    assert not re.search(r"""["']message["']|onmessage""", scripts)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", scripts)
