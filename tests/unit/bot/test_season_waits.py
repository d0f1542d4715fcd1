"""The table of an ended season is frozen once all submissions from before its end are known and scored."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.core.context import BoardContext
from bot.intake.deliveries import REQUESTS
from bot.predictions import seasons
from bot.predictions.checking import _frozen, find_predictions
from bot.predictions.seasons import INDEX_WAIT_SECONDS, RETRY_SECONDS, WAIT_SECONDS, _bring_in_step
from hub.errors import Garbled, RevisionNotFound
from leaderboard.predictions import PredictionRules, Season
from leaderboard.seasons import season_path

END = datetime(2026, 1, 1, tzinfo=UTC)
SEASON = Season(name="autumn", begins=datetime(2025, 9, 1, tzinfo=UTC), ends=END)
HEAD = "a" * 40
PATH = "ada/first_eval_request_False_predictions_Original.json"


def board(*, head: str | None = HEAD, unjudged: tuple[str, ...] = (), busy: tuple[str, ...] = ()) -> SimpleNamespace:
    """A board whose index covers the requests repo up to `head`, with requests that are not judged yet, or running."""
    staged, marked = list[object](), list[str]()
    return SimpleNamespace(
        redis=SimpleNamespace(hexists=lambda *_: False),
        keys=SimpleNamespace(seasons="seasons"),
        hub=SimpleNamespace(find_file=lambda *_, **__: None, head=lambda _: HEAD),
        index=SimpleNamespace(
            head=lambda _: head,
            unjudged=lambda: list(unjudged),
            busy=lambda: [SimpleNamespace(path=path) for path in busy],
        ),
        flag_book=SimpleNamespace(records=lambda: ()),
        requests=SimpleNamespace(id="board/requests"),
        results=None,
        suite=SimpleNamespace(name="s", digest="0" * 64),
        effects=SimpleNamespace(stage=lambda *_: staged.append(_)),
        mark=marked.append,
        staged=staged,
        marked=marked,
    )


def looked(context: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, *, after: float = 3_600.0) -> float | None:
    """Sync the season `after` seconds after its end; return the seconds until the next sync."""
    now = END.timestamp() + after
    context.now = lambda: now
    monkeypatch.setattr(seasons, "_entries", lambda *_: [])
    again = _bring_in_step(cast(BoardContext, context), cast(PredictionRules, None), SEASON)
    return None if again is None else again - now


@pytest.mark.parametrize("head", [None, "b" * 40])
def test_nothing_is_frozen_before_the_index_has_all_commits(head: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is frozen before the index covers all commits of the requests repo: some may contain submissions."""
    context = board(head=head)
    assert looked(context, monkeypatch) == INDEX_WAIT_SECONDS
    assert (context.staged, context.marked) == ([], [REQUESTS])


@pytest.mark.parametrize("entries", [{"unjudged": (PATH,)}, {"busy": (PATH,)}])
def test_a_submission_whose_scores_are_on_their_way_is_waited_for(
    entries: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table waits for predictions that are not judged or are running, but not for other requests."""
    context = board(**entries)
    assert (looked(context, monkeypatch), context.staged) == (RETRY_SECONDS, [])
    (name,) = entries
    assert looked(context := board(**{name: (PATH.replace("predictions", "float32"),)}), monkeypatch) is None
    assert len(context.staged) == 1


def test_no_submission_holds_the_table_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a day the table is frozen even if submissions are still not scored."""
    context = board(head=None, unjudged=(PATH,))
    assert looked(context, monkeypatch, after=WAIT_SECONDS) is None
    assert len(context.staged) == 1


def test_one_answer_that_a_commit_is_gone_takes_no_rank_away() -> None:
    """A submission's file counts as missing only if a second call confirms the 404; otherwise the sync tries again."""
    missing, shown = RevisionNotFound("There is no such commit.", status=404), list[object]()

    def find_file(*_: object, **__: object) -> None:
        raise missing

    def paths_info(*_: object) -> dict[str, object]:
        if shown:
            return {}
        raise missing

    hub = SimpleNamespace(find_file=find_file, paths_info=paths_info)
    context = cast(BoardContext, SimpleNamespace(hub=hub, requests=None))
    assert find_predictions(context, "ada/first_predictions.jsonl", HEAD) is None
    shown.append(True)
    with pytest.raises(Garbled):
        find_predictions(context, "ada/first_predictions.jsonl", HEAD)


def test_a_season_that_is_frozen_takes_no_late_submission_after_redis_was_lost() -> None:
    """After a loss of Redis, the bot reads from the Hub once which seasons are frozen, so that they stay closed."""
    asked = list[str]()

    def paths_info(_: object, paths: list[str]) -> dict[str, object]:
        asked.extend(paths)
        return {season_path("autumn"): None}

    known = list[bytes]()
    context = SimpleNamespace(
        redis=SimpleNamespace(hkeys=lambda _: known),
        keys=SimpleNamespace(seasons="seasons"),
        hub=SimpleNamespace(paths_info=paths_info),
        results=None,
        now=lambda: END.timestamp() + 1,
        suite=SimpleNamespace(predictions=SimpleNamespace(seasons=(SEASON,))),
    )
    assert _frozen(cast(BoardContext, context)) == {"autumn"}
    known.append(b"autumn")
    assert (_frozen(cast(BoardContext, context)), asked) == ({"autumn"}, [season_path("autumn")])
