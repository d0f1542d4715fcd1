"""A history that the Hub cuts off before the parent of a commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.changes.changesets import _reverse
from bot.changes.rename_sources import ResultsSource
from bot.core.context import BoardContext
from bot.pulls.merging import _restorations_from_hub
from hub.errors import Garbled
from hub.reads import Reads
from hub.records import Repo

REPO, COMMIT = Repo("dataset", "board/results"), "c" * 40
READERS = {
    "revert": lambda context: _reverse(context, REPO, COMMIT, COMMIT),
    "restore": lambda context: _restorations_from_hub(context, REPO, cast(Any, None), COMMIT),
    "rename": lambda context: ResultsSource(context).merged("old", "new", COMMIT),
}


@pytest.mark.parametrize("listed", [[], [SimpleNamespace(oid=COMMIT)]], ids=["empty", "alone"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_history_without_the_parent_is_garbled(
    read: Callable[[BoardContext], object], listed: Sequence[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync asks again later. Any other error would park its key, with a wrong commit that is not reverted."""
    hub = Reads.__new__(Reads)
    monkeypatch.setattr(hub, "commits", lambda *_, **__: listed, raising=False)
    with pytest.raises(Garbled):
        read(cast(Any, SimpleNamespace(hub=hub, results=REPO)))
