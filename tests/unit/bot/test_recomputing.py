"""What the bot does when it cannot recompute the metrics of a publication."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.core.metrics_recomputer import CannotRecompute
from bot.evaluations import recomputing
from bot.evaluations.samples import SamplesNotShown, TablePlace
from bot.probe.process import ProbeDied, ProbeStarved
from hub.errors import EntryNotFound, Gated, NotFound, Transient
from hub.records import Repo
from redis_state.board.sample_verdicts import RecomputedMetrics


def _stored(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[RecomputedMetrics]:
    """The verdicts that are stored when the computation fails with `error`."""

    def fail(*_: object) -> RecomputedMetrics:
        raise error

    stored = list[RecomputedMetrics]()
    monkeypatch.setattr(recomputing, "_verdict", fail)
    verdicts = SimpleNamespace(
        note_began=lambda *_, **__: 1,
        note_postponed=lambda _: None,
        note_recomputed=lambda _, verdict: stored.append(verdict),
    )
    context = cast(Any, SimpleNamespace(sample_verdicts=verdicts, mark=lambda _: None, now=lambda: 0.0))
    request, results = SimpleNamespace(path="path"), SimpleNamespace(block=SimpleNamespace(attempt="attempt"))
    recomputing._work(context, cast(Any, request), "published", cast(Any, None), cast(Any, None), cast(Any, results))
    return stored


@pytest.mark.parametrize(
    "error", [ProbeStarved("busy"), ProbeDied("ended"), Transient("away"), SamplesNotShown("late")]
)
def test_a_temporary_error_is_not_stored_as_a_verdict(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """After a temporary error (a busy machine, a Hub that is away) no verdict is stored: the next sync tries again."""
    assert _stored(monkeypatch, error) == []


def test_an_error_of_the_bot_is_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the bot itself is stored as a verdict, because it would occur again at each try."""
    (verdict,) = _stored(monkeypatch, ZeroDivisionError())
    assert verdict.not_done.startswith("an error of the bot")


def test_a_table_that_one_404_hides_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If a listed table has a 404, no verdict is stored and it is read again later; denied access is a verdict."""
    place = TablePlace(Repo("dataset", "board/details"), "0" * 40, "table.parquet", 1)
    error = _error_of_saving(place, EntryNotFound("no file", status=404), tmp_path)
    assert isinstance(error, NotFound)
    assert _stored(monkeypatch, error) == []
    assert isinstance(_error_of_saving(place, Gated("no access", status=403), tmp_path), CannotRecompute)


def _error_of_saving(place: TablePlace, answer: Exception, folder: Path) -> Exception:
    """What saving the table at `place` raises if the Hub answers with the error `answer`."""

    def fail(*_: object, **__: object) -> None:
        raise answer

    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(save_file=fail)))
    with pytest.raises(Exception) as raised:
        recomputing._save(context, place, folder / "table")
    return raised.value
