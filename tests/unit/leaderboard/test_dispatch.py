"""The order of the queue: rounds, tiers, priorities, holds, pauses and budgets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboard.budgets import HOUR, Budgets, Spent
from leaderboard.dispatch import (
    QueueBlocker,
    QueueConditions,
    RunningAttempt,
    WaitingRequest,
    WorkerCapacity,
    choose,
    find_blocker,
    in_turn,
    read_blocker,
)
from leaderboard.estimates import Durations
from leaderboard.tiers import TIERS, Tier

SMALL, LARGE = WorkerCapacity(("small",)), WorkerCapacity(("large",))


def next_attempts(
    requests: Iterable[WaitingRequest], running: Sequence[RunningAttempt], conditions: QueueConditions
) -> list[WaitingRequest]:
    """The requests that belong in RQ now."""
    return choose(in_turn(requests, running, conditions), running, conditions)


def waiting(path: str, submitter: str, submitted: float = 0.0, **more: object) -> WaitingRequest:
    """A request that waits; its path serves as its attempt."""
    return WaitingRequest(path, path, submitter, submitted, **more)  # type: ignore[arg-type]


def paths(requests: Sequence[WaitingRequest]) -> list[str]:
    """Return the paths of `requests`, in order."""
    return [request.path for request in requests]


def test_the_second_submitter_waits_for_one_model_not_for_two_hundred() -> None:
    """Many requests of one submitter delay another submitter's first request by one place."""
    crowd = [waiting(f"a{n:03}", "ada", n) for n in range(200)]
    order = in_turn([*crowd, waiting("b", "bob", 1_000)], [])
    assert paths(order)[:3] == ["a000", "b", "a001"]


def test_two_hundred_models_delay_another_submitter_by_no_more_than_what_runs() -> None:
    """A new submitter's request is the next in RQ, however many workers another submitter's requests occupy."""
    for workers in (1, 2, 5):
        capacities = tuple(WorkerCapacity(doing=f"a{n:03}") for n in range(workers))
        running = [RunningAttempt(f"a{n:03}", "ada") for n in range(workers)]
        crowd = [waiting(f"a{n:03}", "ada", n) for n in range(workers, 200)]
        assert paths(next_attempts(crowd, running, QueueConditions(capacities=capacities))) == paths(crowd[:workers])
        late = waiting("b", "bob", 1_000)
        assert next_attempts([*crowd, late], running, QueueConditions(capacities=capacities))[0] == late


def test_what_runs_already_counts_as_a_turn() -> None:
    """A submitter with a running attempt comes after one without."""
    order = in_turn([waiting("a", "ada", 1), waiting("b", "bob", 2)], [RunningAttempt("x", "ada")])
    assert paths(order) == ["b", "a"]


def test_a_third_submitter_has_their_turn_though_two_crowds_are_older() -> None:
    """With one worker, two submitters who keep it busy do not block a third."""
    crowds = [waiting(f"{who}{n}", who, n) for who in "ab" for n in range(9)]
    everyone = [*crowds, waiting("c", "c", 100)]
    turns: dict[str, float] = {}
    served: list[str] = []
    for time in range(1_000, 1_006):
        (first, *_) = next_attempts(everyone, [], QueueConditions(capacities=(WorkerCapacity(),), turns=turns))
        served.append(first.submitter)
        turns[first.submitter] = time
        everyone.remove(first)
    assert served[:3] == ["a", "b", "c"]
    assert served[3:] == ["a", "b", "a"]


def test_each_worker_has_one_attempt_ahead() -> None:
    """Two idle workers get four attempts, two workers with full places get none, and no worker gets none."""
    requests = [waiting(str(n), str(n), n) for n in range(9)]
    conditions = QueueConditions(capacities=(WorkerCapacity(), WorkerCapacity()))
    assert len(next_attempts(requests, [], conditions)) == 4
    assert len(next_attempts(requests, [RunningAttempt(str(n), "") for n in range(3)], conditions)) == 1
    assert next_attempts(requests, [RunningAttempt(str(n), "") for n in range(4)], conditions) == []
    assert next_attempts(requests, [], QueueConditions()) == []


def test_a_request_is_for_workers_of_its_tier_and_passes_by_those_that_cannot() -> None:
    """Requests go to workers of their own tier, so that older small requests do not keep a large worker idle."""
    small = [waiting(f"s{n}", f"s{n}", n, tier="small") for n in range(5)]
    large = [waiting(f"l{n}", f"l{n}", 100 + n, tier="large") for n in range(5)]
    chosen = next_attempts([*small, *large], [], QueueConditions(capacities=(SMALL, LARGE)))
    assert paths(chosen) == ["s0", "s1", "l0", "l1"]
    assert paths(next_attempts(large, [], QueueConditions(capacities=(SMALL,)))) == []


