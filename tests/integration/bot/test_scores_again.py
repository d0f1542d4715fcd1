"""Scores and licences that are missing in Redis: the bot reads them again from the results repo and the Hub."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from base64 import b64encode
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd

from bot.core.mirrors import contents_table as tables
from bot.evaluations.restore_deleted import CHECK_SECONDS
from bot.results import scoreboard
from bot.results.scores import _first
from bot.results.searching import find
from bot.web.board import BoardReader
from bot.web.leaderboard_view import LeaderboardQuery, leaderboard
from bot.web.pages.results import ResultsQuery, results
from leaderboard.contents_row import HubModelInfo
from leaderboard.flags import StandingFlags
from leaderboard.result_digests import AskedParts, DigestParts, ResultDigests, ScoredParts, TaskDigests, combine
from leaderboard.steward_block import INFLUENCE_LENGTH
from redis_state.board.scoreboard import EvaluationScores
from tests.support.board.board_driver import BoardDriver
from tests.support.board.published_details import publish
from tests.support.sizes import one_in

pytestmark = one_in(3)
OLD = "ada/plain_eval_request_False_float32_Original.json"
"""The path of a request from before the bot, as the form of that time named it."""


def licensed(stand: BoardDriver, model: str, licence: str = "mit") -> None:
    """Upload a model card with this licence as the model's author."""
    card = f"---\nlicense: {licence}\n---\n# It\n".encode()
    stand.ada.create_repo(model, exist_ok=True)
    stand.ada.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=model)


def finished(stand: BoardDriver, model: str = "ada/good", errors: dict[str, Any] | None = None) -> str:
    """Evaluate a model; return the path of its request."""
    job = stand.started(model)
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite, errors=errors))
    look(stand)
    assert stand.file(job.path)["status"] == "FINISHED"
    return job.path


def look(stand: BoardDriver) -> None:
    """Let two periodic checks for changes run."""
    for _ in range(2):
        stand.time += CHECK_SECONDS
        stand.tick()
        stand.work()


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


def commit(stand: BoardDriver, path: str, content: object) -> None:
    """Commit a results file without the bot."""
    operations = [CommitOperationAdd(path, json.dumps(content).encode())]
    stand.form.create_commit("board/results", operations, commit_message="Add", repo_type="dataset")


def page(views: BoardReader) -> list[tuple[str, str, str, float]]:
    """Return model, commit, licence and average of each row of the results page."""
    return [
        (result.model, result.revision, result.licence, result.average)
        for result in results(views, ResultsQuery(limit=10)).results
    ]


def found(stand: BoardDriver, words: str) -> list[tuple[str, float | None]]:
    """Return the requests that a search finds, with the averages that it shows."""
    return [(hit.entry.path, hit.average) for hit in find(stand.context, words, limit=9).hits]


def watched(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[Any, ...]]:
    """Return a list that records the arguments of each further call of this function of the sync."""
    recorded_calls, real = list[tuple[Any, ...]](), getattr(scoreboard, name)
    monkeypatch.setattr(scoreboard, name, lambda *given: (recorded_calls.append(given), real(*given))[1])
    return recorded_calls


