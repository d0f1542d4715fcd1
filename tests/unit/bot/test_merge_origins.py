"""Who submitted a file through a pull request, when the Hub returns an outdated copy of that pull request."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.core.commit_origins import _pull
from hub.errors import Garbled, ThreadNotFound
from hub.records import LogEntry

MERGE = LogEntry("a" * 40, "Submit ada/good (#7)", "", ("bot",), datetime(2026, 1, 1, tzinfo=UTC))
MERGED_AT = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def pull_request(merge_commit: str | None, *, is_pull_request: bool = True) -> SimpleNamespace:
    """A pull request by `ada`, as the Hub returns it, or a discussion."""
    return SimpleNamespace(
        num=7, is_pull_request=is_pull_request, merge_commit=merge_commit, author_name="ada", author_id="1"
    )


def origin(thread: SimpleNamespace | None, *, later: float) -> str | None:
    """The author of the pull request that MERGE merged, asked `later` seconds afterwards; no `thread`: a 404."""

    def read(*_: object) -> SimpleNamespace:
        if thread is None:
            raise ThreadNotFound("No discussion found matching num #7")
        return thread

    context = SimpleNamespace(hub=SimpleNamespace(thread=read), requests=None, now=lambda: MERGED_AT + later)
    pull = _pull(cast(Any, context), MERGE)
    return pull.author if pull is not None else None


def test_an_outdated_pull_request_right_after_a_merge_is_garbled() -> None:
    """Right after a merge, an outdated pull request raises `Garbled`; an hour later, its title proves nothing."""
    assert origin(pull_request(MERGE.oid), later=1) == "ada"
    for stale in (pull_request(None), None):
        with pytest.raises(Garbled):
            origin(stale, later=1)
        assert origin(stale, later=3_600) is None


def test_a_title_alone_names_no_submitter_and_costs_no_time() -> None:
    """A commit title that names another pull request or a discussion gives no submitter, without a retry."""
    assert origin(pull_request("b" * 40), later=1) is None
    assert origin(pull_request(None, is_pull_request=False), later=1) is None
