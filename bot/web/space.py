"""The files of a static Space that shows the leaderboard from its snapshot, with the script and style of our own page.

The Space needs no server of ours. Its files change only with the code and the board file: the rows are in the snapshot.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources

from bot.web.board import SearchView
from bot.web.frame import DIGESTS, FILES, new_templates
from bot.web.leaderboard_columns import standard_columns
from bot.web.leaderboard_rows import SIZE_STEPS
from bot.web.leaderboard_view import LeaderboardQuery, LeaderboardResponse
from bot.web.pages.leaderboard import page_values
from leaderboard.boards import Board
from leaderboard.columns import FILE, SNAPSHOT
from leaderboard.submission_kinds import submission_kinds
from leaderboard.suites import Suite

INDEX = "index.html"
SHIPPED = ("leaderboard.js", "snapshot.js", "leaderboard.css", "board.css", "icon.svg")
_VERSION = re.compile(rb'<meta name="steward-space" content="([0-9a-f]{12})">')


def space_files(board: Board, suite: Suite, hub: str, site: str = "") -> dict[str, bytes]:
    """Path → content of the Space of a board with a contents repo. `site`: the address of its pages, if any."""
    return {INDEX: _index(board, suite, hub, site.rstrip("/")), **{name: FILES[name] for name in SHIPPED}}


@cache
def space_version() -> str:
    """A digest of those contents of a Space's files that come from the code, not from the board."""
    digest = hashlib.sha256()
    for name in SHIPPED:
        digest.update(FILES[name])
    for name in ("space.html", "leaderboard.html", "parts.html"):
        digest.update((resources.files("bot.web") / "templates" / name).read_bytes())
    return digest.hexdigest()[:12]


def version_of(index: bytes) -> str:
    """The version that a Space's page names; "" for a page that is not ours."""
    match = _VERSION.search(index)
    return match[1].decode() if match else ""


def _index(board: Board, suite: Suite, hub: str, site: str) -> bytes:
    names, takes = [benchmark.name for benchmark in suite.benchmarks], submission_kinds(board, suite)
    view = LeaderboardResponse(
        searched=SearchView(query="", count=0),
        columns=standard_columns(names, ranges=False, takes=takes),
        rows=[],
        pinned=[],
        offset=0,
        count=0,
        total=0,
        flagged=0,
        rebuilding=False,
    )
    query = LeaderboardQuery()
    contents = f"{hub}/datasets/{board.repos.contents}"
    kind = "spaces" if board.repos.community_type == "space" else "datasets"
    discussions = f"{hub}/{kind}/{board.repos.community}/discussions"
    submit = "submit" if takes.models else "predictions"
    pages = [(f"{site}/{submit}", "Submit"), (f"{site}/queue", "Queue"), (f"{site}/about", "About")] if site else []
    templates = new_templates()
    templates.globals.update(static=lambda name: f"{name}?{DIGESTS[name]}")
    values = page_values(view, query, names, board.precisions, [0] * len(SIZE_STEPS), takes=takes, home="")
    values |= {
        "layout": "space.html",
        "board": board.title,
        "version": space_version(),
        "hub": hub,
        "site": site,
        "links": [*pages, (discussions, "Discussions")],
        "discussions": discussions,
        "contents": contents,
        "table_file": f"{contents}/resolve/main/{FILE}",
        "snapshot": f"{contents}/resolve/main/{SNAPSHOT}",
    }
    page = templates.get_template("leaderboard.html").render(found=view, asked=query, **values)
    return page.encode("utf-8", "replace")
