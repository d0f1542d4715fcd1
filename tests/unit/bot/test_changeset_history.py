"""How a changeset finds in a repo's history which of its parts were already committed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

from bot.changes.changesets import ApprovedPart, _part_trailer, landed_commit
from bot.core.context import BoardContext
from hub.records import Account, LogEntry, Repo

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPO = Repo("dataset", "board/requests")
PART = ApprovedPart(REPO, "0" * 32, "c1", NOW)
EARLIER = LogEntry("a" * 40, "Earlier", "", ("bot",), NOW)
LANDED = LogEntry("b" * 40, "Remove ada/good", _part_trailer(PART), ("bot",), NOW)


def test_a_part_that_has_landed_is_found_although_the_branchs_history_is_old() -> None:
    """After a crash, the bot finds a part that it committed although a cache still serves the history of `main` without
    it; otherwise the changeset would stay half applied."""
    histories = {"main": [EARLIER], LANDED.oid: [LANDED, EARLIER]}

    def history(_: Repo, revision: str = "main") -> Iterator[LogEntry]:
        return iter(histories[revision])

    hub = SimpleNamespace(history=history, head=lambda _: LANDED.oid)
    context = cast(BoardContext, SimpleNamespace(hub=hub, me=lambda: Account("1", "bot")))
    assert landed_commit(context, "Remove ada/good", PART) == LANDED.oid
