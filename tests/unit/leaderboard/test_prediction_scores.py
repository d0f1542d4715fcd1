"""Scores of predictions: metrics, the board's answers, public and private scores, and the final table of a season."""

from __future__ import annotations

from typing import Any

import pytest

from leaderboard.prediction_metrics import METRICS, compute
from leaderboard.prediction_scores import BadAnswers, answer_key, part_results, part_scores, public_errors
from leaderboard.predictions import Season
from leaderboard.scores import score
from leaderboard.seasons import BadSeason, FrozenRow, freeze, ranked, read_season
from leaderboard.suites import Suite
from tests.support.board.predictions import SECRET_WORD, answer_rows, predictions, suite_at

REVISION = "a" * 40
VALUES: list[tuple[str, list[tuple[Any, Any]], float]] = [
    ("accuracy,none", [("a", "a"), ("b", "a")], 0.5),
    ("acc,none", [("a", "a")], 1.0),
    ("macro_f1,none", [("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")], (2 / 3 + 4 / 5) / 2),
    ("macro_f1,none", [("c", "a"), ("c", "b")], 0.0),
    ("exact_match,none", [(" The  Cat ", "the cat"), ("cats", "cat")], 0.5),
    ("exact_match,none", [("Caf\u00e9", "cafe\u0301"), ("cafe", "caf\u00e9")], 0.5),
    ("f1,none", [("the black cat", "the cat"), ("dog", "cat")], 0.4),
    ("f1,none", [("le cafe\u0301", "le caf\u00e9")], 1.0),
    ("f1,none", [("", ""), ("", "cat")], 0.5),
    ("close,none", [(1.0, 1.1), (1.0, 1.3)], 0.5),
    ("close,none", [(3.25, 3.1), (-0.4, -0.55), (1e6 + 0.3, 1e6 + 0.15), (3.251, 3.1)], 0.75),
    ("r2,none", [(1.0, 1.0), (2.0, 2.0), (4.0, 3.0)], 0.5),
    ("r2,none", [(9.0, 1.0), (-9.0, 2.0)], 0.0),
    ("r2,none", [(2.0, 2.0), (2.0, 2.0)], 1.0),
    ("r2,none", [(3.0, 2.0), (2.0, 2.0)], 0.0),
    ("r2,none", [(1e99, 1e99), (0.0, -1e99)], 0.5),
]


@pytest.mark.parametrize(("metric", "pairs", "value"), VALUES)
def test_each_metric_is_that_of_its_definition(metric: str, pairs: list[tuple[Any, Any]], value: float) -> None:
    """Each metric gives the value that was computed by hand from its definition."""
    assert compute(metric, pairs, 0.15) == pytest.approx(value)


def test_numbers_without_a_tolerance_have_to_be_equal() -> None:
    """Without a tolerance, numbers that differ only by rounding are not equal."""
    assert compute("close,none", [(0.3, 0.3), (0.30000000000000004, 0.3), (2.0**53 + 2, 2.0**53)], 0.0) == 1 / 3


def test_every_metric_is_in_the_table() -> None:
    """The table of values in this module covers every metric."""
    assert {metric.partition(",")[0] for metric, _, _ in VALUES} == set(METRICS)


def key_of(suite: Suite, rows: list[dict[str, str]]) -> Any:
    """The answers in `rows`."""
    assert suite.predictions is not None
    return answer_key([(row["id"], row["answer"], row["split"], None) for row in rows], suite, suite.predictions)


def test_public_scores_are_rounded_and_private_ones_count_apart() -> None:
    """Public scores are rounded to the suite's step; the public and the private part are scored separately."""
    suite = suite_at(REVISION, rounding=0.05)
    assert suite.predictions is not None
    key, answers = key_of(suite, answer_rows()[:9] + answer_rows()[10:]), predictions(public=7, private=3)
    public = part_results(answers, key, suite, suite.predictions, "public")
    assert public == {"colours": {"accuracy,none": 0.8}}  # 7 of 9
    assert part_scores(answers, key, suite, suite.predictions, "private").average == pytest.approx(30)


