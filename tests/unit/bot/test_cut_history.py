"""Commit histories that the Hub truncates, and commits or folders for which it wrongly answers 404."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.changes.changesets import _reverse
from bot.changes.rename_sources import ResultsSource, paths_in_folder
from bot.core.context import BoardContext
from bot.evaluations import restore_deleted
from bot.pulls.merging import _restorations_from_hub
from hub.errors import EntryNotFound, Garbled, NotFound, RevisionNotFound
from hub.reads import Reads
from hub.records import FileEntry, Repo
from tests.support.hub.answers import in_turn

REPO, COMMIT = Repo("dataset", "board/results"), "c" * 40
READERS = {
    "revert": lambda context: _reverse(context, REPO, COMMIT, COMMIT),
    "restore": lambda context: _restorations_from_hub(context, REPO, cast(Any, None), COMMIT),
    "rename": lambda context: ResultsSource(context).merged("old", "new", COMMIT),
}


def test_removed_files_are_found_after_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty history is garbled and a commit with one 404 is read again, so that the bot notices a removal."""
    path, asked, removed = "ada/good/results_1.json", list[str](), list[str]()
    entry = SimpleNamespace(oid=COMMIT, authors=("mallory",))

    def changed_paths(_: Repo, base: str, __: str) -> list[str]:
        asked.append(base)
        if len(asked) == 1:
            raise NotFound("no commit", status=404)
        return [path]

    hub = SimpleNamespace(commits=lambda *_, **__: [], changed_paths=changed_paths, paths_info=lambda *_: {})
    context = cast(Any, SimpleNamespace(hub=hub, results=REPO, me=lambda: None))
    with pytest.raises(Garbled):
        list(restore_deleted._commits_of_others(context, REPO, "0" * 40, COMMIT))
    monkeypatch.setattr(restore_deleted, "_is_maintainer", lambda *_: False)
    monkeypatch.setattr(restore_deleted, "_restore", lambda _, lost, __: removed.append(lost))
    restore_deleted._check_commit(context, REPO, cast(Any, entry), COMMIT)
    assert removed == [path]


def test_a_folder_that_one_404_hides_is_listed() -> None:
    """A folder counts as missing only after two 404s; otherwise a rename or removal would leave its results behind."""
    gone, lagging = EntryNotFound("no folder", status=404), RevisionNotFound("no commit", status=404)
    answers: list[object] = [gone, [FileEntry("ada/good/r.json", "1", 1)], gone, gone, lagging]
    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(list_files=in_turn(answers))))
    assert paths_in_folder(context, REPO, "ada/good", COMMIT) == ["ada/good/r.json"]
    assert paths_in_folder(context, REPO, "ada/good", COMMIT) == []
    with pytest.raises(RevisionNotFound):
        paths_in_folder(context, REPO, "ada/good", COMMIT)


@pytest.mark.parametrize("listed", [[], [SimpleNamespace(oid=COMMIT)]], ids=["empty", "alone"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_history_without_the_parent_is_garbled(
    read: Callable[[BoardContext], object], listed: Sequence[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history without the expected parent is `Garbled`, so that the sync tries again instead of parking its key."""
    hub = Reads.__new__(Reads)
    monkeypatch.setattr(hub, "commits", lambda *_, **__: listed, raising=False)
    with pytest.raises(Garbled):
        read(cast(Any, SimpleNamespace(hub=hub, results=REPO)))
