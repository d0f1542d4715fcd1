"""Where a changeset looks for the parts that have landed."""

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
    """The process died after the commit, and a cache shows the branch as it was before: the part must not count as
    missing, as the change would then end half done."""
    histories = {"main": [EARLIER], LANDED.oid: [LANDED, EARLIER]}

    def history(_: Repo, revision: str = "main") -> Iterator[LogEntry]:
        return iter(histories[revision])

    hub = SimpleNamespace(history=history, head=lambda _: LANDED.oid)
    context = cast(BoardContext, SimpleNamespace(hub=hub, me=lambda: Account("1", "bot")))
    assert landed_commit(context, "Remove ada/good", PART) == LANDED.oid
