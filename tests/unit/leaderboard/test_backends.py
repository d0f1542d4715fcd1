"""Which runs of a worker backend are started and cancelled, and what they cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.backend_settings import MARGIN_SECONDS, CostLimits, JobsBackend, SlurmBackend
from leaderboard.backend_troubles import BackendTrouble
from leaderboard.backends import (
    DAY,
    FIRST_WAIT_SECONDS,
    GRACE_SECONDS,
    INTENT_SECONDS,
    LIVE,
    LONGEST_WAIT_SECONDS,
    UNSEEN_SECONDS,
    WAITING_GRACE_SECONDS,
    BackendFacts,
    BackendRun,
    costs_of,
    launched_attempts,
    merge_runs,
    plan_runs,
    spent_since,
)

NOW = 1_000_000.0
HOUR = 3_600.0


def jobs(**changes: Any) -> JobsBackend:
    """Return the settings of a backend of Hub Jobs that allows three runs at a time."""
    fields = {"kind": "jobs", "namespace": "org", "flavor": "a100-large", "image": "image", "parallel": 3, **changes}
    return JobsBackend.model_validate(fields)


def run(attempt: str, stage: str = "running", **changes: Any) -> BackendRun:
    """Return a run of `attempt` that was created an hour ago."""
    fields = {"id": f"run-{attempt}", "created": NOW - HOUR, "seen": NOW, **changes}
    fields.setdefault("started", 0.0 if stage == "waiting" else NOW - HOUR)
    fields.setdefault("closed", fields.get("ended", 0.0))
    fields.setdefault("known", fields["created"])
    return BackendRun(attempt=attempt, tier="large", stage=stage, **fields)  # type: ignore[arg-type]  # a stage


def facts(queued: str, *runs: BackendRun) -> BackendFacts:
    """Facts with the queued attempts `queued`, separated by spaces."""
    return BackendFacts(queued.split(), runs, NOW)


@pytest.mark.parametrize(
    ("queued", "runs", "launch"),
    [
        ("", [], []),
        ("a b c d", [], ["a", "b", "c"]),
        ("a b", [run("x"), run("y")], ["a"]),
        ("a b", [run("x"), run("y"), run("z", "waiting")], []),
        ("a b", [run("a", "waiting")], ["b"]),
        ("a", [run("a", "failed", ended=NOW - 1)], []),
        ("a", [run("a", "failed", ended=NOW - FIRST_WAIT_SECONDS)], ["a"]),
        ("a", [run("a", "lost", ended=NOW - 90), run("a", "failed", id="2", ended=NOW - 80)], []),
        ("a", [run("a", "failed", ended=NOW - 2 * DAY)], ["a"]),
    ],
)
def test_each_waiting_attempt_gets_one_run(queued: str, runs: list[BackendRun], launch: list[str]) -> None:
    """Attempts get a run in the order of the queue, as many as fit; one whose run just ended waits a while."""
    assert list(plan_runs(jobs(), facts(queued, *runs), HOUR).launch) == launch


def test_a_run_that_no_attempt_needs_is_cancelled_after_its_grace() -> None:
    """The bot gives a run that no attempt needs time to end by itself, and cancels it after that time."""
    fresh, old = run("a", unwanted=NOW - 1), run("b", unwanted=NOW - GRACE_SECONDS - 1)
    ended = run("c", "ended", unwanted=NOW - HOUR, ended=NOW)
    assert plan_runs(jobs(), facts("", fresh, old, ended), HOUR).cancel == (old,)


def test_a_run_that_waits_for_a_machine_is_cancelled_sooner() -> None:
    """The bot cancels a waiting run after a shorter grace, or once it has waited until its attempt's token expires."""
    unwanted = run("a", "waiting", unwanted=NOW - WAITING_GRACE_SECONDS - 1)
    patient, late = run("b", "waiting", known=NOW - 3_600), run("c", "waiting", known=NOW - 3_601)
    intent = run("d", "waiting", known=NOW - 9_999, seen=0.0)
    assert plan_runs(jobs(), facts("b c d", unwanted, patient, late, intent), HOUR).cancel == (unwanted, late)


def test_a_platform_whose_clock_is_wrong_changes_no_waits() -> None:
    """The bot measures waits by its own clock, so a platform whose clock is a day off does not change them."""
    for drift in (-DAY, DAY):
        ended = run("a", "failed", created=NOW + drift, ended=NOW + drift, known=0.0, closed=0.0)
        (merged,) = merge_runs([], [ended], {"a"}, NOW)
        assert plan_runs(jobs(), BackendFacts(["a"], [merged], NOW + 59), HOUR).launch == ()
        assert plan_runs(jobs(), BackendFacts(["a"], [merged], NOW + 60), HOUR).launch == ("a",)
        intent = run("a", "waiting", id="start a 1", created=NOW + 1, seen=0.0)
        assert "start a 1" in {each.id for each in merge_runs([merged, intent], [ended], {"a"}, NOW + 1)}
        waiting = run("a", "waiting", id="2", created=NOW + drift, known=0.0)
        (merged,) = merge_runs([intent], [waiting], {"a"}, NOW + 1)
        assert plan_runs(jobs(), BackendFacts(["a"], [merged], NOW + 3_000), HOUR).cancel == ()


