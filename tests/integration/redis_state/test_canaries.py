"""The verdicts of workers on canaries: evaluations of a model that is known to work, for which the bot asks."""

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
    """Once a malformed verdict was read, a worker can take the canary again."""
    canaries.redis.hset(KEYS.canary("starter"), "verdict", MALFORMED)
    assert canaries.take("worker") is None
    assert canaries.verdict() is None
    assert canaries.take("worker") == "cuda-oom"


def test_a_verdict_stays_until_it_is_settled(canaries: Canaries) -> None:
    """A verdict can be read repeatedly until it is settled, so that a sync may end before it has acted on it."""
    canaries.report("worker", VERDICT)
    assert (canaries.verdict(), canaries.verdict()) == (VERDICT, VERDICT)


def test_a_worker_whose_claim_has_expired_ends_no_other_workers_canary(canaries: Canaries) -> None:
    """A worker whose claim on the canary expired cannot end the claim of the worker that runs it now."""
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
    """A verdict of a worker whose claim expired counts until another worker has reported a verdict that is settled."""
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
    """If a worker reports while the bot reads and removes a malformed verdict, the new verdict stays."""
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
