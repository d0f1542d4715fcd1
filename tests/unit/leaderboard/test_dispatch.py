"""Who runs next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leaderboard.dispatch import Busy, Waiting, in_turn, next_attempts


def waiting(path: str, submitter: str, submitted: float) -> Waiting:
    """A request that waits; its path serves as its attempt."""
    return Waiting(path, path, submitter, submitted)


def test_the_second_submitter_waits_for_one_model_not_for_two_hundred() -> None:
    """A crowd of requests of one submitter delays another submitter's first request by one turn."""
    crowd = [waiting(f"a{n:03}", "ada", n) for n in range(200)]
    order = in_turn([*crowd, waiting("b", "bob", 1_000)], [])
    assert [request.path for request in order[:3]] == ["a000", "b", "a001"]


def test_what_runs_already_counts_as_a_turn() -> None:
    """Who has an attempt running comes after who has none."""
    order = in_turn([waiting("a", "ada", 1), waiting("b", "bob", 2)], [Busy("x", "ada")])
    assert [request.path for request in order] == ["b", "a"]


def test_each_worker_has_one_attempt_ahead() -> None:
    """Two workers with nothing to do get four attempts, and none where they have them."""
    requests = [waiting(str(n), str(n), n) for n in range(9)]
    assert len(next_attempts(requests, [], 2)) == 4
    assert len(next_attempts(requests, [Busy(str(n), "") for n in range(3)], 2)) == 1
    assert next_attempts(requests, [Busy(str(n), "") for n in range(4)], 2) == []
    assert next_attempts(requests, [], 0) == []


REQUESTS = st.lists(
    st.builds(Waiting, st.uuids().map(str), st.uuids().map(str), st.sampled_from("abc"), st.floats(0, 1e6)), max_size=40
)


@given(REQUESTS, st.lists(st.builds(Busy, st.uuids().map(str), st.sampled_from("abc")), max_size=6))
def test_everybody_has_a_turn_and_nobody_two_before_another_has_one(requests: list[Waiting], busy: list[Busy]) -> None:
    """The order holds every request once, oldest first for each submitter, and never lets one submitter run ahead."""
    order = in_turn(requests, busy)
    assert sorted(order, key=lambda one: one.path) == sorted(requests, key=lambda one: one.path)
    for submitter in "abc":
        own = [request.submitted for request in order if request.submitter == submitter]
        assert own == sorted(own)
    turns = {s: sum(one.submitter == s for one in busy) for s in "abc"}
    for at, request in enumerate(order):
        still = {one.submitter for one in order[at:]}
        assert turns[request.submitter] == min(turns[s] for s in still)
        turns[request.submitter] += 1