def test_only_wanted_live_runs_count_as_launched_attempts() -> None:
    """An attempt counts as launched only while it has a waiting or running run that is still needed."""
    runs = [run("a"), run("b", "waiting"), run("c", "ended"), run("d", unwanted=NOW)]
    assert launched_attempts(runs) == {"a", "b"}


def test_an_evaluation_ends_before_its_run_is_cut() -> None:
    """The run's time limit leaves a margin, at most a quarter, for the start and the publication."""
    assert jobs().evaluation_seconds(8 * HOUR) == 8 * HOUR - MARGIN_SECONDS
    assert jobs(costs={"hourly": 2, "by_attempt": 1}).evaluation_seconds(8 * HOUR) == 0.75 * 1_800


def test_the_title_of_a_backends_trouble_names_no_model_or_error() -> None:
    """The title of a backend's trouble names no models and quotes no errors of the platform, because it is public."""
    trouble = BackendTrouble("large", NOW, error="sbatch: hf_secret", failing=("a",))
    assert trouble.title == "tier large: its platform refuses or does not answer"
    assert replace(trouble, error="").title == "tier large: the runs of 1 attempt end before they evaluate"
    assert BackendTrouble("small", NOW, blocked="by_day").title == "tier small: the cost limit by_day is used up"


def test_costs_add_up_over_a_day_and_a_month() -> None:
    """The costs of a day and a month include live runs until now; the mean is that of runs that started and ended."""
    runs = [
        run("a"),
        run("b", "ended", ended=NOW - HOUR / 2),
        run("c", "ended", id="2", started=NOW - 50 * HOUR, ended=NOW - 49 * HOUR),
        run("d", "failed", id="3", started=0.0, ended=NOW),
    ]
    costs = costs_of(jobs(costs={"hourly": 4}), runs, NOW)
    assert (costs.day, costs.month, costs.mean) == (6.0, 10.0, 3.0)
    assert costs_of(jobs(), [], NOW).mean is None


def test_an_attempt_whose_runs_end_again_and_again_is_reported() -> None:
    """An attempt is reported as failing after four of its runs ended within a day, and still gets another run."""
    runs = [run("a", "failed", id=str(n), ended=NOW - n * HOUR) for n in range(1, 5)]
    assert plan_runs(jobs(), facts("a", *runs[:3]), HOUR).failing == ()
    plan = plan_runs(jobs(), facts("a", *runs), HOUR)
    assert plan.failing == ("a",)
    assert plan.launch == ("a",)


@pytest.mark.parametrize(
    ("limits", "runs", "launched", "blocked"),
    [
        ({"by_day": 10}, [], 3, ""),
        ({"by_day": 5}, [], 2, "by_day"),
        ({"by_day": 5, "by_month": 3}, [], 1, "by_month"),
        ({"by_day": 4.9}, [run("x", "ended", ended=NOW)], 0, "by_day"),
        ({"by_day": 5}, [run("x", "ended", started=NOW - 30 * HOUR, ended=NOW - 25 * HOUR)], 2, "by_day"),
        ({"by_day": 4}, [run("x", started=NOW - HOUR / 2)], 0, "by_day"),
    ],
)
def test_costs_stay_within_their_limits(
    limits: dict[str, float], runs: list[BackendRun], launched: int, blocked: str
) -> None:
    """The bot starts a run only if the limits cover its costs up to its time limit, as well as those of live runs."""
    backend = jobs(costs={"hourly": 2.5, **limits})
    plan = plan_runs(backend, facts("a b c", *runs), HOUR)
    assert (len(plan.launch), plan.blocked) == (launched, blocked)


@pytest.mark.parametrize(
    ("refused", "runs", "launched", "blocked"),
    [
        (NOW - 60, [], 0, "tasks"),
        (NOW - LONGEST_WAIT_SECONDS, [], 1, "tasks"),
        (NOW - LONGEST_WAIT_SECONDS, [run("x")], 0, "tasks"),
        (0.0, [run("x")], 2, ""),
    ],
)
def test_workers_whose_tasks_differ_are_started_one_at_a_time(
    refused: float, runs: list[BackendRun], launched: int, blocked: str
) -> None:
    """After a run reported tasks that differ from the board's, the bot waits an hour and starts one run at a time."""
    plan = plan_runs(jobs(), BackendFacts("abcd", runs, NOW, refused), HOUR)
    assert (len(plan.launch), plan.blocked) == (launched, blocked)


