"""The verdict of a canary that a worker reported."""

from __future__ import annotations

from typing import Any, cast

from redis_state.canaries import Canaries, CanaryVerdict
from redis_state.keys import Keys


class CanaryHash:
    """One hash of Redis, in which a canary is asked for."""

    def __init__(self, verdict: str) -> None:
        self.fields = {"asked": b"cuda-oom", "verdict": verdict.encode()}

    def hget(self, _: str, name: str) -> bytes | None:
        return self.fields.get(name)

    def hdel(self, _: str, name: str) -> None:
        del self.fields[name]

    def hmget(self, _: str, names: list[str]) -> list[bytes | None]:
        return [self.fields.get(name) for name in names]

    def set(self, *_: object, **__: object) -> bool:
        return True


def test_a_malformed_verdict_does_not_keep_other_workers_from_the_canary() -> None:
    """Until the hash expired, a week later, no canary ran and no outbreak paused the suite."""
    canaries = Canaries(cast(Any, CanaryHash('{"cause": "Not a cause!"}')), Keys("board"), "starter")
    assert canaries.take("worker") is None
    assert canaries.verdict() is None
    assert canaries.take("worker") == "cuda-oom"


def test_a_verdict_stays_until_it_is_settled() -> None:
    """A sync that dies before it acted reads it again."""
    verdict = CanaryVerdict(cause="cuda-oom", worker="worker")
    canaries = Canaries(cast(Any, CanaryHash(verdict.model_dump_json())), Keys("board"), "starter")
    assert (canaries.verdict(), canaries.verdict()) == (verdict, verdict)
