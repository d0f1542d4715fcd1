"""Budgets: commits are spread over hour and day, and calls are reserved by urgency."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.budget import CREDIBLE, DAY, HOUR, REPO_HOUR, Calls, Commits, Urgency, urgency
from hub.errors import RateLimited
from hub.records import RateLimit


def times_of(budget: Commits, asks: Sequence[float]) -> list[float]:
    """Return the times of commits that are wanted at each of `asks`."""
    times: list[float] = []
    now = 0.0
    for ask in sorted(asks):
        now = max(now, ask)
        now = max(now, budget.next(times, now))
        times.append(now)
    return times


@given(
    st.lists(st.integers(0, int(3 * HOUR)), min_size=1, max_size=150),
    st.integers(1, 70),
    st.integers(1, 600),
)
def test_no_hour_and_no_day_has_more_commits_than_it_may(asks: list[int], hour: int, day: int) -> None:
    """Any window of an hour or a day has at most its number of commits, whenever they are requested."""
    times = times_of(Commits(hour=hour, day=day), asks)
    for at in times:
        assert len([time for time in times if at - HOUR < time <= at]) <= hour
        assert len([time for time in times if at - DAY < time <= at]) <= day


def test_the_first_commits_go_out_at_once_and_a_steady_stream_waits_longer_and_longer() -> None:
    """Five commits are made at once, ten within seconds, later ones at growing intervals of up to two minutes."""
    times = times_of(Commits(), [0.0] * 120)
    assert times[4] == 0.0
    assert times[9] < 10
    assert times[30] < 180
    assert times[59] > 0.6 * HOUR
    steady = times[110] - times[109]
    assert 60 < steady < 120


@given(st.integers(0, CREDIBLE))
def test_commits_of_others_count_towards_the_hourly_limit(others: int) -> None:
    """The commits of others count towards the Hub's hourly limit, but the bot always makes a few."""
    budget = Commits()
    now, times = 0.0, list[float]()
    while (now := max(now, budget.next(times, now, others))) < HOUR:
        times.append(now)
    assert len(times) <= max(budget.least, min(budget.hour, REPO_HOUR - others))
    assert len(times) >= min(budget.least, budget.hour)


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, CREDIBLE + 1))
def test_the_next_commit_is_at_most_an_hour_away(hour: int, made: int, others: int) -> None:
    """For any limit and any number of commits, the next commit is at most an hour away."""
    budget = Commits(hour=hour, day=10_000)
    times = [HOUR * n / 300 for n in range(made)]
    now = max(times, default=0.0)
    assert now <= budget.next(times, now, others) <= now + HOUR


def test_a_limit_above_the_usual_one_is_used() -> None:
    """A limit above the Hub's usual one is used, and commits of others still reduce it."""
    times = [n * 12.0 for n in range(200)]
    assert Commits(hour=300, day=10_000).next(times, HOUR - 1) <= HOUR - 1
    assert Commits(hour=300, day=10_000).next(times, HOUR - 1, 150) > HOUR - 1


def test_an_impossible_number_of_commits_of_others_is_ignored() -> None:
    """A number of other accounts' commits that is too high to be true is ignored."""
    times = times_of(Commits(), [0.0] * 40)
    assert Commits().next(times, times[-1], CREDIBLE + 1) == Commits().next(times, times[-1])


def test_after_a_quiet_hour_commits_go_out_at_once_again() -> None:
    """Commits from more than an hour ago cause no wait."""
    times = times_of(Commits(), [0.0] * 20)
    later = times[-1] + HOUR
    assert Commits().next(times, later) <= later


def test_the_second_half_of_a_days_share_is_spread_over_a_day() -> None:
    """A bot with a commit for every minute of a day stays within its daily limit, without pauses of ten minutes."""
    times = times_of(Commits(), [60.0 * n for n in range(1440)])
    times = [time for time in times if time < DAY]
    assert 400 < len(times) <= 500
    assert max(b - a for a, b in pairwise(times)) < 600


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def calls_left(remaining: int, *, resource: str = "api") -> tuple[Calls, dict[str, RateLimit], Time]:
    """Return a budget whose limit of 1,000 calls has `remaining` left, with its limits and clock."""
    time = Time()
    limits = {resource: RateLimit(resource, remaining, 60.0, 1000)}
    return Calls(limits, time), limits, time


@pytest.mark.parametrize(
    ("remaining", "who", "allowed"),
    [
        (301, Urgency.BACKGROUND, True),
        (300, Urgency.BACKGROUND, False),
        (101, Urgency.EVENT, True),
        (100, Urgency.EVENT, False),
        (0, Urgency.PERSON, True),
    ],
)
def test_the_least_urgent_calls_stop_first(remaining: int, who: Urgency, allowed: bool) -> None:
    """Background calls stop at three tenths of the window, events at one tenth, and calls for people never."""
    calls, _, _ = calls_left(remaining)
    with urgency(who):
        if allowed:
            calls("GET", "refs")
            return
        with pytest.raises(RateLimited, match="kept for people") as refused:
            calls("GET", "refs")
    assert refused.value.seconds == 61.0
    calls("GET", "refs")  # outside such a block, the call counts as one for a person


def test_calls_are_counted_until_an_answer_tells_better() -> None:
    """The budget counts its calls until a response reports the remaining ones, or the window ends."""
    calls, limits, time = calls_left(303)
    with urgency(Urgency.BACKGROUND):
        for _ in range(3):
            calls("GET", "refs")
        with pytest.raises(RateLimited):
            calls("GET", "refs")
        limits["api"] = RateLimit("api", 900, 50.0, 1000)
        calls("GET", "refs")
        limits["api"] = RateLimit("api", 5, 50.0, 1000)
        with pytest.raises(RateLimited):
            calls("GET", "refs")
        time.now += 51
        calls("GET", "refs")


def test_a_window_ends_by_the_time_of_its_response() -> None:
    """A window ends by the time of its response, whether or not calls were made since."""
    calls, limits, time = calls_left(5)
    limits["api"] = RateLimit("api", 5, 50.0, 1000, at=time.now)
    time.now += 30
    with urgency(Urgency.BACKGROUND), pytest.raises(RateLimited) as refused:
        calls("GET", "refs")
    assert refused.value.seconds == 21.0
    limits["api"] = RateLimit("api", 5, 50.0, 1000, at=time.now)
    time.now += 51
    with urgency(Urgency.BACKGROUND):
        calls("GET", "refs")


def test_files_have_a_window_of_their_own() -> None:
    """A used-up window for file downloads stops no other call."""
    calls, _, _ = calls_left(0, resource="resolvers")
    with urgency(Urgency.BACKGROUND):
        calls("GET", "refs")
        with pytest.raises(RateLimited):
            calls("GET", "resolve")
