"""People who reported a model in another thread are notified of the decision, even if some threads are gone."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.flags.report_intake import tell_reporters
from bot.flags.reports import FlagReport
from hub.comments import Marker
from hub.errors import Denied, HubError, ThreadNotFound
from hub.records import Account, Comment, Repo, Thread

SPACE = Repo("space", "ada/place")
REFUSED, HEARD = 1, 2


def thread_of_reporter(number: int) -> Thread:
    """A discussion about something else, in which a person reported the model."""
    post = Comment("c", "u", "bob", datetime(2026, 1, 1, tzinfo=UTC), "Hm.", hidden=False, edited=False)
    return Thread(
        num=number, title="Strange", status="open", is_pull_request=False, author_id="u", author_name="bob",
        created_at=post.created_at, locked=False, comments=(post,), target=None, head_commit=None, merge_commit=None,
        conflicting_files=(),
    )  # fmt: skip


@pytest.mark.parametrize("refusal", [Denied("This discussion has been locked.", status=403), ThreadNotFound("gone")])
def test_a_thread_where_the_bot_may_not_write_keeps_no_other_reporter_waiting(refusal: HubError) -> None:
    """If a thread is locked or deleted, the bot still notifies the reporters in the other threads."""
    told: list[int] = []

    def comment(_repo: Repo, number: int, *_: object, **__: object) -> None:
        if number == REFUSED:
            raise refusal
        told.append(number)

    context = SimpleNamespace(
        address=lambda repo: f"https://hub/spaces/{repo.id}",
        hub=SimpleNamespace(thread=lambda _, number: thread_of_reporter(number)),
        me=lambda: Account("0", "steward-bot"),
        board=SimpleNamespace(name="board"),
        marker=lambda kind, key: Marker("board", kind, key),
        effects=SimpleNamespace(comment=comment),
    )
    threads = tuple(f"thread:space/{SPACE.id}:{number}" for number in (REFUSED, HEARD))
    report = FlagReport(model="ada/copy", threads=threads)
    tell_reporters(cast(Any, context), report, "https://hub/elsewhere", "c:0", hides=True, dismissed="")
    assert told == [HEARD]
