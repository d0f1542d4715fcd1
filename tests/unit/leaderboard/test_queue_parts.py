"""The parts of the queue's rule: tiers, pauses, estimates, and levels of positions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.boards import parse_board
from leaderboard.estimates import (
    Durations,
    RunningWork,
    StartEstimate,
    WaitExperience,
    crosses,
    level,
    share_waited,
    starts,
)
from leaderboard.holds import BadPauses, Hold, is_target, parse_pauses
from leaderboard.tiers import (
    TIERS,
    TierLimits,
    UnknownTier,
    lanes,
    parse_tiers,
    serving,
    size_class,
    tier_of,
    weight_bytes,
)

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("parameters", "precision", "file_bytes", "tier"),
    [
        (7 * GB, "bfloat16", None, "small"),
        (8 * GB, "float16", 99 * GB, "small"),
        (8 * GB + 1, "float16", None, "medium"),
        (7 * GB, "float32", None, "medium"),
        (35 * GB, "bfloat16", None, "medium"),
        (70 * GB, "4bit", None, "medium"),
        (70 * GB, "GPTQ", None, "medium"),
        (70 * GB, "8bit", None, "medium"),
        (70 * GB, "bfloat16", None, "large"),
        (None, "bfloat16", 10 * GB, "small"),
        (0, "bfloat16", 140 * GB, "large"),
        (None, "bfloat16", None, "medium"),
        (None, "bfloat16", 0, "medium"),
    ],
)
def test_the_tier_follows_from_parameters_and_precision(
    parameters: int | None, precision: str, file_bytes: int | None, tier: str
) -> None:
    """The tier follows from parameters and precision, else from the bytes of the files, else it is medium."""
    assert tier_of(weight_bytes(parameters, precision, file_bytes), TierLimits()) == tier


def test_a_worker_says_which_tiers_it_takes() -> None:
    """`all` means every tier; an unknown tier is refused with the list of tiers."""
    assert parse_tiers(["all"]) == parse_tiers(["large", "small", "medium"]) == TIERS
    assert parse_tiers(["large", "small"]) == ("small", "large")
    assert parse_tiers([]) == ()
    with pytest.raises(UnknownTier, match="unknown tier hugs: use small, medium, large, or all"):
        parse_tiers(["hugs"])


def test_lanes_join_the_tiers_that_workers_share() -> None:
    """A worker with two tiers joins them in one lane; an unserved tier is in the lane of the tier that serves it."""
    assert lanes([TIERS]) == dict.fromkeys(TIERS, "small")
    assert lanes([]) == {tier: tier for tier in TIERS}
    assert lanes([("small",), ("medium", "large")]) == {"small": "small", "medium": "medium", "large": "medium"}
    assert lanes([("large",)]) == dict.fromkeys(TIERS, "large")
    assert serving("small", ["large"]) == "large"
    assert serving("large", ["small"]) == "large"


@given(st.integers(1, 2**50))
def test_sizes_within_a_factor_of_two_share_a_class(size: int) -> None:
    """A size class is a power of two; 0 means unknown."""
    assert 2 ** size_class(size) <= size < 2 ** (size_class(size) + 1)
    assert size_class(None) == size_class(0) == 0


def test_pauses_are_read_from_what_we_and_people_write() -> None:
    """Pauses are objects or bare reasons; null and unknown targets are ignored, and an invalid file is refused."""
    hold = {"reason": "Moved.", "by": "maya", "at": "2026-11-25T02:00:00Z"}
    stored = {
        "tier:large": hold,
        "board": "Maintenance",
        "suite:x": None,
        "tier:huge": hold,
        "note": 1,
        "tier:small": 7,
    }
    assert parse_pauses(json.dumps(stored).encode()) == {
        "tier:large": Hold(reason="Moved.", by="maya", at="2026-11-25T02:00:00Z"),
        "board": Hold(reason="Maintenance"),
    }
    for data in (b"[", b"[]", b'"x"', b"\xff", b"[" * 100_000):
        with pytest.raises(BadPauses):
            parse_pauses(data)
    assert [is_target(what) for what in ("board", "tier:small", "suite:a", "tier:x", "suite:", "")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_board_says_its_tiers_and_budgets() -> None:
    """A board file without tiers and budgets has no limits; invalid values are named."""
    text = (
        "{name: b, title: B, suite: starter, repos: {requests: a/b, results: a/c, logs: a/d, community: a/e,"
        " details_namespace: d}%s}"
    )
    assert parse_board(text % "").budgets.unlimited
    board = parse_board(text % ", tiers: {small: 8, medium: 40}, budgets: {by_tier: {large: 100}, by_request: 30}")
    assert (board.tiers.medium, board.budgets.by_tier["large"], board.budgets.by_request) == (40, 100, 30)
    assert not board.budgets.unlimited
    with pytest.raises(ValueError, match="small cannot be larger than medium"):
        parse_board(text % ", tiers: {small: 80, medium: 40}")


def test_places_are_told_as_they_cross_1_3_10_30() -> None:
    """A thread shows a better position at each level, a worse one only beyond the next level, and a hold at once."""
    assert [level(position) for position in (1, 2, 3, 4, 10, 11, 31, 101, 10_000)] == [
        1,
        3,
        3,
        10,
        10,
        30,
        100,
        300,
        10_000,
    ]
    announced, announcements = 0, []
    for position in (57, 40, 31, 30, 29, 12, 10, 4, 3, 2, 1):
        if crosses(announced, position):
            announced = position
            announcements.append(position)
    assert announcements == [57, 30, 10, 3, 1]
    assert not crosses(10, 30)
    assert crosses(10, 31)
    assert crosses(10, 0)
    assert crosses(0, 10)
    assert not crosses(0, 0)


def test_a_duration_that_was_not_measured_is_borrowed_from_the_nearest_size() -> None:
    """Borrowed durations scale with size and have a wide spread; a suite without measurements has no estimate."""
    durations = Durations({("x", 34): [100.0, 110.0, 90.0], ("x", 30): [10.0]})
    assert durations.expect("y", 34) is None
    own = durations.expect("x", 34)
    assert own is not None
    assert own.mean == 100.0
    assert own.spread == pytest.approx(8.16, abs=0.01)
    assert durations.expect("x", 35) == (200.0, 120.0)
    assert durations.expect("x", 30) == (10.0, 6.0)
    unknown = durations.expect("x", 0)
    assert unknown is not None
    assert unknown.mean == pytest.approx(77.5)
    assert durations.mean("y", 1) == 0.0


def test_starts_follow_from_the_work_before() -> None:
    """Each evaluation starts on the worker that is free first."""
    durations = Durations({("x", 30): [100.0, 100.0, 100.0]})
    order = [RunningWork("x", 30) for _ in range(4)]
    estimates = starts(order, [RunningWork("x", 30, elapsed=40.0)], 2, durations, now=1_000.0)
    assert [estimates[at].expected for at in range(len(estimates))] == [1_000.0, 1_060.0, 1_100.0, 1_160.0]
    assert estimates[0].earliest == 1_000.0
    assert all(estimates[at].earliest <= estimates[at].expected <= estimates[at].latest for at in range(4))
    assert len(starts(order, [], 0, durations, now=0.0)) == 0
    assert len(starts(order, [], 2, Durations(), now=0.0)) == 0
    assert len(starts([*order, RunningWork("y", 30), *order], [], 2, durations, now=0.0)) == 4


def test_the_variance_of_a_start_is_that_of_all_work_before() -> None:
    """The variances of what runs and of what waits before a request add up."""
    durations = Durations({("x", 30): [60.0, 100.0, 200.0]})
    expected = durations.expect("x", 30)
    assert expected is not None and expected.spread > 2
    work = RunningWork("x", 30)
    estimates = starts([work] * 3, [work] * 2, 2, durations, now=0.0)
    assert estimates.variance == pytest.approx([count * expected.spread**2 for count in (2, 3, 4)])


@given(
    st.lists(st.builds(RunningWork, st.just("x"), st.sampled_from([0, 30, 31, 40])), max_size=30),
    st.integers(1, 5),
    st.lists(st.floats(1, 1e5), min_size=1, max_size=5),
)
def test_starts_come_in_order_and_more_workers_make_none_later(
    order: list[RunningWork], workers: int, measured: list[float]
) -> None:
    """No request starts before an earlier one, and another worker delays none."""
    durations = Durations({("x", 30): measured})
    estimates, more = (starts(order, [], count, durations, now=0.0) for count in (workers, workers + 1))
    expected = [estimates[at].expected for at in range(len(estimates))]
    assert len(expected) == len(order)
    assert expected == sorted(expected)
    assert all(more[at].expected <= expected[at] + 1e-6 for at in range(len(order)))


def test_measured_waits_correct_the_estimated_start() -> None:
    """An estimated start is corrected by enough measured waits of requests in the same round, else left unchanged."""
    plain = StartEstimate(1_100.0, 7_600.0, 9_000.0)
    shares = [share_waited(6_000.0, waited) for waited in range(10_000, 30_000, 1_000)]
    experience = WaitExperience({3: shares, 1: [5.0] * 3})
    assert experience.applied(plain, 1, 1_000.0) == plain
    assert experience.applied(plain, 40, 1_000.0) == plain
    corrected = experience.applied(plain, 2, 1_000.0)
    assert [round(time - 1_000.0) for time in corrected] == [12_055, 21_873, 30_600]
    assert share_waited(0.0, 0.0) == 1.0