def test_what_finished_is_shown_and_found_by_licence_after_redis_was_lost(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Redis, scores and licence are read again, also on a board without the table that needs `pyarrow`."""
    monkeypatch.setattr(tables, "can_write", lambda: False)
    licensed(stand, "ada/good")
    path = finished(stand)
    before, rows = stand.context.scores.all(), page(BoardReader(stand.context))
    assert found(stand, "good; Hub License: MIT") == [(path, before[0].average)]
    stand.context.redis.flushall()
    views = BoardReader(stand.context)
    stand.settle()
    assert stand.context.scores.all() == before
    look(stand)
    assert found(stand, "good; Hub License: MIT") == [(path, before[0].average)]
    assert page(views) == rows, "a process that serves pages does not show the scores again"


def test_standard_errors_are_stored_with_the_scores_and_read_again(stand: BoardDriver) -> None:
    """The bot stores the standard errors of a results file, and reads them again after a loss of Redis."""
    names = [benchmark.name for benchmark in stand.context.suite.benchmarks]
    each, average = dict.fromkeys(names, 3.0), 3.0 / math.sqrt(len(names))
    influence = b64encode(struct.pack(f"<{INFLUENCE_LENGTH}e", *[0.001] * INFLUENCE_LENGTH)).decode()
    finished(stand, errors={"errors": each, "average_error": average, "influence": influence})
    before = stand.context.scores.all()
    assert [(scores.errors, scores.average_error, scores.influence) for scores in before] == [
        (each, average, influence)
    ]
    stand.context.redis.flushall()
    stand.settle()
    assert stand.context.scores.all() == before


def test_a_board_without_a_table_shows_what_its_own_files_say(stand: BoardDriver) -> None:
    """The leaderboard shows raw scores, chat template and an earlier commit's row from results files, and no likes."""
    path, views = finished(stand), BoardReader(stand.context)
    (row,) = leaderboard(views, LeaderboardQuery(raw=True)).rows
    assert (row.scores["Navigation"], row.chat_template, row.likes) == (75.0, False, None)
    (scored,) = stand.context.scores.all()
    data = json.loads(stand.context.hub.read_file(stand.context.results, scored.results).data)
    data["steward"]["revision"] = "b" * 40
    commit(stand, "ada/good/results_2026-11-20T12-00-00.000000.json", data)
    (entry,) = stand.context.index.find([path])
    assert entry is not None
    before = entry.changed(standing=entry.standing.model_copy(update={"results": "ada/good/results_2026-11-20.json"}))
    scoreboard.mark_replaced_scores(stand.context, entry, entry)
    assert stand.context.dirty.marked([scoreboard.SCORES_CHANGED]) == [False]
    scoreboard.mark_replaced_scores(stand.context, before, entry)
    stand.work()
    rows = leaderboard(views, LeaderboardQuery()).rows
    assert [(row.path, row.revision == "b" * 40, row.likes, row.generation) for row in rows] == [
        (path, False, None, 0),
        (path, True, None, 0),
    ]


def test_scores_that_were_read_before_the_request_named_them_are_read_again(stand: BoardDriver) -> None:
    """If scores are read between the commits of new results and of the request, the bot reads them again."""
    path = finished(stand)
    (scored,) = stand.context.scores.all()
    newer = "ada/good/results_2027-11-20T12-00-00.000000.json"
    commit(stand, newer, json.loads(stand.context.hub.read_file(stand.context.results, scored.results).data))
    stand.context.mark(scoreboard.SCORES_CHANGED)
    stand.work()
    assert [scores.results for scores in stand.context.scores.all()] == [scored.results]
    request = stand.file(path)
    stand.put(path, json.dumps({**request, "steward": {**request["steward"], "results": newer}}).encode())
    stand.context.mark(scoreboard.SCORES_CHANGED)
    stand.work()
    assert [scores.results for scores in stand.context.scores.all()] == [newer]


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


def test_scores_of_an_earlier_version_are_noted_anew(stand: BoardDriver) -> None:
    """The bot completes scores that an earlier version stored without their commit, from the results file."""
    path = finished(stand)
    (whole,) = stand.context.scores.all()
    bare = whole.model_dump_json(exclude={"revision", "results"})
    assert EvaluationScores.model_validate_json(bare).revision == ""
    stand.context.redis.hset(stand.context.keys.scores, path, bare)
    stand.context.redis.delete(stand.context.keys.scores_state)
    look(stand)
    assert stand.context.scores.all() == [whole]


def test_scores_that_version_0_1_0_filled_in_are_filled_again(stand: BoardDriver) -> None:
    """Version 0.1.0 stored fewer fields and no rows, and marked them as complete: the next check completes both."""
    path = finished(stand)
    (whole,) = stand.context.scores.all()
    redis, keys = stand.context.redis, stand.context.keys
    noted = {"path", "model", "suite", "category", "average", "benchmarks", "revision", "results"}
    redis.hset(keys.scores, path, whole.model_dump_json(include=noted))
    redis.delete(keys.table_rows)
    parts = (stand.context.suite.digest, stand.context.scores.state()[1])
    stand.context.scores.note_filled(hashlib.sha256("\n".join(parts).encode()).hexdigest())
    look(stand)
    assert stand.context.scores.all() == [whole]
    assert whole.raw
    assert stand.context.table_rows.find([path])[path]["fullname"] == "ada/good"


def test_what_was_removed_is_shown_no_more(stand: BoardDriver) -> None:
    """Page, search and comparison show no score of a cancelled request; once it is FINISHED again, they do."""
    path = finished(stand)
    file, views = stand.file(path), BoardReader(stand.context)
    (row,) = page(views)
    assert _first(stand.context, stand.context.scores.all(), StandingFlags(())) is not None
    stand.put(path, json.dumps({**file, "status": "CANCELLED"}).encode())
    stand.settle()
    assert (page(views), found(stand, "good")) == ([], [(path, None)])
    assert _first(stand.context, stand.context.scores.all(), StandingFlags(())) is None
    stand.put(path, json.dumps(file).encode())
    stand.settle()
    assert (page(views), found(stand, "good")) == ([row], [(path, row[-1])])


def digests(stand: BoardDriver, asked: str = "a") -> ResultDigests:
    """Return the digests of results whose questions have the digest `asked`."""
    parts = TaskDigests(
        asked=AskedParts(requests=asked * 64, documents="b" * 64, questions=1),
        scored=ScoredParts(metrics="0" * 16, filters="0" * 16, targets="0" * 16),
    )
    return combine(DigestParts(tasks={"starter_navigation": parts}), stand.context.suite)


def test_what_was_asked_is_known_again_after_redis_was_lost(stand: BoardDriver) -> None:
    """Scores, accepted digests, search and leaderboard have the digest of the questions, also after a loss of Redis."""
    published = digests(stand)
    path = finished(stand, errors={"digests": published})

    def check() -> None:
        (scored,) = stand.context.scores.all()
        assert (scored.path, scored.asked) == (path, published.asked)
        accepted = stand.context.accepted_digests.read()
        assert (accepted.fingerprints, accepted.reference) == ({published.fingerprint}, published)
        assert [hit for hit, _ in found(stand, f"Asked: {published.asked[:12]}")] == [path]
        assert found(stand, f"Asked: {'9' * 12}") == []
        (row,) = leaderboard(BoardReader(stand.context), LeaderboardQuery()).rows
        assert (row.asked, row.other_questions) == (published.asked[:12], False)

    check()
    stand.context.redis.flushall()
    stand.settle()
    look(stand)
    check()
