"""The verdict of a canary that a worker reported."""

from __future__ import annotations

import pytest
import redis

from redis_state.canaries import Canaries, CanaryVerdict
from redis_state.keys import Keys

KEYS = Keys("board")
MALFORMED = '{"cause": "Not a cause!"}'
VERDICT = CanaryVerdict(cause="cuda-oom", worker="worker")


@pytest.fixture
def canaries(connection: redis.Redis) -> Canaries:
    """The canary of a suite, which the bot asked for."""
    canaries = Canaries(connection, KEYS, "starter")
    canaries.ask("cuda-oom")
    return canaries


def test_a_malformed_verdict_does_not_keep_other_workers_from_the_canary(canaries: Canaries) -> None:
    """Until the hash expired, a week later, no canary ran and no outbreak paused the suite."""
    canaries.redis.hset(KEYS.canary("starter"), "verdict", MALFORMED)
    assert canaries.take("worker") is None
    assert canaries.verdict() is None
    assert canaries.take("worker") == "cuda-oom"


def test_a_verdict_stays_until_it_is_settled(canaries: Canaries) -> None:
    """A sync that dies before it acted reads it again."""
    canaries.report(VERDICT)
    assert (canaries.verdict(), canaries.verdict()) == (VERDICT, VERDICT)


def test_a_verdict_that_replaces_a_malformed_one_while_it_is_read_stays(
    canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker reports between the bot's read and its removal of the malformed one."""
    canaries.redis.hset(KEYS.canary("starter"), "verdict", MALFORMED)
    read = canaries.redis.hget

    def read_then_report(name: str, key: str) -> object:
        stored = read(name, key)
        canaries.report(VERDICT)
        return stored

    with monkeypatch.context() as patched:
        patched.setattr(canaries.redis, "hget", read_then_report)
        assert canaries.verdict() is None
    assert canaries.verdict() == VERDICT
