"""For requests from before the bot, it reads scores from plain results files, and licences from the Hub."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.results import scoreboard
from bot.web.board import BoardReader
from bot.web.pages.results import ResultsQuery, results
from leaderboard.contents_row import HubModelInfo
from steward.testing.board import BoardDriver
from tests.support.board.shown_scores import commit, finished, found, licensed, look, page

OLD = "ada/plain_eval_request_False_float32_Original.json"
"""The path of a request from before the bot, as the form of that time named it."""


def calls(stand: BoardDriver) -> list[str]:
    """Sync scores and licences; return the routes of the bot's calls."""
    before = len(stand.calls)
    stand.context.mark(scoreboard.SCORES)
    stand.work()
    return [route for _, route in stand.calls[before:]]


def old(stand: BoardDriver, model: str = "ada/plain", *, score: float | None = 0.5, day: int = 1) -> str:
    """Commit a request as from before the bot, and results if there is a `score`; return the request's path."""
    fields = {"model": model, "base_model": "", "revision": "a" * 40, "precision": "float32", "params": 1.0}
    more = {"architectures": "X", "weight_type": "Original", "status": "FINISHED", "model_type": "pretrained"}
    path = OLD.replace("ada/plain", model)
    stand.put(path, json.dumps({**fields, **more, "submitted_time": "2024-01-01T00:00:00Z"}).encode())
    if score is not None:
        suite = stand.context.suite
        raw = {task: {"acc_norm,none": score, "exact_match,answer": score} for task in (*suite.tasks, *suite.run)}
        config = {"model_dtype": "torch.float32", "model_sha": "a" * 40}
        commit(stand, f"{model}/results_2024-01-0{day}T00-00-00.000000.json", {"results": raw, "config": config})
    return path


def watched(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[Any, ...]]:
    """Return a list that records the arguments of each further call of this function of the sync."""
    recorded_calls, real = list[tuple[Any, ...]](), getattr(scoreboard, name)
    monkeypatch.setattr(scoreboard, name, lambda *given: (recorded_calls.append(given), real(*given))[1])
    return recorded_calls


def test_the_page_says_that_scores_are_read_again_until_they_were(stand: BoardDriver) -> None:
    """After a loss of Redis, an empty results page counts as being rebuilt until the bot has read the scores."""
    old(stand, "ada/lost", score=None)
    stand.settle()
    views = BoardReader(stand.context)
    assert not results(views, ResultsQuery()).rebuilding, "rebuilt though the only request has no results"
    stand.context.redis.delete(stand.context.keys.scores_state)
    assert results(views, ResultsQuery()).rebuilding
    look(stand)
    assert not results(views, ResultsQuery()).rebuilding


def test_requests_from_before_the_bot_are_shown_and_found_by_licence(stand: BoardDriver) -> None:
    """For older requests the bot reads licences from the Hub, and scores from plain harness results, if any."""
    licensed(stand, "ada/plain", "apache-2.0")
    licensed(stand, "ada/lost", "mit")
    path, lost = old(stand), old(stand, "ada/lost", score=None)
    look(stand)
    (scored,) = stand.context.scores.all()
    assert scored.path == path
    assert page(BoardReader(stand.context)) == [("ada/plain", "a" * 40, "apache-2.0", scored.average)]
    assert found(stand, "Hub License: apache-2.0") == [(path, scored.average)]
    assert found(stand, "lost; Hub License: MIT") == [(lost, None)]


def test_only_requests_of_models_with_results_are_read_for_scores(stand: BoardDriver) -> None:
    """To fill in scores, the bot reads no request file of a model without results: a hundred thousand take 400 MB."""
    path = old(stand)
    old(stand, "ada/lost", score=None)
    look(stand)
    assert [at for at, _ in stand.context.contents_memory.requests] == [path]


