"""The inbox of webhook deliveries in a real queue server: what it stores, what it counts, and errors of Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import RedisError

from bot.intake.deliveries import REQUESTS, DeliveryReading, DirtyMark
from bot.intake.inbox import RECEIVE, Delivery, Inbox, connect_inbox
from bot.intake.inbox_log import InboxLog, readable_body, replay_of
from redis_state.dirty import DirtyKeys, SyncPriority
from redis_state.keys import Keys
from redis_state.parking import ParkedSync, ParkedSyncs

KEYS = Keys("demo")
T = TypeVar("T")
COMMIT = DeliveryReading("requests", (DirtyMark(REQUESTS, SyncPriority.PERSON),), ("repo.content", "board/requests"))
NOTHING = DeliveryReading("irrelevant")


def delivery(name: str, size: int = 10, at: float = 100.0) -> Delivery:
    """A delivery with a body of `size` bytes."""
    return Delivery(name, b"x" * size, at)


def with_inbox(url: str, play: Callable[[Inbox], Awaitable[T]], **bounds: int) -> T:
    """Run `play` with an inbox, and return its result."""

    async def run() -> T:
        client = connect_inbox(url)
        try:
            return await play(Inbox(client, KEYS, **bounds))
        finally:
            await client.aclose()

    return asyncio.run(run())


def receive(url: str, deliveries: Sequence[Delivery], reading: DeliveryReading = COMMIT, **bounds: int) -> list[bool]:
    """Receive the deliveries concurrently, and return whether each was new."""

    async def play(inbox: Inbox) -> list[bool]:
        return list(await asyncio.gather(*(inbox.receive(post, reading) for post in deliveries)))

    return with_inbox(url, play, **bounds)


def names(connection: redis.Redis) -> list[str]:
    """Return the ids of the stored deliveries, oldest first."""
    return [stored.id for stored in InboxLog(connection, KEYS).newest()][::-1]


def counts(connection: redis.Redis) -> dict[str, int]:
    """Return the number of deliveries by verdict."""
    return InboxLog(connection, KEYS).counts()


def test_a_thousand_at_once_cost_a_few_calls(valkey_url: str, connection: redis.Redis) -> None:
    """The inbox stores 1,000 concurrent deliveries in at most ten calls of Redis, and marks their key once per call."""
    connection.config_resetstat()
    connection.config_resetstat()  # the server has served other tests
    assert all(receive(valkey_url, [delivery(f"d{n}", at=100.0 + n) for n in range(1_000)]))
    assert names(connection) == [f"d{n}" for n in range(1_000)]
    calls = connection.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert calls <= 10
    assert int(connection.hget(KEYS.dirty_generations, REQUESTS) or 0) <= calls
    assert connection.zrange(KEYS.dirty, 0, -1, withscores=True) == [(b"requests", 100.0)]
    assert counts(connection) == {"requests": 1_000}
    assert connection.hgetall(KEYS.webhook_quota) == {b"all repo.content 0 board/requests": b"1000"}


def test_the_same_delivery_twice_in_one_group_counts_once(valkey_url: str, connection: redis.Redis) -> None:
    """If one call of Redis holds the same delivery twice, the inbox stores it once and counts the other as repeated."""
    assert receive(valkey_url, [delivery("a"), delivery("a"), delivery("b")]) == [True, False, True]
    assert names(connection) == ["a", "b"]
    assert counts(connection) == {"requests": 2, "repeated": 1}
    assert connection.hgetall(KEYS.webhook_quota) == {b"all repo.content 0 board/requests": b"2"}


def test_one_delivery_is_one_round_trip(valkey_url: str, connection: redis.Redis) -> None:
    """Once Redis knows the script, storing a delivery takes one call."""
    receive(valkey_url, [delivery("first")])
    connection.config_resetstat()
    receive(valkey_url, [delivery("second")])
    called = {name for name in connection.info("commandstats") if name.startswith("cmdstat_eval")}
    assert called == {"cmdstat_evalsha"}
    assert connection.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_claims_outlive_the_retries_of_the_hub(valkey_url: str, connection: redis.Redis) -> None:
    """The inbox remembers the id of a delivery for more than a week, but at most eight days."""
    receive(valkey_url, [delivery("a")])
    assert 7 * 86_400 < connection.ttl(KEYS.delivery("a")) <= 8 * 86_400


def test_what_is_kept_is_bounded_in_number(valkey_url: str, connection: redis.Redis) -> None:
    """Above its limit the inbox drops the oldest deliveries, but still counts them and recognises their ids."""
    receive(valkey_url, [delivery(f"d{n}") for n in range(25)], max_deliveries=10)
    assert names(connection) == [f"d{n}" for n in range(15, 25)]
    assert counts(connection) == {"requests": 25}
    assert receive(valkey_url, [delivery("d3")], max_deliveries=10) == [False]
    assert InboxLog(connection, KEYS).is_known("d3")
    assert InboxLog(connection, KEYS).find("d3") is None


def test_what_is_kept_is_bounded_in_bytes(valkey_url: str, connection: redis.Redis) -> None:
    """The inbox drops the oldest deliveries to store a large one, and its record of the total size stays right."""
    receive(valkey_url, [delivery(f"d{n}", 1_000) for n in range(20)], NOTHING, max_bytes=10_000)
    assert names(connection) == [f"d{n}" for n in range(11, 20)]
    receive(valkey_url, [delivery("large", 7_500)], NOTHING, max_bytes=10_000)
    assert names(connection) == ["d18", "d19", "large"]
    number, size = InboxLog(connection, KEYS).size()
    assert size == sum(len(stored.id) + len(stored.body) for stored in InboxLog(connection, KEYS).newest()) <= 10_000
    assert number == connection.llen(KEYS.inbox_sizes)


def test_one_larger_than_all_that_may_be_kept_is_received_and_not_kept(
    valkey_url: str, connection: redis.Redis
) -> None:
    """A delivery larger than the whole inbox marks its keys, but its body is not stored."""
    receive(valkey_url, [delivery("small"), delivery("vast", 5_000)], max_bytes=1_000)
    assert names(connection) == []
    assert InboxLog(connection, KEYS).size() == (0, 0)
    assert connection.zrange(KEYS.dirty, 0, -1) == [b"requests"]


class DeafOnce:
    """Runs the script, but the first time raises an error instead of its answer, as on a cut connection."""

    def __init__(self, script: Any) -> None:
        self.script = script
        self.calls = 0

    async def __call__(self, **arguments: Any) -> Any:
        self.calls += 1
        answer = await self.script(**arguments)
        if self.calls == 1:
            raise RedisGone("the answer was lost")
        return answer


def test_a_group_that_is_sent_again_answers_as_the_first_time(valkey_url: str, connection: redis.Redis) -> None:
    """If the client repeats a call whose answer was lost, Redis stores nothing twice and gives the same answer."""
    client = redis.Redis.from_url(valkey_url)
    script = client.register_script(RECEIVE)
    keys = [KEYS.inbox, KEYS.inbox_sizes, KEYS.inbox_bytes, KEYS.inbox_counts, KEYS.webhook_quota]
    keys += [KEYS.dirty, KEYS.dirty_generations, KEYS.wake, KEYS.hub_state, KEYS.delivery("a"), KEYS.delivery("a")]
    arguments = ["a", "requests", 1.0, b"{}", b"0 requests", "", "all x", 0]
    for _ in range(2):
        assert script(keys=keys, args=[60, 10, 1_000, "w1", *arguments, *arguments]) == [1, 0]
    assert names(connection) == ["a"]
    assert connection.hget(KEYS.inbox_counts, "requests") == b"1"
    assert connection.hget(KEYS.dirty_generations, "requests") == b"1"
    assert script(keys=keys[:-1], args=[60, 10, 1_000, "w2", *arguments]) == [0]


def test_an_answer_that_was_lost_is_an_error_to_its_group_alone(valkey_url: str, connection: redis.Redis) -> None:
    """Only callers in a group with a lost answer get an error; the inbox stores the next delivery and recovers."""

    async def play(inbox: Inbox) -> None:
        inbox._receive = DeafOnce(inbox._receive)  # type: ignore[assignment]
        with pytest.raises(RedisError):
            await inbox.receive(delivery("a"), COMMIT)
        assert inbox.trouble == "ConnectionError"
        assert await inbox.receive(delivery("b"), COMMIT)
        assert await inbox.check() == ""
        assert not await inbox.receive(delivery("a"), COMMIT)  # the Hub sends it again: it had been stored

    with_inbox(valkey_url, play)
    assert names(connection) == ["a", "b"]


def test_redis_that_refuses_to_write_stores_nothing(valkey_url: str, connection: redis.Redis) -> None:
    """If Redis is out of memory, all deliveries get an error and none is stored in part; the next one is stored."""

    async def play(inbox: Inbox) -> None:
        before = connection.info("memory")["used_memory"]
        connection.config_set("maxmemory", before // 2)
        try:
            outcomes = await asyncio.gather(
                *(inbox.receive(delivery(f"d{n}"), COMMIT) for n in range(5)), return_exceptions=True
            )
        finally:
            connection.config_set("maxmemory", 0)
        assert all(isinstance(error, RedisError) for error in outcomes)
        assert "OutOfMemory" in inbox.trouble
        assert connection.dbsize() == 0
        assert await inbox.receive(delivery("d0"), COMMIT)

    with_inbox(valkey_url, play)


def test_after_amnesia_the_same_delivery_is_received_again(valkey_url: str, connection: redis.Redis) -> None:
    """After Redis lost everything, the script included, the inbox stores a known delivery as a new one."""

    async def play(inbox: Inbox) -> None:
        assert await inbox.receive(delivery("a"), COMMIT)
        connection.flushall()
        connection.script_flush()
        assert await inbox.receive(delivery("a"), COMMIT)

    with_inbox(valkey_url, play)
    assert names(connection) == ["a"]


def test_invalid_text_in_a_delivery_does_not_break_the_others_of_its_group(
    valkey_url: str, connection: redis.Redis
) -> None:
    """The inbox replaces a lone surrogate in a key or an author, and stores all deliveries of the same call."""
    strange = DeliveryReading("thread", (DirtyMark("thread:\ud800", SyncPriority.EVENT),), None, "\udfff")

    async def play(inbox: Inbox) -> list[bool]:
        return list(await asyncio.gather(inbox.receive(delivery("a"), strange), inbox.receive(delivery("b"), COMMIT)))

    assert with_inbox(valkey_url, play) == [True, True]
    assert connection.zrange(KEYS.dirty, 0, -1) == [b"requests", b"thread:?"]


@pytest.mark.parametrize(
    ("author", "verdict", "marked"),
    [("b0t", "own", []), ("person", "thread", [b"thread:1"]), ("", "thread", [b"thread:1"])],
)
def test_the_bots_own_comment_wakes_nobody(
    valkey_url: str, connection: redis.Redis, author: str, verdict: str, marked: list[bytes]
) -> None:
    """A delivery by the bot's own account is stored as `own` and marks no key; other authors' deliveries do."""
    connection.hset(KEYS.hub_state, "me", "b0t")
    receive(
        valkey_url,
        [delivery("a")],
        DeliveryReading("thread", (DirtyMark("thread:1", SyncPriority.PERSON),), None, author),
    )
    assert counts(connection) == {verdict: 1}
    assert connection.zrange(KEYS.dirty, 0, -1) == marked


def test_what_is_kept_is_read_back_whole(valkey_url: str, connection: redis.Redis) -> None:
    """A stored delivery is found by its id and its place, and listed newest first, page by page, also by verdict."""
    body = json.dumps({"a": "é\x00"}).encode() + b"\xff"
    receive(valkey_url, [Delivery("one", body, 12.5)])
    receive(valkey_url, [delivery(f"d{n}") for n in range(450)], NOTHING)
    log = InboxLog(connection, KEYS)
    stored = log.find("one")
    assert stored is not None
    assert (stored.body, stored.received, stored.verdict, stored.marks) == (body, 12.5, "requests", COMMIT.marks)
    assert log.find(stored.entry) == stored
    assert [stored.id for stored in log.newest()] == [f"d{n}" for n in range(449, -1, -1)] + ["one"]
    assert [stored.id for stored in log.newest(verdict="requests")] == ["one"]
    assert log.find("nobody") is None
    assert log.find("- +") is None


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"é": ["\\u202e", 1]}'.encode(), '{\n  "\\u00e9": [\n    "\\u202e",\n    1\n  ]\n}'),
        ("\x1b[2Jé\u202e\n".encode() + b"\xff", "\\x1b[2J\\xe9\\u202e\\n\\xff"),
        (b"[" * 5_000, "[" * 5_000),
        (b"[" * 90 + b"0," * 50_000 + b"0" + b"]" * 90, "[" * 90 + "0, " * 50_000 + "0" + "]" * 90),
    ],
    ids=["json", "bytes", "deep", "deep and wide"],
)
def test_a_body_is_readable_and_not_much_longer_than_it_is(body: bytes, shown: str) -> None:
    """JSON is indented unless that would make it a hundred times as long; anything else is escaped."""
    assert readable_body(body) == shown


def test_the_state_of_a_key_goes_from_waiting_to_done(valkey_url: str, connection: redis.Redis) -> None:
    """The log shows a key as waiting, in hand, failing, parked and done, as its syncs are claimed, fail and finish."""
    receive(valkey_url, [delivery("one")])
    log, dirty, parking = InboxLog(connection, KEYS), DirtyKeys(connection, KEYS), ParkedSyncs(connection, KEYS)
    assert log.key_states([REQUESTS]) == {REQUESTS: "waiting"}
    claim = dirty.claim(now=1_000, lease=60)
    assert claim is not None
    assert log.key_states([REQUESTS]) == {REQUESTS: "in hand"}
    connection.hincrby(KEYS.dirty_tries, REQUESTS, 1)
    dirty.finish(claim, retry_at=2_000)
    assert log.key_states([REQUESTS]) == {REQUESTS: "failing"}
    claim = dirty.claim(now=3_000, lease=60)
    assert claim is not None
    parking.park(ParkedSync(key=REQUESTS, error="no", tries=8, since=1.0))
    dirty.finish(claim)
    assert log.key_states([REQUESTS]) == {REQUESTS: "parked"}
    parking.wake(REQUESTS, now=4_000.0)
    assert log.key_states([REQUESTS]) == {REQUESTS: "waiting"}
    claim = dirty.claim(now=5_000, lease=60)
    assert claim is not None
    dirty.finish(claim)
    assert log.key_states([REQUESTS]) == {REQUESTS: "done"}


def test_a_replay_is_a_delivery_of_its_own(valkey_url: str, connection: redis.Redis) -> None:
    """The inbox stores a replayed delivery beside the first one, and marks its keys again."""
    receive(valkey_url, [delivery("one")])
    connection.delete(KEYS.dirty)
    stored = InboxLog(connection, KEYS).find("one")
    assert stored is not None
    assert receive(valkey_url, [replay_of(stored, now=7.0), replay_of(stored, now=8.0)]) == [True, True]
    assert connection.zrange(KEYS.dirty, 0, -1) == [b"requests"]
    assert len(names(connection)) == 3


def test_a_client_of_the_inbox_answers_within_seconds(valkey_url: str) -> None:
    """If no Redis listens, the inbox raises its error within five seconds, because the Hub waits for the answer."""

    async def play() -> float:
        client: AsyncRedis = connect_inbox("redis://127.0.0.1:1/0")
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(RedisError):
            await Inbox(client, KEYS).receive(delivery("a"), COMMIT)
        await client.aclose()
        return loop.time() - began

    assert asyncio.run(play()) < 5
