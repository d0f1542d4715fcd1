"""The comparison of leaderboard systems in `simulations.peers`: its seeded day, its timetable and its figures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from localhub.clock import Clock
from simulations.peers.environment import EPOCH, Activity, Environment, EvaluationTry, Machines, Timetable
from simulations.peers.hub_observer import BoardObservations
from simulations.peers.metrics import figures, quantile
from simulations.peers.scenario import HOUR, REPAIR, Scenario, Submission, scenario

pytestmark = pytest.mark.long("a part of a simulation, which is no part of Steward")
GOOD = Submission(0, "org/good", "float16", 0.0, 600.0, "good")
BROKEN = Submission(1, "org/broken", "float16", 60.0, 600.0, "broken")
UNLUCKY = Submission(2, "org/unlucky", "float16", 120.0, 600.0, "unlucky")


def day(*submissions: Submission, deaths: tuple[int, ...] = ()) -> Scenario:
    """Return a day with these submissions, and with these deaths of machines."""
    return Scenario(machines=1, hours=1.0, submissions=submissions, outage=(0.0, 0.0), deaths=deaths)


def test_a_seed_decides_everything_and_the_load_is_kept() -> None:
    """The same seed gives the same day, another seed another one, with about the requested load."""
    first, again, other = (scenario(seed=seed, machines=4, hours=24, load=0.6) for seed in (1, 1, 2))
    assert first == again != other
    needed = sum(submission.seconds for submission in first.submissions)
    assert 0.4 < needed / (4 * 24 * HOUR) < 0.8
    assert len({submission.path for submission in first.submissions}) == len(first.submissions)
    assert {submission.fate for submission in first.submissions} == {"good", "broken", "unlucky"}


def test_activities_continue_in_the_order_of_their_times() -> None:
    """Two simulated activities continue in the order of the times for which they wait."""
    order = list[str]()

    def activity(name: str, wait: float) -> Activity:
        for number in range(2):
            order.append(f"{name}{number}")
            yield wait

    table = Timetable()
    table.add(activity("a", 10.0), 0.0)
    table.add(activity("b", 3.0), 5.0)
    assert not table.continue_due(-1.0)
    while table.next_moment() < 100.0:
        table.continue_due(table.next_moment())
    assert order == ["a0", "b0", "b1", "a1"]


class Slow:
    """A peer whose last request ends so many seconds after the beginning."""

    def __init__(self, environment: Environment, name: str, seconds: float) -> None:
        self.environment, self.name, self.board, self.accounts = environment, name, name, (name,)
        self.moments = [EPOCH + 10.0, EPOCH + seconds]

    def next_moment(self) -> float:
        return next((moment for moment in self.moments if moment > self.environment.now), EPOCH * 2)

    def act(self) -> None:
        """Nothing but time passes."""

    def has_ended(self) -> bool:
        return self.environment.now >= self.moments[-1]

    def close(self) -> None:
        """Nothing is open."""


def test_a_peer_that_takes_longer_than_the_day_is_waited_for() -> None:
    """A peer is done at the end of the hours at the earliest, or later, when its last request ends."""
    faults = SimpleNamespace(fail=lambda *_, **__: SimpleNamespace(id="x"), remove=lambda _: True)
    stats = SimpleNamespace(read=lambda: {"calls": [{"account": "late", "count": 7}]})
    hub = SimpleNamespace(state=SimpleNamespace(clock=Clock(f"{EPOCH},0"), faults=faults, stats=stats))
    environment = Environment(hub, day(GOOD))
    ended = environment.play([Slow(environment, "soon", 60.0), Slow(environment, "late", 2 * HOUR)], iter(()))
    assert ended == {"soon": (EPOCH + HOUR, 0), "late": (EPOCH + 2 * HOUR, 7)}


def test_machines_end_evaluations_as_the_day_says() -> None:
    """A machine is killed once for each death, an unlucky evaluation has one full disk, and broken stays broken."""
    machines = Machines(day(GOOD, BROKEN, UNLUCKY, deaths=(UNLUCKY.number,)))
    assert machines.begin(GOOD, EPOCH + 50.0).ending == "well"
    killed = machines.begin(UNLUCKY, EPOCH + 150.0)
    assert (killed.ending, killed.seconds, killed.repair) == ("killed", 300.0, REPAIR)
    assert [machines.begin(UNLUCKY, EPOCH + at).ending for at in (700.0, 900.0)] == ["disk full", "well"]
    assert [machines.begin(BROKEN, EPOCH + at).ending for at in (1500.0, 1800.0)] == ["broken", "broken"]


@pytest.mark.parametrize(
    ("machine", "seconds"),
    [("a", 600.0 * 0.54), ("b", 600.0), (None, 600.0)],
    ids=["on the same machine", "on another one, minutes later", "without journals"],
)
def test_an_evaluation_goes_on_where_its_machine_was_killed(machine: str | None, seconds: float) -> None:
    """After a kill the same machine computes little more than the missing half, another machine everything."""
    machines = Machines(day(GOOD, deaths=(GOOD.number,)))
    assert machines.begin(GOOD, EPOCH, None if machine is None else "a").seconds == 300.0
    assert machines.begin(GOOD, EPOCH + 900.0, machine).seconds == pytest.approx(seconds)
    report = figures(None, machines, [])
    assert report["repeated_hours"] == round(seconds / 3600, 1)


def test_uploaded_answers_are_used_on_any_machine() -> None:
    """After a kill half-way through a long evaluation another machine reuses the answers that were uploaded."""
    long = replace(GOOD, seconds=4_000.0)
    machines = Machines(day(long, deaths=(long.number,)))
    assert machines.begin(long, EPOCH, "a").seconds == 2_000.0
    assert machines.begin(long, EPOCH + 3_000.0, "b").seconds == pytest.approx(4_000.0 * 1.04 - 1_800.0)


def test_without_faults_the_same_submissions_all_succeed() -> None:
    """A day without faults has the same submissions, which all succeed, and no outage or deaths."""
    usual, calm = (scenario(seed=1, machines=1, hours=24, load=0.6, faults=faults) for faults in (True, False))
    assert calm.submissions == tuple(replace(submission, fate="good") for submission in usual.submissions)
    assert (calm.outage, calm.deaths) == (None, ())
    assert len(usual.deaths) == 2


def test_what_went_wrong_is_counted_by_what_people_can_see() -> None:
    """A good request that failed without a reason is wrong and silent; a broken one with a reason is neither."""
    machines, observed = Machines(day(GOOD, BROKEN, UNLUCKY)), BoardObservations()
    machines.tries += [EvaluationTry(GOOD, EPOCH, 600.0, "well"), EvaluationTry(GOOD, EPOCH + 60, 600.0, "well")]
    for request, ends in ((GOOD, ["FAILED"]), (BROKEN, ["FAILED"]), (UNLUCKY, ["FAILED", "RERUN", "FINISHED"])):
        observed.statuses[request.path] = [(EPOCH + 100.0 * at, status) for at, status in enumerate(["PENDING", *ends])]
        observed.files[request.path] = {"status": ends[-1]}
    observed.files[BROKEN.path]["steward"] = {"failure": {"message": "The weights are cut off."}}
    report = figures(observed, machines, ["A thread about something else"])
    assert {name: report[name] for name in ("wrongly_failed", "wrongly_finished", "silent_ends")} == {
        "wrongly_failed": 1,
        "wrongly_finished": 1,  # no evaluation of it gave scores
        "silent_ends": 1,
    }
    assert (report["evaluated_twice"], report["changed_its_mind"], report["without_end"]) == (1, 1, 0)
    assert report["to_right_end"] == [40.0]
    assert figures(observed, machines, [f"About {GOOD.path}"])["silent_ends"] == 0
    assert (quantile([], 0.5), quantile([3.0], 0.5), quantile([1.0, 2.0, 3.0], 0.5)) == (None, 3.0, 2.0)