def test_errors_follow_from_the_rounded_score() -> None:
    """Public standard errors follow from the rounded score, so that they reveal nothing more about the answers."""
    suite = suite_at(REVISION)
    key = key_of(suite, answer_rows())
    scores = score({"colours": {"accuracy,none": 0.8}}, suite)
    assert public_errors(scores, key, suite).average == pytest.approx((0.8 * 0.2 / 10) ** 0.5 * 100)
    perfect = score({"colours": {"accuracy,none": 1.0}}, suite)
    assert public_errors(perfect, key, suite).average is None


BAD: list[tuple[dict[str, str], str]] = [
    ({"answer": "purple"}, "1 rows have no usable"),
    ({"split": "secret"}, "1 rows have no usable"),
    ({"id": "q1"}, "1 repeat the id"),
]


@pytest.mark.parametrize(("change", "words"), BAD)
def test_bad_answers_are_counted_and_not_quoted(change: dict[str, str], words: str) -> None:
    """The error about the board's answers counts the bad rows and quotes none of their text."""
    rows = answer_rows()
    rows[0] = {**rows[0], **change}
    with pytest.raises(BadAnswers, match=words) as error:
        key_of(suite_at(REVISION), rows)
    assert "purple" not in str(error.value)


def test_each_part_needs_a_question() -> None:
    """Answers without a private question are refused."""
    with pytest.raises(BadAnswers, match="no private question of colours"):
        key_of(suite_at(REVISION), answer_rows()[:10])


def test_no_representation_shows_an_answer() -> None:
    """The `repr` of the board's answers contains none of them, so that tracebacks and logs do not reveal them."""
    suite = suite_at(REVISION).model_copy()
    rows = [{**row, "answer": "blue"} for row in answer_rows()]
    key = key_of(suite, rows)
    assert "blue" not in repr(key) + repr(key.by_id["q1"])
    assert SECRET_WORD not in repr(key)


def row(model: str, private: float | None, **changes: Any) -> FrozenRow:
    """A row of a season."""
    facts = {"submitted": "2026-11-24T12:00:00Z", "public": 50.0, "file": "f", "commit": "c", "results": "r"}
    return FrozenRow.model_validate({"model": model, "private": private, **facts, **changes})


def test_the_private_part_ranks() -> None:
    """The private score decides the rank; equal scores share one, flagged rows and rows without a score have none."""
    rows = [
        row("a/low", 10.0, public=99.0),
        row("a/late", 70.0, submitted="2026-11-25T12:00:00Z"),
        row("a/early", 70.0),
        row("a/best", 90.0, flagged=True),
        row("a/gone", None, note="Its file is gone."),
    ]
    assert [(each.model, each.rank) for each in ranked(rows)] == [
        ("a/early", 1),
        ("a/late", 1),
        ("a/low", 3),
        ("a/best", None),
        ("a/gone", None),
    ]


class CountedScore(float):
    """A score that counts how often it is compared with another one."""

    comparisons = 0

    def __gt__(self, other: float) -> bool:
        CountedScore.comparisons += 1
        return super().__gt__(other)


def test_a_large_season_is_ranked_without_comparing_each_row_with_all_others() -> None:
    """The ranks of 200 rows need at most 200 `>` comparisons of scores."""
    rows = [
        row(f"a/{number:03}", None).model_copy(update={"private": CountedScore(number // 2)}) for number in range(200)
    ]
    ranks = {each.model: each.rank for each in ranked(rows)}
    assert ranks == {f"a/{number:03}": 199 - number // 2 * 2 for number in range(200)}
    assert CountedScore.comparisons <= 200


def test_a_frozen_table_is_read_again_as_it_was_written() -> None:
    """The final table of a season is read as it was written; other data raises `BadSeason`."""
    season = Season.model_validate({"name": "one", "begins": "2026-11-01", "ends": "2026-11-20"})
    data = freeze(season, [row("a/one", 10.0)], suite="colours", digest="0" * 64, now=1_800_000_000)
    table = read_season(data)
    assert (table.name, table.ends, table.rows[0].rank) == ("one", "2026-11-20T00:00:00Z", 1)
    with pytest.raises(BadSeason):
        read_season(b"[]")
