"""Plans of shared prefixes: what they compute, how often, and how much memory they take."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.evaluation.shared_prefix.plan import Budget, Plan, make_plan, separate_tokens
from workers.evaluation.shared_prefix.tree import AnswerRequest

AMPLE = Budget(cache_tokens=100_000, step_tokens=10_000)
PREFIX = list(range(100, 200))
TOKENS = st.integers(0, 2)


def texts(plan: Plan) -> list[list[list[list[int]]]]:
    """The tokens of each step, row and segment."""
    return [[[list(segment.tokens) for segment in row.segments] for row in step.rows] for step in plan.steps]


def check(plan: Plan, budget: Budget) -> None:
    """Check the plan token by token: each score follows its request's tokens, and the memory stays in the budget."""
    caches: dict[int, list[list[int]]] = {}
    scored: Counter[tuple[int, int]] = Counter()
    for number, step in enumerate(plan.steps):
        cached = (
            [[]] * len(step.rows) if step.parent is None else [caches[step.parent][row.parent_row] for row in step.rows]
        )
        assert all(len(tokens) >= step.start for tokens in cached)
        used = sum(len(rows) * max(map(len, rows)) for rows in caches.values())
        if step.parent is not None or step.kept_until is not None:
            used += len(step.rows) * (step.start + max(row.width for row in step.rows))
        assert used <= budget.cache_tokens
        assert used <= plan.peak_cache_tokens
        assert step.tokens <= budget.step_tokens or len(step.rows) == 1
        assert step.kept_until is None or all(len(row.segments) == 1 for row in step.rows)
        for row, before in zip(step.rows, cached, strict=True):
            prefixes: list[list[int]] = []
            for segment in row.segments:
                assert segment.tokens
                start = before[: step.start] if segment.parent is None else prefixes[segment.parent]
                prefixes.append([*start, *segment.tokens])
                for score in segment.scores:
                    request = plan.requests[score.request]
                    place = len(request.tokens) - request.answer_length + score.index
                    assert request.tokens[:place] == [*start, *segment.tokens[: score.position + 1]]
                    assert request.tokens[place] == score.token
                    scored[score.request, score.index] += 1
        if step.kept_until is not None:
            width = step.start + step.width
            caches[number] = [
                [*before[: step.start], *row.segments[0].tokens, *[-1] * (width - step.start - row.width)]
                for row, before in zip(step.rows, cached, strict=True)
            ]
        caches = {other: rows for other, rows in caches.items() if (plan.steps[other].kept_until or 0) > number}
    wanted = {(index, place) for index, request in enumerate(plan.requests) for place in range(request.answer_length)}
    assert scored == Counter(wanted)


@st.composite
def requests(draw: st.DrawFn) -> list[AnswerRequest]:
    """Requests of random trees: contexts that begin alike, with answers that begin alike."""
    beginnings = draw(st.lists(st.lists(TOKENS, max_size=90), min_size=1, max_size=3))
    contexts = draw(
        st.lists(
            st.builds(list.__add__, st.sampled_from(beginnings), st.lists(TOKENS, min_size=1, max_size=9)),
            min_size=1,
            max_size=6,
        )
    )
    answers = draw(st.lists(st.lists(TOKENS, min_size=1, max_size=5), min_size=1, max_size=4))
    pairs = draw(st.lists(st.tuples(st.sampled_from(contexts), st.sampled_from(answers)), max_size=24))
    longest = draw(st.integers(5, 120))
    return [AnswerRequest.from_pair(context, answer, longest) for context, answer in pairs]


@given(requests(), st.integers(0, 500), st.integers(1, 300), st.booleans())
def test_every_answer_is_computed_once_within_the_budget(
    requests: list[AnswerRequest], cache_tokens: int, step_tokens: int, trees_in_rows: bool
) -> None:
    """Each token of each answer is scored once, after its request's own tokens, within the budget of memory."""
    budget = Budget(cache_tokens, step_tokens)
    check(make_plan(requests, budget, trees_in_rows=trees_in_rows), budget)


def test_shared_beginnings_are_computed_once() -> None:
    """Examples shared by two questions are computed in one step, and the questions with their answers in another."""
    first, second = [1] * 300, [2] * 300
    requests = [
        AnswerRequest.from_pair([*PREFIX, *question], answer, 1000)
        for answer in ([5, 6, 7], [5, 8, 9])
        for question in (first, second)
    ]
    plan = make_plan(requests, AMPLE, trees_in_rows=True)
    assert texts(plan) == [[[PREFIX]], [[[*first, 5], [6], [8]], [[*second, 5], [6], [8]]]]
    assert (plan.tokens, separate_tokens(requests, once_per_input=False)) == (706, 1608)
    chains = make_plan(requests, AMPLE, trees_in_rows=False)
    assert texts(chains) == [[[PREFIX]], [[[*first, 5]], [[*second, 5]]], [[[6]], [[8]], [[6]], [[8]]]]
    assert chains.tokens == plan.tokens