def test_the_price_cap_of_an_attempt_shortens_its_run() -> None:
    """A cap of 5 at 2.5 an hour gives two hours, however long attempts may take."""
    assert jobs(costs={"hourly": 2.5, "by_attempt": 5}).seconds(8 * HOUR) == 2 * HOUR
    assert jobs(costs={"by_attempt": 5}).seconds(8 * HOUR) == 8 * HOUR
    assert SlurmBackend(kind="slurm", template="t", spool="s").seconds(HOUR) == HOUR


DRAWN = st.tuples(st.sampled_from("abcdef"), st.floats(0, 40), st.sampled_from(["running", "ended"]))


@given(st.lists(DRAWN, max_size=12), st.floats(1, 200))
def test_no_plan_can_cost_more_than_a_day_allows(drawn: list[tuple[str, float, str]], limit: float) -> None:
    """If the bot starts runs, the day's costs stay within the limit even if all runs last to their time limit."""
    backend = jobs(costs={"hourly": 2.5, "by_day": limit}, parallel=50)
    runs = [
        run(name, stage, id=str(n), created=NOW - ago * HOUR, started=NOW - ago * HOUR)
        for n, (name, ago, stage) in enumerate(drawn)
        if stage == "ended" or ago < 8
    ]
    runs = [replace(each, ended=min(NOW, each.started + HOUR)) if each.stage == "ended" else each for each in runs]
    plan = plan_runs(backend, facts("g h i j", *runs), 8 * HOUR)
    spent = spent_since(backend, runs, NOW - DAY, NOW)
    live = sum(8 * HOUR - each.seconds(NOW) for each in runs if each.stage in LIVE) / HOUR * 2.5
    assert not plan.launch or spent + live + len(plan.launch) * 20 <= limit + 1e-6


def test_the_record_of_a_start_becomes_the_run() -> None:
    """The bot's record of a start counts as a run until the platform lists a run of the attempt or it expires."""
    intent = run("a", "waiting", id="start a 1", created=NOW - 10, seen=0.0)
    assert merge_runs([intent], [], {"a"}, NOW) == [intent]
    listed = run("a", id="77", created=NOW - 9)
    assert merge_runs([intent], [listed], {"a"}, NOW) == [replace(listed, known=NOW)]
    assert merge_runs([intent], [], {"a"}, NOW + INTENT_SECONDS) == []


def test_a_run_that_its_platform_forgot_is_lost_after_a_while() -> None:
    """A run that its platform no longer lists counts as lost after ten minutes, until it is listed again."""
    last = run("a", id="7", seen=NOW - 60)
    assert merge_runs([last], [], {"a"}, NOW) == [last]
    later = NOW + UNSEEN_SECONDS
    (lost,) = merge_runs([last], [], {"a"}, later)
    assert (lost.stage, lost.ended) == ("lost", NOW - 60)
    (again,) = merge_runs([lost], [replace(last, seen=0.0)], {"a"}, later)
    assert again.stage == "running"


def test_a_run_is_unwanted_since_its_attempt_ended() -> None:
    """A run keeps the time since when no attempt needs it, and loses that time when its attempt needs it again."""
    live = run("a", id="7")
    (first,) = merge_runs([], [live], set(), NOW)
    (second,) = merge_runs([first], [live], set(), NOW + 50)
    assert (first.unwanted, second.unwanted) == (NOW, NOW)
    (third,) = merge_runs([second], [live], {"a"}, NOW + 60)
    assert third.unwanted == 0.0


def test_limits_of_costs_are_none_unless_they_are_set() -> None:
    """Without limits and prices, runs cost nothing and nothing is refused."""
    assert CostLimits() == CostLimits(hourly=0.0, by_attempt=None, by_day=None, by_month=None)
    assert plan_runs(jobs(), facts("a"), HOUR).blocked == ""


def test_a_clock_that_was_set_back_holds_no_run_and_no_attempt() -> None:
    """A stored time that is a day in the future counts as long past; a few seconds in the future are tolerated."""
    ahead = NOW + DAY
    start = replace(run("a", "waiting", seen=0.0), known=ahead)
    assert merge_runs([start], [], {"a"}, NOW) == []
    assert merge_runs([replace(start, known=NOW + 5)], [], {"a"}, NOW) != []
    (lost,) = merge_runs([run("a", seen=ahead)], [], {"a"}, NOW)
    assert lost.stage == "lost"
    assert plan_runs(jobs(), facts("a", run("a", "failed", ended=ahead)), HOUR).launch == ("a",)
    assert plan_runs(jobs(), facts("a", run("a", "failed", ended=NOW + 5)), HOUR).launch == ()
    assert plan_runs(jobs(), facts("", run("a", unwanted=ahead)), HOUR).cancel
    assert plan_runs(jobs(), BackendFacts("a", [], NOW, refused=ahead), HOUR).launch == ("a",)
