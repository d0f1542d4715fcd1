"""Budgets: commits spread over hour and day, and calls reserved by urgency."""

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
    """However they are asked for, any window of an hour and of a day holds at most its share."""
    times = times_of(Commits(hour=hour, day=day), asks)
    for at in times:
        assert len([time for time in times if at - HOUR < time <= at]) <= hour
        assert len([time for time in times if at - DAY < time <= at]) <= day


def test_the_first_commits_go_out_at_once_and_a_steady_stream_waits_longer_and_longer() -> None:
    """Five commits at once, ten within seconds, an hour's limit over most of an hour, then about one a minute."""
    times = times_of(Commits(), [0.0] * 120)
    assert times[4] == 0.0
    assert times[9] < 10
    assert times[30] < 180
    assert times[59] > 0.6 * HOUR
    steady = times[110] - times[109]
    assert 60 < steady < 120


@given(st.integers(0, CREDIBLE))
def test_what_others_commit_comes_out_of_our_hour(others: int) -> None:
    """All commits together stay within the Hub's hourly limit, and the bot always makes a few."""
    budget = Commits()
    now, times = 0.0, list[float]()
    while (now := max(now, budget.next(times, now, others))) < HOUR:
        times.append(now)
    assert len(times) <= max(budget.least, min(budget.hour, REPO_HOUR - others))
    assert len(times) >= min(budget.least, budget.hour)


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, CREDIBLE + 1))
def test_whatever_was_set_and_came_there_is_a_time_for_the_next_one(hour: int, made: int, others: int) -> None:
    """Within an hour, also where a crowd of others comes after hundreds of our own."""
    budget = Commits(hour=hour, day=10_000)
    times = [HOUR * n / 300 for n in range(made)]
    now = max(times, default=0.0)
    assert now <= budget.next(times, now, others) <= now + HOUR


def test_who_may_make_more_than_this_hub_takes_is_not_held_to_it() -> None:
    """A limit above the Hub's usual one holds; commits of other accounts still reduce it."""
    times = [n * 12.0 for n in range(200)]
    assert Commits(hour=300, day=10_000).next(times, HOUR - 1) <= HOUR - 1
    assert Commits(hour=300, day=10_000).next(times, HOUR - 1, 150) > HOUR - 1


def test_more_than_the_hub_takes_of_others_is_not_held_against_us() -> None:
    """An impossible number of other accounts' commits is ignored."""
    times = times_of(Commits(), [0.0] * 40)
    assert Commits().next(times, times[-1], CREDIBLE + 1) == Commits().next(times, times[-1])


def test_after_a_quiet_hour_commits_go_out_at_once_again() -> None:
    """Commits from more than an hour ago cause no wait."""
    times = times_of(Commits(), [0.0] * 20)
    later = times[-1] + HOUR
    assert Commits().next(times, later) <= later


def test_the_second_half_of_a_days_share_is_spread_over_a_day() -> None:
    """A bot that is busy all day long stays below its share of the webhook's day without ever stopping for hours."""
    times = times_of(Commits(), [60.0 * n for n in range(1440)])
    times = [time for time in times if time < DAY]
    assert 400 < len(times) <= 500
    assert max(b - a for a, b in pairwise(times)) < 600


class Time:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def calls_left(remaining: int, *, resource: str = "api") -> tuple[Calls, dict[str, RateLimit], Time]:
    """Return a budget with a fresh limit of 1,000 calls."""
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
def test_those_whom_nobody_waits_for_stop_first(remaining: int, who: Urgency, allowed: bool) -> None:
    """Background calls leave three tenths of the window, events one tenth, people nothing."""
    calls, _, _ = calls_left(remaining)
    with urgency(who):
        if allowed:
            calls("GET", "refs")
            return
        with pytest.raises(RateLimited, match="kept for people") as refused:
            calls("GET", "refs")
    assert refused.value.seconds == 61.0
    calls("GET", "refs")  # without a block it is a person who waits


def test_calls_are_counted_until_an_answer_tells_better() -> None:
    """Between two answers the budget counts for itself; a new answer, or a new window, starts the count again."""
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


def test_a_window_that_ended_while_nobody_called_holds_nobody_back() -> None:
    """The window is counted from the response, not from the next call."""
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
    """An empty window of resolved files stops no other call."""
    calls, _, _ = calls_left(0, resource="resolvers")
    with urgency(Urgency.BACKGROUND):
        calls("GET", "refs")
        with pytest.raises(RateLimited):
            calls("GET", "resolve")