def test_a_small_tree_is_one_row() -> None:
    """Short questions after shared examples go into one row with them, if a row may hold a tree."""
    requests = [AnswerRequest.from_pair([*PREFIX, number], [7, 8], 1000) for number in (1, 2)]
    assert texts(make_plan(requests, AMPLE, trees_in_rows=True)) == [[[PREFIX, [1, 7], [2, 7]]]]


def test_answers_of_one_token_cost_one_row() -> None:
    """Ten answers of one token after the same question need one row, as all are read from its last position."""
    requests = [AnswerRequest.from_pair([1, 2, 3], [letter], 1000) for letter in range(10)]
    plan = make_plan(requests, AMPLE, trees_in_rows=False)
    assert texts(plan) == [[[[1, 2, 3]]]]
    assert separate_tokens(requests, once_per_input=True) == plan.tokens == 3


def test_an_answer_that_begins_another_ends_within_it() -> None:
    """An answer and a longer one that begins with it are computed in one row."""
    requests = [AnswerRequest.from_pair([1], [2, 3], 1000), AnswerRequest.from_pair([1], [2, 3, 4, 5], 1000)]
    assert texts(make_plan(requests, AMPLE, trees_in_rows=False)) == [[[[1, 2, 3, 4]]]]


def test_a_sequence_that_is_too_long_loses_its_beginning() -> None:
    """A sequence that is too long for the model is cut at its beginning; the last token is only scored, not read."""
    request = AnswerRequest.from_pair(range(10), [10, 11], 4)
    assert (list(request.tokens), request.input_length) == ([7, 8, 9, 10, 11], 4)


def test_rows_of_other_lengths_go_to_other_steps() -> None:
    """Rows of different lengths are divided into few steps, with less than an eighth of padding."""
    requests = [AnswerRequest.from_pair([number] * (40 + number), [1], 1000) for number in range(60)]
    plan = make_plan(requests, AMPLE, trees_in_rows=False)
    assert separate_tokens(requests, once_per_input=True) <= plan.tokens <= 1.125 * sum(range(40, 100))
    assert len(plan.steps) < 10


@pytest.mark.parametrize("trees_in_rows", [False, True])
def test_without_memory_every_sequence_is_computed_alone(trees_in_rows: bool) -> None:
    """Without memory for a cache, every sequence is computed separately, and all answers are computed."""
    requests = [AnswerRequest.from_pair([*PREFIX, *[number] * 300], [1, 2, number], 1000) for number in range(8)]
    budget = Budget(0, 10_000)
    plan = make_plan(requests, budget, trees_in_rows=trees_in_rows)
    check(plan, budget)
    assert plan.peak_cache_tokens == 0
    assert plan.tokens == separate_tokens(requests, once_per_input=False)


@pytest.mark.parametrize("cache_tokens", range(100, 1300, 40))
def test_several_prefixes_leave_room_for_what_continues_them(cache_tokens: int) -> None:
    """Plans for several prefixes with several ends each stay within cache budgets of any size."""
    requests = [
        AnswerRequest.from_pair([*[prefix] * 100, *[end] * 60], [1], 1000) for prefix in range(4) for end in range(5, 8)
    ]
    budget = Budget(cache_tokens, 10_000)
    check(make_plan(requests, budget, trees_in_rows=False), budget)


@pytest.mark.parametrize("trees_in_rows", [False, True])
def test_prefixes_of_prefixes_leave_room_for_their_ends(trees_in_rows: bool) -> None:
    """Plans for three levels of prefixes with ends of different lengths stay within cache budgets of any size."""
    requests = [
        AnswerRequest.from_pair([*[first] * 70, *[second] * 10, *third, *end], [1, 2, end[0]], 1000)
        for first in (1, 2, 3)
        for second in (4, 5)
        for third in ([6] * 20, [7] * 150)
        for end in ([8] * 40, [9] * 90)
    ]
    for cache_tokens in range(100, 3000, 60):
        budget = Budget(cache_tokens, 10_000)
        check(make_plan(requests, budget, trees_in_rows=trees_in_rows), budget)


def test_a_prefix_that_saves_little_is_computed_anew() -> None:
    """A prefix that is short compared with its two questions gets no step of its own."""
    requests = [AnswerRequest.from_pair([*PREFIX[:40], *[number] * 300], [4], 1000) for number in (5, 6)]
    assert len(make_plan(requests, AMPLE, trees_in_rows=False).steps) == 1


def test_no_requests_need_no_step() -> None:
    """The plan for no requests has no steps."""
    plan = make_plan([], AMPLE, trees_in_rows=True)
    assert (plan.steps, plan.tokens, plan.peak_cache_tokens) == ((), 0, 0)
