"""The queue server of `steward up`: one per folder, with a wait while it loads its data."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import redis

from redis_state.stopping import Stop
from steward import valkey
from steward.supervisor import Supervisor
from steward.valkey import Valkey, ValkeyMissing
from tests.support.waiting import wait_until


def test_no_second_server_writes_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second server would damage the data; once the first has ended, the next one starts."""
    monkeypatch.setattr(valkey, "LOCK_SECONDS", 0.0)
    with Valkey(tmp_path) as first:
        with pytest.raises(ValkeyMissing, match="perhaps `steward up` runs already"):
            Valkey(tmp_path).start()
        assert redis.Redis.from_url(first.url).set("kept", 1)
        assert first.process is not None
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        with Valkey(tmp_path) as second:
            assert redis.Redis.from_url(second.url).ping()


def test_a_server_that_still_loads_its_data_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file on a slow disk takes longer than a start may: that is no reason to give up."""
    loading, ping = [3], redis.Redis.ping

    def busy(client: redis.Redis) -> object:
        found = ping(client)
        if loading[0]:
            loading[0] -= 1
            raise redis.BusyLoadingError
        return found

    server = Valkey(tmp_path).start()
    try:
        monkeypatch.setattr(redis.Redis, "ping", busy)
        server._wait_until_it_answers(0.0)
        assert loading == [0]
    finally:
        server.stop()


def read(client: redis.Redis, key: str) -> object:
    """Return the stored value; None while the server does not answer."""
    with suppress(redis.ConnectionError):
        return client.get(key)
    return None


def test_a_server_that_dies_is_started_again_with_what_it_had(tmp_path: Path) -> None:
    """The server restarts at the same address, and ends after a stop."""
    said, stop = list[str](), Stop()
    with Valkey(tmp_path) as server:
        supervisor = Supervisor([], said.append, partial(server.revive, said.append))
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            client = redis.Redis.from_url(server.url)
            client.set("kept", "1")
            first = server.process
            assert first is not None
            first.kill()
            wait_until(lambda: read(client, "kept") == b"1" and server.process is not first)
            assert said == ["The queue server ended with status -9; it restarts."]
        finally:
            stop.set()
            thread.join(20)