def test_where_nobody_offers_a_tier_the_next_larger_one_serves_it() -> None:
    """A small request goes to a large worker if there is no small one; a large request never to a small worker."""
    conditions = QueueConditions(capacities=(LARGE,))
    assert paths(next_attempts([waiting("s", "a", tier="small")], [], conditions)) == ["s"]
    assert conditions.queue_of("small") == "large"
    assert QueueConditions(capacities=(SMALL,)).queue_of("large") == "large"


def test_turns_count_within_a_lane() -> None:
    """Running large models do not delay a submitter's small request on other workers."""
    conditions = QueueConditions(capacities=(SMALL, LARGE))
    running = [RunningAttempt("x", "ada", "large")]
    requests = [waiting("a", "ada", 1, tier="small"), waiting("b", "bob", 2, tier="small")]
    assert paths(in_turn(requests, running, conditions)) == ["a", "b"]
    assert paths(in_turn(requests, running, QueueConditions(capacities=(WorkerCapacity(),)))) == ["b", "a"]


def test_high_priority_comes_first_and_low_last() -> None:
    """Requests are in order of their priority first, before turns and ages."""
    requests = [waiting("low", "a", 0, rank=2), waiting("normal", "b", 1), waiting("high", "c", 2, rank=0)]
    assert paths(in_turn(requests, [RunningAttempt("x", "c")])) == ["high", "normal", "low"]


def test_holds_and_pauses_take_the_turn_away_and_say_so() -> None:
    """A request on hold, or in a paused board, tier or suite, is left out of the queue, and its blocker is named."""
    requests = [waiting("held", "a", held=True), waiting("l", "b", tier="large"), waiting("s", "c", suite="x")]
    assert paths(in_turn(requests, [])) == ["l", "s"]
    assert find_blocker(requests[0], QueueConditions()) == QueueBlocker("hold")
    for target, remaining in (("tier:large", ["s"]), ("suite:x", ["l"]), ("board", [])):
        conditions = QueueConditions(paused=frozenset({target}), capacities=(WorkerCapacity(),))
        assert paths(in_turn(requests, [], conditions)) == remaining
        assert paths(next_attempts(requests, [], conditions)) == remaining
    assert find_blocker(requests[1], QueueConditions(paused=frozenset({"tier:large"}))) == QueueBlocker(
        "pause", "tier:large"
    )


def test_a_used_up_budget_blocks_only_its_own_requests() -> None:
    """A used-up budget of a tier, a submitter or a request blocks only its own requests and is their blocker."""
    spent = Spent({"large": 5 * HOUR}, {"ada": 3 * HOUR}, {"p": 2 * HOUR})
    request = waiting("p", "ada", tier="large")
    for budgets, whose in (
        (Budgets(by_tier={"large": 5}), "tier"),
        (Budgets(by_submitter=3), "submitter"),
        (Budgets(by_request=2), "request"),
    ):
        conditions = QueueConditions(budgets=budgets, spent=spent)
        assert find_blocker(request, conditions) == QueueBlocker("budget", whose)
        assert find_blocker(waiting("q", "bob", tier="small"), conditions) is None
    assert (
        find_blocker(
            request, QueueConditions(budgets=Budgets(by_tier={"large": 6}, by_submitter=4, by_request=3), spent=spent)
        )
        is None
    )


def test_what_is_chosen_counts_against_the_budget_of_what_comes_after() -> None:
    """Chosen requests count against the submitter's budget at once: ten idle workers get only the two that fit it."""
    durations = Durations({("x", 30): [HOUR] * 5})
    conditions = QueueConditions(
        budgets=Budgets(by_submitter=2), durations=durations, capacities=(WorkerCapacity(),) * 10
    )
    crowd = [waiting(f"a{n}", "ada", n, size=30, suite="x") for n in range(9)]
    assert paths(next_attempts([*crowd, waiting("b", "bob", 99, size=30, suite="x")], [], conditions)) == [
        "a0",
        "b",
        "a1",
    ]


