"""Dirty marks on a real server: nothing lost, one sync per key, people first."""

from __future__ import annotations

import threading

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from redis_state.dirty import DirtyKeys, SyncLease, SyncPriority
from redis_state.keys import Keys

NOW = 1_000_000.0


@pytest.fixture
def dirty(connection: redis.Redis) -> DirtyKeys:
    """The dirty keys of a board."""
    return DirtyKeys(connection, Keys("demo"))


def take(dirty: DirtyKeys, lease: float = 60, now: float = NOW) -> SyncLease:
    """Claim a key that must be there."""
    claim = dirty.claim(now=now, lease=lease)
    assert claim is not None
    return claim


def test_a_burst_costs_two_syncs(dirty: DirtyKeys) -> None:
    """A thousand marks while a sync runs lead to one more sync, and then to none."""
    dirty.mark("a", due=NOW)
    claim = take(dirty)
    for _ in range(1_000):
        dirty.mark("a", due=NOW)
    assert dirty.claim(now=NOW, lease=60) is None  # one sync per key
    dirty.finish(claim)
    dirty.finish(take(dirty))
    assert dirty.claim(now=NOW, lease=60) is None
    assert len(dirty) == 0


def test_a_finished_key_leaves_nothing_behind(dirty: DirtyKeys, connection: redis.Redis) -> None:
    """After the last sync of a key, Redis holds no trace of it but the tokens that wake waiting processes."""
    dirty.mark("a", due=NOW)
    dirty.finish(take(dirty))
    assert [key for key in connection.scan_iter() if b"wake" not in key] == []


def test_tokens_that_wake_do_not_pile_up(dirty: DirtyKeys, connection: redis.Redis) -> None:
    """The list of wake-up tokens is bounded."""
    dirty.mark("a", due=NOW)
    for _ in range(100):
        claim = take(dirty)
        dirty.mark("a", due=NOW)
        dirty.finish(claim)
        dirty.hasten(["a"], due=NOW)
    assert connection.llen(dirty.keys.wake) <= 64


def test_each_way_to_wake_adds_a_token_below_the_bound_alone(dirty: DirtyKeys, connection: redis.Redis) -> None:
    """A mark, a hastened key and the end of a sync that was overtaken by a mark add the 64th token, and no 65th."""

    def finish() -> None:
        dirty.mark("a", due=NOW)
        claim = take(dirty)
        dirty.mark("a", due=NOW)
        connection.ltrim(dirty.keys.wake, 0, count - 1)
        dirty.finish(claim)

    for count, expected in ((63, 64), (64, 64)):
        for wake in (lambda: dirty.mark("a", due=NOW), lambda: dirty.hasten(["a"], due=NOW), finish):
            connection.delete(dirty.keys.wake)
            connection.lpush(dirty.keys.wake, *["1"] * count)
            wake()
            assert connection.llen(dirty.keys.wake) == expected
        dirty.finish(take(dirty))


def test_people_go_first_then_the_oldest(dirty: DirtyKeys) -> None:
    """A key that a person waits for overtakes background keys; within a priority the oldest mark counts."""
    dirty.mark("background", due=NOW - 100, priority=SyncPriority.BACKGROUND)
    dirty.mark("young", due=NOW - 1)
    dirty.mark("old", due=NOW - 50)
    dirty.mark("young", due=NOW)
    dirty.mark("person", due=NOW, priority=SyncPriority.PERSON)
    assert [take(dirty).key for _ in range(4)] == ["person", "old", "young", "background"]


def test_a_later_mark_can_raise_the_priority_but_not_lower_it(dirty: DirtyKeys) -> None:
    """A mark with a higher priority raises that of a dirty key; a later mark with a lower one does not lower it."""
    dirty.mark("a", due=NOW, priority=SyncPriority.BACKGROUND)
    dirty.mark("b", due=NOW - 10, priority=SyncPriority.EVENT)
    dirty.mark("a", due=NOW, priority=SyncPriority.PERSON)
    dirty.mark("a", due=NOW, priority=SyncPriority.BACKGROUND)
    assert take(dirty).key == "a"


def test_a_failed_sync_comes_due_again_later(dirty: DirtyKeys) -> None:
    """A key to be retried later cannot be claimed before, blocks no other key, and is not lost."""
    dirty.mark("a", due=NOW)
    dirty.mark("b", due=NOW + 1)
    dirty.finish(take(dirty), retry_at=NOW + 30)
    assert take(dirty, now=NOW + 2).key == "b"
    assert dirty.claim(now=NOW + 29, lease=60) is None
    assert take(dirty, now=NOW + 31).key == "a"


def test_a_mark_wakes_what_waits_with_a_higher_priority(dirty: DirtyKeys) -> None:
    """An event advances a key that a person waits for, and keeps its priority; a background mark does not."""
    dirty.mark("k", due=NOW, priority=SyncPriority.PERSON)
    dirty.finish(take(dirty), retry_at=NOW + 600)
    assert dirty.claim(now=NOW + 2, lease=60) is None
    dirty.mark("k", due=NOW + 1, priority=SyncPriority.BACKGROUND)
    assert dirty.claim(now=NOW + 2, lease=60) is None
    dirty.mark("k", due=NOW + 1, priority=SyncPriority.EVENT)
    claim = dirty.claim(now=NOW + 2, lease=60)
    assert claim is not None and claim.priority is SyncPriority.PERSON


