"""Injected faults of calls to localhub and of its webhook deliveries."""

import asyncio

import pytest

from localhub.controls.faults import FaultRule, Faults
from localhub.webhooks.deliveries import DeliveryPolicy


@pytest.mark.parametrize(
    ("route", "method", "path", "fits"),
    [
        ("POST /api/datasets/*/commit/*", "POST", "/api/datasets/a/b/commit/main", True),
        ("post /api/datasets/*/commit/*", "POST", "/api/datasets/a/b/commit/refs/pr/1", True),
        ("POST /api/datasets/*/commit/*", "GET", "/api/datasets/a/b/commit/main", False),
        ("/api/whoami-v2", "GET", "/api/whoami-v2", True),
        ("GET /a b/*", "GET", "/a b/c", True),
        ("/a b", "GET", "/a b", True),
        ("GET /api/[ab]", "GET", "/api/c", False),
    ],
)
def test_which_calls_a_rule_hits(route: str, method: str, path: str, fits: bool) -> None:
    """A rule's pattern has an optional method, and a path in which `*` also matches slashes."""
    assert FaultRule(route=route, kind="fail").matches(method, path) is fits


def test_rules_are_used_up_in_order() -> None:
    """The first matching rule applies as often as its `times` says, then the next one; without `times` it is kept."""
    faults = Faults()
    faults.fail("/x", times=2, status=503)
    lasting = faults.fail("/*", times=None, status=500)
    taken = [faults.take("GET", "/x") for _ in range(4)]
    assert [rule.status for rule in taken if rule] == [503, 503, 500, 500]
    assert faults.remove(lasting.id) and not faults.remove(lasting.id)
    assert faults.take("GET", "/x") is None


def test_faults_of_deliveries_are_counted_down() -> None:
    """One delivery is dropped, one is sent twice and late, then all are sent normally."""
    faults = Faults().webhooks
    faults.set(drop=1, double=1, delay=1, seconds=2.5, shuffle=2)
    fates = [faults.next_fault() for _ in range(4)]
    assert [(fate.copies, fate.seconds) for fate in fates] == [(0, 0.0), (2, 2.5), (1, 0.0), (1, 0.0)]
    assert [fate.shuffled for fate in fates] == [False, True, True, False]
    assert [fate.last_of_shuffle for fate in fates] == [False, False, True, False]


def test_a_hanging_call_is_let_go() -> None:
    """Clearing the faults releases hanging calls."""

    async def hang() -> None:
        faults = Faults()
        held = asyncio.create_task(faults.hold(0, lambda: False))
        await asyncio.sleep(0)
        assert not held.done()
        faults.clear()
        await asyncio.wait_for(held, 5)

    asyncio.run(hang())


def test_pauses_double_up_to_the_longest() -> None:
    """The pauses between tries of a delivery double, up to the longest that the policy allows."""
    policy = DeliveryPolicy(first_wait=1, longest_wait=5)
    assert [policy.wait(tries) for tries in (1, 2, 3, 4, 10_000)] == [1, 2, 4, 5, 5]
