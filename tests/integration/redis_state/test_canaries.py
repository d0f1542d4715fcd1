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
    canaries.report("worker", VERDICT)
    assert (canaries.verdict(), canaries.verdict()) == (VERDICT, VERDICT)


def test_a_worker_whose_claim_has_expired_ends_no_other_workers_canary(canaries: Canaries) -> None:
    """It took longer than a claim lasts, and another worker runs the canary now: a third one would run it, too."""
    assert canaries.take("worker") == "cuda-oom"
    canaries.redis.delete(KEYS.canary_taken("starter"))
    assert canaries.take("other") == "cuda-oom"
    canaries.release("worker")
    assert not canaries.report("worker", VERDICT)
    assert canaries.verdict() is None
    assert canaries.take("third") is None
    assert canaries.report("other", VERDICT)
    assert canaries.verdict() == VERDICT


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_late_verdict_counts_until_another_worker_has_reported(canaries: Canaries, has_ended: bool) -> None:
    """A canary of another worker that passed clears the cause: an earlier one that died late would pause the suite."""
    assert canaries.take("worker") == "cuda-oom"
    canaries.redis.delete(KEYS.canary_taken("starter"))
    if has_ended:
        assert canaries.take("other") == "cuda-oom"
        assert canaries.report("other", VERDICT)
        canaries.settle("cuda-oom", now=1.0)
    assert canaries.report("worker", VERDICT) is not has_ended
    assert (canaries.verdict() == VERDICT) is not has_ended
    assert not canaries.redis.exists(KEYS.canary_taken("starter"))


def test_a_verdict_that_replaces_a_malformed_one_while_it_is_read_stays(
    canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker reports between the bot's read and its removal of the malformed one."""
    assert canaries.take("worker") == "cuda-oom"
    canaries.redis.hset(KEYS.canary("starter"), "verdict", MALFORMED)
    read = canaries.redis.hget

    def read_then_report(name: str, key: str) -> object:
        stored = read(name, key)
        canaries.report("worker", VERDICT)
        return stored

    with monkeypatch.context() as patched:
        patched.setattr(canaries.redis, "hget", read_then_report)
        assert canaries.verdict() is None
    assert canaries.verdict() == VERDICT
