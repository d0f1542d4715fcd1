"""The digests of what evaluations of a suite may ask, in a real Redis."""

from __future__ import annotations

import pytest
import redis

from leaderboard.result_digests import AskedParts, DigestParts, ResultDigests, ScoredParts, TaskDigests, combine
from leaderboard.suites import find_suite
from redis_state.accepted_digests import AcceptedDigests, RefusedTasks
from redis_state.keys import Keys
from steward.valkey import Valkey

SUITE = find_suite("starter")


def digests(requests: str = "a") -> ResultDigests:
    """The digests of a result."""
    asked = AskedParts(requests=requests * 64, documents="b" * 64, questions=1)
    scored = ScoredParts(metrics="0" * 16, filters="0" * 16, targets="0" * 16)
    return combine(DigestParts(tasks={"t": TaskDigests(asked=asked, scored=scored)}), SUITE)


@pytest.fixture
def accepted(valkey: Valkey) -> AcceptedDigests:
    """The accepted digests of a suite: none yet."""
    connection = redis.Redis.from_url(valkey.url)
    connection.flushdb()
    return AcceptedDigests(connection, Keys("trial"), SUITE.digest)


def test_a_published_result_is_accepted_and_compared_with(accepted: AcceptedDigests) -> None:
    """The digests of all published results are accepted, and those of the last result are the reference."""
    assert (accepted.read().fingerprints, accepted.read().reference) == (frozenset(), None)
    for result in (digests("a"), digests("c")):
        accepted.note(result)
    accepted.note_all([])
    assert accepted.read().fingerprints == {digests("a").fingerprint, digests("c").fingerprint}
    assert accepted.read().reference == digests("c")


def test_a_worker_waits_until_its_tasks_are_accepted(accepted: AcceptedDigests) -> None:
    """Only the worker that was refused waits, and only until the operator accepts what it asks."""
    assert not accepted.must_wait("w1")
    refused = RefusedTasks(worker="w1", fingerprint=digests("d").fingerprint, differences=("t: other requests",), at=1)
    accepted.refuse(refused)
    assert accepted.must_wait("w1")
    assert not accepted.must_wait("w2")
    assert accepted.waiting() == [refused]
    accepted.accept(digests("e").fingerprint)
    assert accepted.must_wait("w1")
    accepted.accept(refused.fingerprint)
    assert not accepted.must_wait("w1")
    assert accepted.waiting() == []


def test_what_cannot_be_read_holds_no_worker_back(accepted: AcceptedDigests) -> None:
    """Malformed entries in Redis count as absent: no worker waits for them, and there is no reference."""
    key = Keys("trial").accepted_digests(SUITE.digest)
    accepted.redis.hset(key, mapping={"refused:w1": "{", "reference": "[]"})
    assert not accepted.must_wait("w1")
    assert accepted.waiting() == []
    assert accepted.read().reference is None