TIER = st.sampled_from(TIERS)
REQUESTS = st.lists(
    st.builds(
        WaitingRequest,
        path=st.uuids().map(str),
        attempt=st.uuids().map(str),
        submitter=st.sampled_from("abc"),
        submitted=st.floats(0, 1e6),
        tier=TIER,
        rank=st.integers(0, 2),
        held=st.booleans(),
        suite=st.sampled_from(["x", "y"]),
    ),
    max_size=30,
)
RUNNING = st.lists(st.builds(RunningAttempt, st.uuids().map(str), st.sampled_from("abc"), TIER), max_size=6)
CAPACITIES = st.lists(
    st.builds(WorkerCapacity, st.sets(TIER, min_size=1).map(lambda found: tuple(sorted(found)))), max_size=4
)
TERMS = st.builds(
    QueueConditions,
    paused=st.frozensets(st.sampled_from(["board", "tier:small", "tier:large", "suite:y"]), max_size=2),
    budgets=st.builds(Budgets, by_submitter=st.none() | st.just(1.0), by_tier=st.just({"small": 1.0})),
    spent=st.builds(
        Spent,
        tiers=st.dictionaries(TIER, st.sampled_from([0.0, 2 * HOUR])),
        submitters=st.dictionaries(st.sampled_from("abc"), st.sampled_from([0.0, 2 * HOUR])),
    ),
    turns=st.dictionaries(st.sampled_from("abc"), st.floats(0, 1e6)),
    capacities=CAPACITIES.map(tuple),
)


@given(REQUESTS, RUNNING, TERMS)
def test_submitters_take_turns_within_a_lane_and_a_priority(
    requests: list[WaitingRequest], busy: list[RunningAttempt], conditions: QueueConditions
) -> None:
    """The order contains each unblocked request once, by priority; within a lane the submitters take turns."""
    order = in_turn(requests, busy, conditions)
    assert sorted(order) == sorted(request for request in requests if find_blocker(request, conditions) is None)
    lanes = conditions.lanes
    assert [request.rank for request in order] == sorted(request.rank for request in order)
    turns = Counter((lanes[attempt.tier], attempt.submitter) for attempt in busy)
    for at, request in enumerate(order):
        lane = lanes[request.tier]
        rivals = [rival for rival in order[at:] if lanes[rival.tier] == lane and rival.rank == request.rank]
        assert turns[lane, request.submitter] == min(turns[lane, rival.submitter] for rival in rivals)
        own = [rival for rival in rivals if rival.submitter == request.submitter]
        assert request.submitted == min(rival.submitted for rival in own)
        turns[lane, request.submitter] += 1


@settings(max_examples=66)
@given(REQUESTS, RUNNING, TERMS)
def test_no_worker_is_idle_while_something_fits_it(
    requests: list[WaitingRequest], busy: list[RunningAttempt], conditions: QueueConditions
) -> None:
    """All chosen requests have a place, and no other request could be added."""
    chosen = next_attempts(requests, busy, conditions)
    assert all(find_blocker(request, conditions) is None for request in chosen)
    placed = [conditions.queue_of(request.tier) for request in chosen]
    running = [conditions.queue_of(attempt.tier) for attempt in busy]
    if not fits(conditions.capacities, running):
        return  # more running attempts than places, as after workers were lost: no guarantee
    assert fits(conditions.capacities, [*running, *placed])
    for request in in_turn(requests, busy, conditions):
        if request not in chosen:
            assert not fits(conditions.capacities, [*running, *placed, conditions.queue_of(request.tier)])


def fits(capacities: Sequence[WorkerCapacity], attempts: Sequence[Tier]) -> bool:
    """Return whether all `attempts` can have a place, two for each worker: a bipartite matching (Kuhn's algorithm)."""
    places = [capacity.tiers for capacity in capacities for _ in range(2)]
    owner: dict[int, int] = {}

    def find(attempt: int, visited: set[int]) -> bool:
        for place, tiers in enumerate(places):
            if attempts[attempt] in tiers and place not in visited:
                visited.add(place)
                if place not in owner or find(owner[place], visited):
                    owner[place] = attempt
                    return True
        return False

    return all(find(attempt, set()) for attempt in range(len(attempts)))


def test_a_blocker_is_read_back_as_it_was_stored() -> None:
    """A blocker of each kind is stored and read back with its target; an unknown text is read as none."""
    blockers = [QueueBlocker("hold"), QueueBlocker("pause", "suite:two words"), QueueBlocker("budget", "submitter")]
    assert [blocker.stored for blocker in blockers] == ["hold", "pause suite:two words", "budget submitter"]
    assert [read_blocker(blocker.stored) for blocker in blockers] == blockers
    assert [read_blocker(word) for word in ("", "embargo board")] == [None, None]
