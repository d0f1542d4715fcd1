"""The sync loop and a queue server that refuses writes, or holds malformed data."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
import structlog

from bot.processes.sync_loop import LAST_TRY
from hub.errors import BadRequest
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.board.scripted_loop import KEY, ScriptedLoop, failing, scripted_loop, tries


@pytest.fixture
def loop(connection: redis.Redis) -> Iterator[ScriptedLoop]:
    """A loop with its own clock, whose Hub is not reachable."""
    with scripted_loop(connection) as scripted:
        yield scripted


def test_waking_loses_nothing_where_redis_is_full(loop: ScriptedLoop, connection: redis.Redis) -> None:
    """If Redis is out of memory while a parked key is woken, the key is dirty or still parked afterwards."""
    loop.handler = failing(BadRequest("no"))
    loop.context.mark(KEY)
    tries(loop, LAST_TRY)
    connection.config_set("maxmemory", 1)
    try:
        with contextlib.suppress(redis.ResponseError):
            loop.context.parking.wake(KEY, now=loop.context.now())
    finally:
        connection.config_set("maxmemory", 0)
    assert len(loop.context.dirty) + len(loop.context.parking.all()) == 1


def test_a_queue_server_that_refuses_to_write_is_waited_for(loop: ScriptedLoop, connection: redis.Redis) -> None:
    """While the memory of Redis is full, the loop goes on and parks no key; afterwards it syncs the dirty keys."""
    synced = threading.Event()

    def sync() -> None:
        synced.set()

    loop.handler = sync
    loop.context.mark(KEY)
    connection.config_set("maxmemory", 1)
    thread = threading.Thread(target=loop.run)
    try:
        thread.start()
        wait_until(lambda: connection.info("errorstats").get("errorstat_OOM", {}).get("count", 0) > 1)
        assert thread.is_alive() and not synced.is_set()
        connection.config_set("maxmemory", 0)
        assert synced.wait(20)
        assert loop.context.parking.all() == []
    finally:
        connection.config_set("maxmemory", 0)
        loop.stop()
        thread.join(20)


def out_of_memory(server: redis.Redis, folder: Path) -> None:
    """Let the server have no memory left."""
    server.config_set("maxmemory", 1)


def out_of_disk(server: redis.Redis, folder: Path) -> None:
    """Let the server fail to save its data, and refuse writes for that reason."""
    server.config_set("save", "3600 1")
    shutil.rmtree(folder)
    server.bgsave()
    wait_until(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "err")


def following(server: redis.Redis, folder: Path) -> None:
    """Let the server follow another one."""
    server.replicaof("127.0.0.1", "1")


@pytest.mark.parametrize("refusing", [out_of_memory, out_of_disk, following])
def test_a_server_that_refuses_writes_during_a_sync_is_no_fault_of_the_key(
    refusing: Callable[[redis.Redis, Path], None], tmp_path: Path
) -> None:
    """The loop ends a sync whose writes the server refuses without a failure of its key, also in a pipeline."""
    with ExitStack() as stack:
        server = stack.enter_context(Valkey(tmp_path / "valkey"))
        connection = stack.enter_context(redis.Redis.from_url(server.url))
        loop = stack.enter_context(scripted_loop(connection))

        def sync() -> float | None:
            refusing(connection, tmp_path / "valkey")
            with connection.pipeline() as pipe:
                pipe.hset("a", "b", "c")
                pipe.hset("a", "d", "e")
                pipe.execute()
            return None

        loop.handler = sync
        loop.context.mark(KEY)
        with structlog.testing.capture_logs() as logs, pytest.raises(redis.ResponseError):
            loop.step()
        assert [line for line in logs if line["event"] == "sync failed"] == []


def test_malformed_data_in_redis_ends_no_loop(loop: ScriptedLoop, connection: redis.Redis) -> None:
    """The loop logs an error because of malformed data in Redis, and syncs again once the data is gone."""
    loop._away = True
    connection.hset(loop.context.keys.hub_state, "probed", "yesterday")
    synced = threading.Event()
    loop.handler = synced.set
    loop.context.mark(KEY)
    thread = threading.Thread(target=loop.run)
    try:
        with structlog.testing.capture_logs() as logs:
            thread.start()
            wait_until(lambda: any(record["event"] == "the loop failed" for record in logs))
        connection.delete(loop.context.keys.hub_state)
        assert synced.wait(20)
    finally:
        loop.stop()
        thread.join(20)