def test_requests_from_before_the_bot_are_found_by_the_size_in_their_file(stand: BoardDriver) -> None:
    """For older requests, search and results page take the size, in billions, from `params` in the request file."""
    path = old(stand)
    look(stand)
    assert found(stand, "#Params: 0.5..2") == [(path, stand.context.scores.all()[0].average)]
    assert found(stand, "#Params: > 2") == []
    (row,) = results(BoardReader(stand.context), ResultsQuery()).results
    assert row.parameters == 1.0


def test_where_nothing_is_missing_nothing_is_read_or_asked(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot makes no call about scores and licences that it knows, or that it did not find before."""
    old(stand)
    old(stand, "ada/lost", score=None)
    look(stand)
    assert calls(stand) == []
    done, asked = watched(monkeypatch, "fill"), watched(monkeypatch, "read_model")
    path = finished(stand)
    look(stand)
    assert calls(stand) == []
    assert path in {scores.path for scores in stand.context.scores.all()}
    assert (done, asked) == ([], [])


def test_results_that_others_replace_are_read_again(stand: BoardDriver) -> None:
    """If another program publishes newer results of a model, the bot shows their scores."""
    path = old(stand, score=0.4)
    look(stand)
    before = found(stand, "plain")
    old(stand, score=0.9, day=2)
    look(stand)
    ((there, average),) = found(stand, "plain")
    assert (there, before[0][0]) == (path, path)
    assert average != before[0][1]


def test_a_few_models_are_asked_about_at_a_time(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pass asks the Hub for a limited number of licences, and never about a private model."""
    monkeypatch.setattr(scoreboard, "MAX_MODELS", 1)
    asked = watched(monkeypatch, "read_model")
    for name in ("a", "b", "c"):
        licensed(stand, f"ada/{name}")
        old(stand, f"ada/{name}", score=None)
    hidden = old(stand, "ada/hidden", score=None)
    stand.put(hidden, json.dumps({**stand.file(hidden), "private": True}).encode())
    look(stand)
    assert len(found(stand, "Hub License: MIT")) == 1
    for count in (2, 3):
        stand.time += scoreboard.PASS_SECONDS
        stand.work()
        assert len(found(stand, "Hub License: MIT")) == count
    assert stand.context.licences.models() == {"ada/a", "ada/b", "ada/c", "ada/hidden"}
    assert sorted(model for _, model, _ in asked) == ["ada/a", "ada/b", "ada/c"]


def test_a_size_that_no_file_names_comes_with_the_licence(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot takes a missing size from the Hub's answer about the licence, but not for an adapter."""
    whole, adapter = OLD, OLD.replace("Original", "Adapter")
    old(stand, score=None)
    fields = {**stand.file(whole), "params": 0}
    for path in (whole, adapter):
        stand.put(path, json.dumps({**fields, "weight_type": "Original" if path == whole else "Adapter"}).encode())
    info = HubModelInfo(licence="mit", parameters=7.242)
    monkeypatch.setattr(scoreboard, "read_model", lambda *_: info)
    look(stand)
    assert [entry and entry.parameters for entry in stand.context.index.find([whole, adapter])] == [7_242_000_000, None]


def test_older_results_never_take_the_place_of_newer_ones(stand: BoardDriver) -> None:
    """The bot keeps scores that are newer than the request's, or that changed while it read the results repo."""
    path = old(stand)
    look(stand)
    (was,) = stand.context.scores.all()
    newer = was.model_copy(update={"results": "ada/plain/results_2026-01-01T00-00-00.000000.json", "average": 99.0})
    stand.context.scores.put(newer)
    commit(stand, newer.results, {"results": {}})
    scoreboard.fill(stand.context)
    assert stand.context.scores.find([path]) == {path: newer}
    assert stand.context.scores.replace_unchanged([(was.model_dump_json(), was), (None, was)]) == []
    assert stand.context.scores.replace_unchanged([(newer.model_dump_json(), was)]) == [path]
    assert stand.context.scores.find([path]) == {path: was}
