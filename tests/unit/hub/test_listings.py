"""Listings of very many files are read page by page, in limited memory and up to a limit."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest

from hub import reads
from hub.errors import TooLarge
from hub.reads import Reads
from hub.records import Repo
from hub.retries import Retries

REPO = Repo("dataset", "town/requests")


class EndlessHub:
    """A session whose Hub lists a thousand files a page, and always links a next page."""

    def __init__(self) -> None:
        self.calls = 0

    def send(self, _method: str, _path: str, **_options: Any) -> SimpleNamespace:
        """Returns the next page."""
        numbers = range(self.calls * 1000, self.calls * 1000 + 1000)
        self.calls += 1
        items = [{"type": "file", "path": f"org{i:06}/some-model.json", "oid": f"{i:040x}", "size": 1} for i in numbers]
        headers = {"link": f'<https://hub/api/tree?cursor={self.calls}>; rel="next"'}
        return SimpleNamespace(status=200, headers=headers, json=lambda: json.loads(json.dumps(items)))


@pytest.fixture
def hub() -> EndlessHub:
    """A Hub with an endless listing."""
    return EndlessHub()


@pytest.fixture
def listing(hub: EndlessHub) -> Reads:
    """A client of that Hub."""
    return Reads(hub, Retries())  # type: ignore[arg-type]  # the part of a session that reads use


def test_files_are_read_page_by_page(hub: EndlessHub, listing: Reads) -> None:
    """The iteration requests a page only when it gets there, and keeps no earlier page in memory."""
    files = listing.each_file(REPO)
    assert hub.calls == 0
    assert next(files).path == "org000000/some-model.json"
    assert hub.calls == 1
    tracemalloc.start()
    try:
        assert sum(1 for _ in islice(files, 20_000)) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_a_listing_without_end_is_too_large(hub: EndlessHub, listing: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless listing raises `TooLarge`, as a list and as an iteration."""
    monkeypatch.setattr(reads, "MAX_LISTED", 3_000)
    monkeypatch.setattr(reads, "MAX_ITERATED", 5_000)
    with pytest.raises(TooLarge, match=r"town/requests has more than 3,000 files\."):
        listing.list_files(REPO)
    assert hub.calls == 4
    with pytest.raises(TooLarge, match="5,000 files and folders"):
        list(listing.each_file(REPO))


def test_a_page_that_names_itself_as_the_next_is_no_listing(listing: Reads, hub: EndlessHub) -> None:
    """A page that links itself as the next one is `Garbled`."""
    hub.send = lambda *_, **__: SimpleNamespace(  # type: ignore[method-assign]
        headers={"link": '<https://hub/api/tree?cursor=1>; rel="next"'}, json=list
    )
    with pytest.raises(reads.Garbled, match="circle"):
        listing.list_files(REPO)


@pytest.mark.parametrize("answer", [{}, {"error": "The service is being maintained."}, ["main"], None])
@pytest.mark.parametrize(
    "read",
    [
        lambda reads: reads.list_files(REPO),
        lambda reads: reads.commits(REPO),
        lambda reads: reads.paths_info(REPO, ["a.json"]),
        lambda reads: reads.heads(REPO),
        lambda reads: reads.published_scores("ada/good"),
    ],
    ids=["files", "commits", "paths", "heads", "scores"],
)
def test_an_error_that_comes_as_a_success_is_no_empty_repo(answer: object, read: Callable[[Reads], object]) -> None:
    """A proxy may answer 200 with JSON of its own: the client raises `Garbled` and does not take the repo for empty."""
    session = SimpleNamespace(send=lambda *_, **__: SimpleNamespace(headers={}, json=lambda: answer))
    with pytest.raises(reads.Garbled):
        read(Reads(session, Retries(attempts=1)))  # type: ignore[arg-type]  # the part of a session that reads use
