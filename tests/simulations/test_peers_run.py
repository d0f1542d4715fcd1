"""Ways of running a leaderboard, side by side: `simulations.peers` with three submissions of a minute each."""

from __future__ import annotations

from argparse import Namespace

import pytest

from simulations.peers.__main__ import measure
from simulations.peers.report import table
from simulations.peers.scenario import Fate, Scenario, Submission

pytestmark = pytest.mark.long("simulates a board under each way of running it")
FATES: tuple[Fate, ...] = ("good", "broken", "unlucky")
OPTIONS = Namespace(seed=1, hours=0.1, load=0.6, no_faults=False)


def test_peers_play_the_same_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each system has its figures; Steward fails the broken model and scores the others, one after a first failure."""
    three = tuple(Submission(n, f"org/model-{n}", "float16", 60.0 * n, 60.0, fate) for n, fate in enumerate(FATES))
    day = Scenario(machines=2, hours=0.1, submissions=three, outage=(90.0, 100.0), deaths=())
    monkeypatch.setattr("simulations.peers.scenario.scenario", lambda **_: day)
    report = measure(2, OPTIONS)
    peers = report["peers"]
    assert set(peers) == {"steward", "template", "cluster", "bare queue"}
    assert all(peer["submissions"] == 3 and peer["tries"] >= 3 for peer in peers.values())
    steward = peers["steward"]
    assert (steward["scored"], steward["finished"], steward["failed"]) == (2, 2, 1)
    wrong = ("wrongly_failed", "wrongly_finished", "silent_ends", "without_end", "evaluated_twice")
    assert {name: steward[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert "never ended" in table(report)