def test_a_mark_during_a_sync_is_not_put_off_by_it(dirty: DirtyKeys) -> None:
    """A mark during a sync is due at once, even if the sync is retried later; after a failure it waits."""
    dirty.mark("k", due=NOW)
    first = take(dirty)
    dirty.mark("k", due=NOW)
    dirty.finish(first, retry_at=NOW + 600)
    second = take(dirty)
    dirty.mark("k", due=NOW)
    dirty.finish(second, retry_at=NOW + 600, failed=True)
    assert dirty.claim(now=NOW + 2, lease=60) is None


def test_who_lost_the_lease_cannot_finish_for_the_next(dirty: DirtyKeys) -> None:
    """After its lease expired and another process holds the key, a sync cannot finish it."""
    dirty.mark("a", due=NOW)
    first = take(dirty, lease=0)
    second = take(dirty)
    dirty.finish(first)
    assert len(dirty) == 1
    dirty.finish(second)
    assert len(dirty) == 0


def test_only_the_holder_renews_a_lease(dirty: DirtyKeys) -> None:
    """A renewed lease keeps the key; a sync that lost the lease, or finished the key, renews nothing."""
    dirty.mark("a", due=NOW)
    first = take(dirty, lease=0)
    second = take(dirty, lease=0)
    assert not dirty.renew(first, lease=60)
    assert dirty.renew(second, lease=60)
    assert dirty.claim(now=NOW, lease=60) is None
    assert dirty.finish(second)
    assert not dirty.renew(second, lease=60)
    dirty.mark("a", due=NOW)
    assert take(dirty).key == "a"


def test_hastening_advances_dirty_keys_and_marks_no_other(dirty: DirtyKeys) -> None:
    """A hastened key is due at the given time with the priority that it had; one that is due earlier stays so."""
    dirty.mark("later", due=NOW + 600, priority=SyncPriority.PERSON)
    dirty.mark("earlier", due=NOW - 10)
    dirty.hasten(["later", "earlier", "clean"], due=NOW)
    assert len(dirty) == 2
    assert take(dirty, now=NOW - 5).key == "earlier"
    assert dirty.claim(now=NOW - 5, lease=60) is None
    claim = take(dirty)
    assert (claim.key, claim.priority) == ("later", SyncPriority.PERSON)


def test_each_key_that_becomes_due_wakes_a_process(dirty: DirtyKeys, connection: redis.Redis) -> None:
    """A mark, a hastened key and a key that was marked during its sync leave a token that wakes; an end leaves none."""

    def tokens() -> int:
        count = connection.llen(dirty.keys.wake)
        connection.delete(dirty.keys.wake)
        return count

    dirty.mark("a", due=NOW + 600)
    assert tokens() == 1
    dirty.hasten(["a"], due=NOW)
    assert tokens() == 1
    claim = take(dirty)
    dirty.mark("a", due=NOW)
    assert tokens() == 1
    dirty.finish(claim)
    assert tokens() == 1
    dirty.finish(take(dirty))
    assert tokens() == 0


def test_many_held_keys_do_not_hide_a_free_one(dirty: DirtyKeys) -> None:
    """If syncs hold 200 keys, a claim still finds the only free one."""
    for n in range(200):
        dirty.mark(f"held{n:03}", due=NOW - 10)
        take(dirty)
    dirty.mark("free", due=NOW)
    assert take(dirty).key == "free"


def test_waiting_ends_with_a_mark(dirty: DirtyKeys) -> None:
    """A process that waits is woken by a mark, long before its own time is up."""
    woken = threading.Event()
    waiter = threading.Thread(target=lambda: (dirty.wait(30), woken.set()))
    waiter.start()
    dirty.mark("a", due=NOW)
    assert woken.wait(5)
    waiter.join()


KEYS = st.sampled_from(["a", "b", "c"])


class DirtyMachine(RuleBasedStateMachine):
    """Marks, claims and ends in any order: a key marked after its last sync began is never lost."""

    connection: redis.Redis

    @initialize()
    def empty(self) -> None:
        """Begin with nothing marked."""
        self.connection.flushall()
        self.dirty = DirtyKeys(self.connection, Keys("demo"))
        self.owed: set[str] = set()
        self.held: dict[str, tuple[SyncLease, bool]] = {}

    @rule(key=KEYS, priority=st.sampled_from(SyncPriority))
    def mark(self, key: str, priority: SyncPriority) -> None:
        """Mark a key; a running sync of it has not seen this mark."""
        self.dirty.mark(key, due=NOW, priority=priority)
        if key in self.held:
            self.held[key] = (self.held[key][0], True)
        self.owed.add(key)

    @rule()
    def claim(self) -> None:
        """A sync process claims a key."""
        claim = self.dirty.claim(now=NOW, lease=600)
        free = self.owed - self.held.keys()
        assert (claim is not None) == bool(free)
        if claim is not None:
            assert claim.key in free
            self.held[claim.key] = (claim, False)

    @rule(key=KEYS)
    def finish(self, key: str) -> None:
        """A sync ends well."""
        if key in self.held:
            claim, again = self.held.pop(key)
            self.dirty.finish(claim)
            if not again:
                self.owed.discard(key)

    @rule(key=KEYS)
    def fail(self, key: str) -> None:
        """A sync fails and is retried at once."""
        if key in self.held:
            claim, _ = self.held.pop(key)
            self.dirty.finish(claim, retry_at=NOW)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Redis holds exactly the keys that are owed a sync."""
        if hasattr(self, "owed"):
            assert len(self.dirty) == len(self.owed)


def test_no_wake_up_is_lost(connection: redis.Redis) -> None:
    """For any order of marks, claims, ends and failures, exactly the keys that need a sync stay dirty."""
    DirtyMachine.connection = connection
    machine = DirtyMachine.TestCase()
    machine.settings = settings(
        max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    machine.runTest()
