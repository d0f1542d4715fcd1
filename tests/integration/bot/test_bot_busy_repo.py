"""A repo to which people commit much: what they take of its hour is not taken twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from ledger_kit import RESULTS, WORLD, Bench

from hub.budget import HOUR, REPO_HOUR
from localhub.testing import LocalHub
from wire.echoes import field


@pytest.fixture
def bench(tmp_path: Path, connection: redis.Redis) -> Iterator[Bench]:
    """Ledgers on a Hub with two shared repos, at the beginning of an hour."""
    with LocalHub(tmp_path, WORLD) as hub:
        made = Bench(hub.url, connection, time=2e9 - 2e9 % HOUR)
        yield made
        made.hub.close()


def came_in(bench: Bench, deliveries: int) -> None:
    """So many deliveries tell of commits to the results repo."""
    bench.redis.hincrby(bench.keys.echoes, field("all", "repo.content", RESULTS.id, now=bench.time), deliveries)


def commits_within_an_hour(bench: Bench) -> int:
    """How many we make while somebody wants one every minute, and each comes back as a delivery."""
    before = made = len(bench.titles(RESULTS))
    for number in range(59):
        bench.ledgers.stage(RESULTS, bench.result(f"r{number}"))
        bench.ledgers.sync(RESULTS.id)
        now = len(bench.titles(RESULTS))
        came_in(bench, now - made)
        made = now
        bench.time += 60
    return made - before


def test_a_busy_hour_of_others_leaves_fewer_commits_to_us(bench: Bench) -> None:
    """Deliveries that no commit of ours caused are commits of others: with ours they stay below the Hub's limit."""
    came_in(bench, 105)
    ours = commits_within_an_hour(bench)
    assert 5 <= ours <= REPO_HOUR - 105


def test_our_own_commits_come_back_and_are_not_held_against_us(bench: Bench) -> None:
    """A delivery for each commit of ours is an echo, not somebody else's commit; an old hour fades away."""
    echoes = bench.ledgers.echoes
    for _ in range(40):
        echoes.caused("repo.content", RESULTS.id, now=bench.time)
    came_in(bench, 40)
    assert echoes.of_others("repo.content", RESULTS.id, now=bench.time) == 0
    came_in(bench, 20)
    fading = [echoes.of_others("repo.content", RESULTS.id, now=bench.time + n * HOUR) for n in (0, 0.5, 1, 1.5, 2)]
    assert fading == [20, 20, 20, 10, 0]
