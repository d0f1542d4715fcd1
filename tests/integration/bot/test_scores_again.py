"""The bot reads scores that are missing or incomplete in Redis again from the results repo, and shows them."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from base64 import b64encode

import pytest

from bot.core.mirrors import contents_table as tables
from bot.results import scoreboard
from bot.results.scores import _first
from bot.web.board import BoardReader
from bot.web.leaderboard_view import LeaderboardQuery, leaderboard
from leaderboard.flags import StandingFlags
from leaderboard.result_digests import AskedParts, DigestParts, ResultDigests, ScoredParts, TaskDigests, combine
from leaderboard.steward_block import INFLUENCE_LENGTH
from redis_state.board.scoreboard import EvaluationScores
from steward.testing.board import BoardDriver
from tests.support.board.shown_scores import commit, finished, found, licensed, look, page


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


@pytest.mark.long("a board with results for one more way in which scores are read again")
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


@pytest.mark.long("a board with results for one more way in which scores are read again")
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


@pytest.mark.long("a board with results for one more way in which scores are read again")
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


@pytest.mark.long("a board with results for one more way in which scores are read again")
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


@pytest.mark.long("a board with results for one more way in which scores are read again")
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
